"""Millions of decisions with adversarial scores, random rules and random outages: does anything illegal ever leave?"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from benches.learning.figure import Figure
from benches.safety.oracle import Ledger, broken_rules
from benches.safety.world import HostileModel, drawn_request, drawn_settings
from pilotfish.codes import Mode, Reason, Signal, Source
from pilotfish.engine.deciding import Decider, Decision, InForce
from pilotfish.engine.growth import Serving
from pilotfish.engine.health import Health
from pilotfish.engine.sides import mixture, sides_of
from pilotfish.exceptions import StateError
from pilotfish.experience.exposures import Exposure
from pilotfish.safety.breakers import State
from pilotfish.safety.safeguards import Safeguards

CAMPAIGN: Final = "adversarial"
DECISIONS: Final = 10_000_000
PER_WORLD: Final = 2_500
"""Decisions between two configurations."""
PER_PART: Final = 100_000

LEAST_SHARE: Final = 0.001
"""Share of all decisions that each path must have: at full scale 10,000 of them."""

REFUSED: Final = "refused"
PATHS: Final = (
    REFUSED,
    *(source.name.lower() for source in Source),
    *(
        reason.name.lower()
        for reason in (
            *(Reason.PANIC, Reason.PROBE, Reason.SAFE_DEFAULT, Reason.HELD_BACK, Reason.CRITICAL),
            *(Reason.POLICY_FAILED, Reason.GUARD_REFUSED, Reason.DEADLINE_NEAR, Reason.CHAMPION_ANSWERED),
        )
    ),
    *(
        f"removed: {reason.name.lower()}"
        for reason in (
            *(Reason.BREAKER_OPEN, Reason.BUDGET_SPENT, Reason.RISK_TOO_HIGH, Reason.RULE_VIOLATED, Reason.BANNED),
            *(Reason.DENIED, Reason.NOT_ALLOWED, Reason.DATA_TOO_LARGE, Reason.MISSING_CAPABILITY),
            *(Reason.MISSING_FEATURE, Reason.DEADLINE_TOO_SHORT),
        )
    ),
)
"""What the campaign must reach for its silence to mean something."""


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
        servings = [
            Serving(HostileModel(rng, name, rng.choice((0.0, 0.1, 1.0))), 1, 0)  # type: ignore[arg-type]
            for name in ("policy", "champion")
        ]
        has_champion = rng.random() < 0.7
        exposure = Exposure(
            mode=rng.choice((Mode.ON, Mode.ROLLOUT, Mode.ROLLOUT, Mode.ROLLOUT, Mode.SHADOW, Mode.OFF)),
            rollout_share=rng.choice((0.0, 0.05, 0.5, 0.5, 1.0)),
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
        self.seen: Counter[str] = Counter()
        self._serve_all = not self._settings.budgets.modules and self._settings.risk_cap is None

    def play(self, n: int) -> Iterator[str]:
        """Decide n times and yield each fault, in words."""
        rng = self._rng
        for _ in range(n):
            self._pass_time()
            request = drawn_request(rng)
            remaining_s = rng.choice((None, None, None, None, None, None, 0.0005, -1.0, 0.02))
            try:
                decision = self._decider.choose(request, remaining_s)
            except StateError:
                self.seen[REFUSED] += 1
                # Breakers never empty a legal set, so without budgets and a cap nothing but constraints can.
                free = [m.name for m in request.candidates if not any(broken_rules(self._settings, request, m))]
                if free and self._serve_all:
                    yield f"refused though {free[0]} is legal"
                continue
            self._see(decision)
            yield from self._ledger.faults(decision, self._now_s)
            yield from _faults_of_record(decision)
            self._ledger.served(decision, self._now_s)
            self._under_way.append(decision)

    def _see(self, decision: Decision) -> None:
        seen = self.seen
        seen[_SOURCES[decision.source]] += 1
        for reason in decision.reasons:
            seen[_REASONS[reason]] += 1
        for reason in {removal.reason for removal in decision.record.removed}:
            seen[_REMOVALS[reason]] += 1

    def _pass_time(self) -> None:
        rng = self._rng
        self._now_s += rng.expovariate(200.0) if rng.random() < 0.999 else rng.uniform(1.0, 100.0)
        if rng.random() < 0.05:
            # Most are well most of the time: where half of all are out, breakers have no room for probes.
            module = {f"m{rng.randrange(12)}"}
            self._sick = self._sick - module if rng.random() < 0.75 else self._sick | module
        if rng.random() < 0.0003:
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


_SOURCES: Final = {int(source): source.name.lower() for source in Source}
_REASONS: Final = {int(reason): reason.name.lower() for reason in Reason}
_REMOVALS: Final = {reason: f"removed: {name}" for reason, name in _REASONS.items()}


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


def parts(scale: float) -> list[tuple[int, int]]:
    """Return the seed and the number of decisions of each part."""
    n = max(1, round(DECISIONS * scale))
    return [(first, min(PER_PART, n - first)) for first in range(0, n, PER_PART)]


def campaign(part: tuple[int, int]) -> dict[str, Any]:
    """Play one part.

    Args:
        part: Seed and number of decisions.
    """
    seed, n = part
    faults: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for first in range(0, n, PER_WORLD):
        world = World(seed + first)
        for fault in world.play(min(PER_WORLD, n - first)):
            faults[fault] += 1
        seen += world.seen
    return {
        "decisions": n,
        "violations": faults.total(),
        "faults": dict(faults.most_common(20)),
        "paths": {path: seen[path] for path in PATHS},
    }


def figures(results: Sequence[dict[str, Any]]) -> list[Figure]:
    """Return what all parts have shown."""
    n = sum(result["decisions"] for result in results)
    faults: Counter[str] = Counter()
    for result in results:
        faults.update(result["faults"])
    rows = [
        Figure(CAMPAIGN, "decisions", n),
        Figure(
            *(CAMPAIGN, "violations", sum(result["violations"] for result in results), None, "<=", 0.0),
            detail=", ".join(f"{fault} {count}" for fault, count in faults.most_common(5)),
        ),
    ]
    for path in PATHS:
        count = sum(result["paths"][path] for result in results)
        rows.append(Figure(CAMPAIGN, f"share of {path}", count / n, None, ">=", LEAST_SHARE, f"{count:,}"))
    return rows
