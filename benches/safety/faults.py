"""Faulted calls: whatever is broken, the hub gets a legal answer by the ladder, marked with cause and propensity."""

import math
import random
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

import msgspec

from benches.learning.figure import Figure
from benches.safety.world import NAMES
from pilotfish.codes import Mode, Reason, Source
from pilotfish.engine import deciding
from pilotfish.engine.deciding import Decision
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.sides import mixture, sides_of
from pilotfish.experience import log as log_module
from pilotfish.request import Module, Outcome, Request, Task

CAMPAIGN: Final = "faults"
CALLS: Final = 100_000
PER_PART: Final = 5_000

WEIGHTS: Final = {"log locked": 0.02, "disk full, by SQLite": 0.3}
"""How many calls of a kind are made for one of others: each waits for the lock, 10 ms, or rolls a transaction back."""

TRIES: Final = 20
"""Calls that may be made for one that meets the fault: on a full disk what fits into the last page is still logged."""

Faulted = Iterator[None]


class _Raises:
    """A model whose learner is broken."""

    def __init__(self, version: str) -> None:
        self.version = version

    def decide(self, *_: object) -> None:
        raise RuntimeError("the learner is broken")


@contextmanager
def learner_raises(engine: Engine) -> Faulted:
    """Both models of the ladder raise."""
    yield from _served_by(engine, lambda serving: serving._replace(model=_Raises(serving.model.version)))


@contextmanager
def policy_raises(engine: Engine) -> Faulted:
    """The policy raises, the champion works."""
    yield from _served_by(
        engine, lambda serving: serving._replace(model=_Raises(serving.model.version)), champion=lambda serving: serving
    )


@contextmanager
def model_missing(engine: Engine) -> Faulted:
    """The kept version that should serve is not there."""
    yield from _served_by(engine, lambda _: None)


def _served_by(
    engine: Engine, policy: Callable[[Any], Any], champion: Callable[[Any], Any] = lambda _: None
) -> Iterator[None]:
    decider = engine._decider  # noqa: SLF001  the fault has to sit inside
    before = decider.in_force
    exposure = msgspec.structs.replace(before.exposure, control="live")
    decider.in_force = before._replace(exposure=exposure, policy=policy(before.live), champion=champion(before.live))
    try:
        yield
    finally:
        decider.in_force = before


@contextmanager
def disk_full_by_sqlite(engine: Engine) -> Faulted:
    """The file may not grow: SQLite itself refuses, in the middle of a transaction."""
    connection = engine.log._connection  # noqa: SLF001  the limit is the connection's
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (before,) = connection.execute("PRAGMA max_page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA max_page_count = {before}")


@contextmanager
def disk_full(engine: Engine) -> Faulted:
    """Nothing can be written."""
    full = sqlite3.OperationalError("database or disk is full")
    with mock.patch.object(engine.log, "append_decisions", side_effect=full):
        yield


@contextmanager
def log_locked(engine: Engine) -> Faulted:
    """Another process holds the log."""
    other = sqlite3.connect(engine.log.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@contextmanager
def clock_jumps(_: Engine) -> Faulted:
    """The wall clock is years off, in either direction, and another with every call."""
    rng = random.Random(1)

    def jumping() -> int:
        return rng.choice((0, 1, 10**15, 4 * 10**15))

    with mock.patch.object(deciding, "now_us", jumping), mock.patch.object(log_module, "now_us", jumping):
        yield


@contextmanager
def nothing(_: Engine) -> Faulted:
    """The fault is in the request."""
    yield


KINDS: Final[dict[str, tuple[Any, set[Reason]]]] = {
    "learner raising": (learner_raises, {Reason.POLICY_FAILED}),
    "policy raising, champion sound": (policy_raises, {Reason.POLICY_FAILED}),
    "model missing": (model_missing, {Reason.POLICY_FAILED}),
    "disk full": (disk_full, {Reason.LOG_UNAVAILABLE}),
    "disk full, by SQLite": (disk_full_by_sqlite, {Reason.LOG_UNAVAILABLE}),
    "log locked": (log_locked, {Reason.LOG_UNAVAILABLE}),
    "clock jump": (clock_jumps, set()),
    "deadline passed": (nothing, {Reason.DEADLINE_NEAR}),
    "NaN features": (nothing, {Reason.POLICY_FAILED}),
}
"""Each fault with the reasons that must stand in the answer."""


def request(rng: random.Random, kind: str) -> Request:
    """Return a request; of the kinds that are in the request, a faulted one."""
    bad = {"broken": rng.choice((float("nan"), float("inf"), -float("inf")))} if kind == "NaN features" else {}
    names = rng.sample(NAMES, rng.randint(2, 8))
    return Request(
        Task(rng.choice(("scan", "ask")), features={"pages": rng.uniform(0, 9), **bad}),
        tuple(Module(name, capabilities=("c",) * rng.randint(0, 1)) for name in names),
        baseline_module=rng.choice(("", names[0])),
        denied_modules=(names[-1],) if rng.random() < 0.5 else (),
        unit_id=f"{rng.getrandbits(40):x}",
    )


def fault_of(  # noqa: PLR0911  one return for each claim
    kind: str, expected: set[Reason], asked: Request, decision: Decision
) -> str:
    """Return what is wrong with the answer to a faulted call; "" if nothing is."""
    record, reasons = decision.record, {Reason(reason) for reason in decision.reasons}
    names = [module.name for module in asked.candidates]
    if decision.module not in names or decision.module in asked.denied_modules:
        return "illegal"
    if not expected <= reasons:
        return f"cause not told, but {[reason.name for reason in reasons]}"
    if Reason.LOG_UNAVAILABLE in expected:
        baseline = names[record.baseline]
        sound = (decision.decision_id, decision.module, decision.propensity) == ("", baseline, 1.0)
        return "" if sound and decision.source is Source.FALLBACK else "not the baseline with certainty"
    place = [names[index] for index in record.legal].index(decision.module)
    exact = mixture(*sides_of(record), record.policy_share, place)
    if decision.propensity != exact:
        return f"propensity {decision.propensity}, must be {exact}"
    if kind != "clock jump" and record.in_policy_share and decision.source is not Source.FALLBACK:
        return f"source {decision.source.name}"
    if kind == "policy raising, champion sound" and Reason.CHAMPION_ANSWERED not in reasons and record.in_policy_share:
        return "the champion did not answer"
    return ""


def parts(scale: float) -> list[tuple[int, int]]:
    """Return the seed and the number of calls of each part."""
    n = max(len(KINDS) * 10, round(CALLS * scale))
    return [(first, min(PER_PART, n - first)) for first in range(0, n, PER_PART)]


def campaign(part: tuple[int, int]) -> dict[str, Any]:
    """Play one part.

    Args:
        part: Seed and number of faulted calls.
    """
    seed, n = part
    rng = random.Random(seed)
    faults: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as directory:
        engine = Engine(Path(directory), EngineSettings(mode=Mode.ROLLOUT, rollout_share=0.5, growth="off"))
        try:
            for _ in range(200):
                asked = request(rng, "")
                outcome = Outcome({1: float(rng.random() < 0.7)}, decision_id=engine.decide(asked).decision_id)
                engine.record_outcome(outcome)
            total = sum(WEIGHTS.get(kind, 1.0) for kind in KINDS)
            for kind, (broken, _) in KINDS.items():
                calls = math.ceil(n * WEIGHTS.get(kind, 1.0) / total)
                with broken(engine):
                    for fault in _calls(engine, rng, kind, calls):
                        counts[kind] += 1
                        if fault:
                            faults[f"{kind}: {fault}"] += 1
        finally:
            engine.close()
    return {"calls": counts.total(), "by_kind": dict(counts), "violations": faults.total(), "faults": dict(faults)}


def _calls(engine: Engine, rng: random.Random, kind: str, n: int) -> Iterator[str]:
    """Make n calls that meet the fault and yield what is wrong with each answer, "" where nothing is."""
    made = 0
    for _ in range(TRIES * n):
        if made == n:
            return
        asked = request(rng, kind)
        expected = KINDS[kind][1]
        try:
            decision = engine.decide(asked, -1.0 if kind == "deadline passed" else None)
        except Exception as error:  # noqa: BLE001  any is a finding
            yield f"raised {type(error).__name__}"
            made += 1
            continue
        if kind == "disk full, by SQLite" and decision.decision_id:
            continue  # it did fit
        made += 1
        yield fault_of(kind, expected, asked, decision)
    yield from ["the fault was not met"] * (n - made)


def figures(results: Sequence[dict[str, Any]]) -> list[Figure]:
    """Return what all parts have shown."""
    counts: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for result in results:
        counts.update(result["by_kind"])
        faults.update(result["faults"])
    legal = 1.0 - faults.total() / counts.total()
    detail = ", ".join(f"{fault} {count}" for fault, count in faults.most_common(5))
    return [
        Figure(CAMPAIGN, "faulted calls", counts.total(), detail=", ".join(f"{k} {n:,}" for k, n in counts.items())),
        Figure(CAMPAIGN, "share answered legally, cause told, propensity exact", legal, None, ">=", 1.0, detail),
    ]
