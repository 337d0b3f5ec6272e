"""`pilotfish._core` with four explorers, called with seed, ready vector, names and weights; pmf included."""

import json
import math
from array import array
from typing import Any

from benches.latency.contender import Contender, Work
from benches.latency.families import FAMILIES, our_name
from benches.latency.world import World
from pilotfish._core import Model, explorer_default

SEEDS = [index.to_bytes(16, "big") for index in range(64)]
FLOOR = 0.02
# gamma = 10 · √(1 + n): VW's --squarecb multiplies 10 by √n (its gamma_scale and gamma_exponent).
SETTINGS = {"inverse_gap": {"kind": "inverse_gap", "gamma": 10.0, "anneal_count": 1.0}}


def specification(explorer: str, n_features: int) -> bytes:
    """Return a specification: a bias and d − 1 hashed slots, one signal, no shared features."""
    encoder = {
        "declared": [],
        "declared_scale": 1.0,
        "random_dims": 0,
        "random_length": 1.0,
        "random_scale": 1.0,
        "hashed_dims": n_features - 1,
        "text_dims": 0,
        "text_scale": 1.0,
        "shared_dims": 1,
        "shared_task": True,
    }
    learner = {
        "signals": ["utility"],
        "module_precision": 1.0,
        "shared_precision": 1.0,
        "noise_variance": 0.25,
        "noise_count": 10.0,
    }
    chosen: dict[str, Any] = (SETTINGS.get(explorer) or json.loads(explorer_default(explorer))) | {"floor": FLOOR}
    return json.dumps({"encoder": encoder, "learner": learner, "explorer": chosen}).encode()


def contender(explorer: str, family: str, world: World) -> Contender:
    """Return a trained model; fails if its answer is not a distribution over the modules."""
    model = Model(specification(explorer, world.n_features))
    for event in world.history:
        model.learn_encoded(world.contexts[event.context], None, world.names[event.module], 0, event.utility)
    weights = [1.0]
    decisions = [
        (seed, context, None, world.names, weights) for seed, context in zip(SEEDS, world.contexts, strict=True)
    ]
    pmf = array("d", model.decide_encoded(*decisions[0]).pmf)
    assert len(pmf) == world.n_modules
    assert math.isclose(math.fsum(pmf), 1.0, rel_tol=1e-9)
    outcomes = [(world.contexts[e.context], None, world.names[e.module], 0, e.utility) for e in world.to_learn]
    return Contender(
        our_name(explorer), family, "pmf", Work(model.decide_encoded, decisions), Work(model.learn_encoded, outcomes)
    )


def contenders(world: World) -> list[Contender]:
    """Return one contender per explorer."""
    explorers = {family.ours: name for name, family in reversed(FAMILIES.items())}
    return [contender(explorer, family, world) for explorer, family in explorers.items()]
