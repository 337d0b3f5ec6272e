"""A world in which models grow: each kind of task has its own good module, which the swapped world shifts by one."""

import random
from pathlib import Path
from typing import Any

from pilotfish.codes import Mode, Signal
from pilotfish.engine.engine import Engine, EngineSettings, Growth
from pilotfish.request import Module, Outcome, Request, Task
from pilotfish.rewards import RewardFunction

KINDS = ("article", "book", "scan")
NAMES = ("grobid", "marker", "nougat", "pypdf")
MODULES = tuple(Module(name) for name in NAMES)
REWARDS = RewardFunction(weights={Signal.QUALITY: 1.0})


def open_grown(
    state_dir: Path,
    growth: Growth = "inline",
    encoder: dict[str, Any] | None = None,
    explorer: dict[str, Any] | None = None,
) -> Engine:
    settings = EngineSettings(
        mode=Mode.ON,
        growth=growth,
        id_seed="growing",
        rollout_share=0.5,
        encoder=encoder or {},
        explorer=explorer or {},
    )
    return Engine(state_dir, settings, REWARDS)


def live(engine: Engine, count: int, seed: int = 1, *, swapped: bool = False) -> float:
    """Decides and reports `count` times; returns the mean expected quality of what was served, of 0.2 and 0.9."""
    rng, total = random.Random(seed), 0.0
    for _ in range(count):
        kind = rng.choice(KINDS)
        decision = engine.decide(Request(Task("t", features={"kind": kind}), MODULES))
        good = NAMES[KINDS.index(kind) + swapped]
        reached = 0.9 if decision.module == good else 0.2
        noisy = min(1.0, max(0.0, reached + rng.gauss(0.0, 0.2)))
        engine.record_outcome(Outcome({Signal.QUALITY: noisy}, decision.decision_id))
        total += reached
    return total / count
