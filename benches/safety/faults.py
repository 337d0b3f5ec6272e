"""Faulted calls: whatever is broken, the hub gets a legal answer by the ladder, marked with cause and propensity."""

import random
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

import msgspec

from benches.safety.world import NAMES
from pilotfish.codes import Mode, Reason, Source
from pilotfish.engine import deciding
from pilotfish.engine.deciding import Decision
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.sides import mixture, sides_of
from pilotfish.experience import log as log_module
from pilotfish.request import Module, Outcome, Request, Task

LOCKED_SHARE: Final = 0.02
"""Share of the locked calls that are made against a really locked file: each waits for the lock, 10 ms."""

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
    if kind in {"disk full", "log locked"}:
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


def campaign(n: int, seed: int = 1) -> dict[str, Any]:
    """Make n faulted calls and return the faults of their answers, by kind."""
    rng = random.Random(seed)
    faults: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as directory:
        settings = EngineSettings(mode=Mode.ROLLOUT, rollout_share=0.5, growth="off")
        engine = Engine(Path(directory), settings)
        try:
            for _ in range(200):
                asked = request(rng, "")
                outcome = Outcome({1: float(rng.random() < 0.7)}, decision_id=engine.decide(asked).decision_id)
                engine.record_outcome(outcome)
            share = {kind: LOCKED_SHARE if kind == "log locked" else 1.0 for kind in KINDS}
            for kind, (broken, expected) in KINDS.items():
                with broken(engine):
                    for _ in range(round(n * share[kind] / sum(share.values()))):
                        asked = request(rng, kind)
                        counts[kind] += 1
                        decision = engine.decide(asked, -1.0 if kind == "deadline passed" else None)
                        if fault := fault_of(kind, expected, asked, decision):
                            faults[f"{kind}: {fault}"] += 1
        finally:
            engine.close()
    return {"calls": counts.total(), "by_kind": dict(counts), "violations": faults.total(), "faults": dict(faults)}
