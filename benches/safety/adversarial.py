"""Millions of decisions with adversarial scores, random rules and random outages: does anything illegal ever leave?"""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from benches.safety.oracle import Ledger, broken_rules
from benches.safety.world import HostileModel, drawn_request, drawn_settings
from pilotfish.codes import Mode, Signal
from pilotfish.engine.deciding import Decider, Decision, InForce
from pilotfish.engine.growth import Serving
from pilotfish.engine.health import Health
from pilotfish.engine.sides import mixture, sides_of
from pilotfish.exceptions import StateError
from pilotfish.experience.exposures import Exposure
from pilotfish.safety.breakers import State
from pilotfish.safety.safeguards import Safeguards

PER_WORLD: Final = 5_000
"""Decisions between two configurations."""


class Ids:
    """Stands in for the log, which is not what is tried here: it gives ids."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def new_decision_id(self) -> bytes:
        """Return a fresh id."""
        return self._rng.randbytes(16)


class World:
    """One configuration and what happens under it.

    Args:
        seed: Draws all of it.
    """

    def __init__(self, seed: int) -> None:
        self._rng = rng = random.Random(seed)
        self._settings = drawn_settings(rng)
        self._ledger = Ledger(self._settings)
        self._now_s = 1000.0
        self._safeguards = Safeguards(self._settings, self._on_transition)
        evil = rng.choice((0.0, 0.1, 1.0))
        servings = [Serving(HostileModel(rng, name, evil), 1, 0) for name in ("policy", "champion")]  # type: ignore[arg-type]
        has_champion = rng.random() < 0.5
        exposure = Exposure(
            mode=rng.choice((Mode.ON, Mode.ROLLOUT, Mode.SHADOW, Mode.OFF)),
            rollout_share=rng.choice((0.0, 0.05, 0.5, 1.0)),
            control="live" if has_champion else "",
        )
        policy = servings[0] if rng.random() < 0.9 else None
        self._decider = Decider(
            in_force=InForce(exposure, servings[0], policy, servings[1] if has_champion else None),
            log=Ids(rng),  # type: ignore[arg-type]
            health=Health(),
            safeguards=self._safeguards,
            constraints_number=0,
            default_weights=(1.0,) * len(Signal),
            salt=b"world",
            live_reward=False,
            decide_budget_s=0.001,
            counters=Counter(),
            clock=lambda: self._now_s,
        )
        self._decider.may_explore = lambda: rng.random() < 0.9
        self._sick: set[str] = set()
        self._under_way: list[Decision] = []
        self._serve_all = not self._settings.budgets.modules and self._settings.risk_cap is None

    def play(self, n: int) -> Iterator[str]:
        """Decide n times and yield each fault, in words."""
        rng = self._rng
        for _ in range(n):
            self._pass_time()
            request = drawn_request(rng)
            remaining_s = rng.choice((None, None, None, 0.0005, -1.0, 0.02))
            try:
                decision = self._decider.choose(request, remaining_s)
            except StateError:
                # Breakers never empty a legal set, so without budgets and a cap nothing but constraints can.
                free = [m.name for m in request.candidates if not any(broken_rules(self._settings, request, m))]
                if free and self._serve_all:
                    yield f"refused though {free[0]} is legal"
                continue
            yield from self._ledger.faults(decision, self._now_s)
            yield from _faults_of_record(decision)
            self._ledger.served(decision, self._now_s)
            self._under_way.append(decision)

    def _pass_time(self) -> None:
        rng = self._rng
        self._now_s += rng.expovariate(200.0) if rng.random() < 0.999 else rng.uniform(1.0, 100.0)
        if rng.random() < 0.01:
            self._sick ^= {f"m{rng.randrange(12)}"}
        if rng.random() < 0.0005:
            self._sick = {f"m{i}" for i in range(12)}
        while len(self._under_way) > rng.randint(0, 30):
            decision = self._under_way.pop(rng.randrange(len(self._under_way)))
            cost_usd = rng.choice((None, rng.random() * 0.1))
            works = decision.module not in self._sick and rng.random() < 0.95
            values: list[tuple[int, float]] = [(int(Signal.COMPLETION), float(works))]
            if cost_usd is not None:
                values.append((int(Signal.COST_USD), cost_usd))
            self._safeguards.observe(decision.module, bytes.fromhex(decision.decision_id), values, self._now_s)
            self._ledger.reported(decision, cost_usd, self._now_s)

    def _on_transition(self, module: str, before: State, after: State) -> None:
        del before
        self._ledger.states[module] = after


def _faults_of_record(decision: Decision) -> Iterator[str]:
    record = decision.record
    sides = sides_of(record)
    served = [mixture(*sides, record.policy_share, place) for place in range(len(record.legal))]
    if not abs(sum(served) - 1.0) <= 1e-9:
        yield f"probabilities of the record sum to {sum(served)}"
    names = [record.request.candidates[index].name for index in record.legal]
    if decision.module not in names:
        yield "not in the legal set"
    elif not abs(served[names.index(decision.module)] - decision.propensity) <= 1e-12:
        yield "the propensity is not that of the record"


def campaign(job: tuple[int, int]) -> dict[str, Any]:
    """Play one share of the campaign.

    Args:
        job: Seed and number of decisions.
    """
    seed, n = job
    faults: Counter[str] = Counter()
    for world in range(0, n, PER_WORLD):
        for fault in World(seed + world).play(min(PER_WORLD, n - world)):
            faults[fault] += 1
    return {"decisions": n, "violations": sum(faults.values()), "faults": dict(faults.most_common(20))}
