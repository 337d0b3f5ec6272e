"""What the engine answers when one of its parts is broken."""

import sqlite3
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from pilotfish.codes import Reason, Signal, Source
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.exceptions import StateError
from pilotfish.request import Outcome
from tests.unit.engine.asking import ask, decisions, signals


class Panic(BaseException):
    """What a panic in Rust looks like to Python: not an Exception."""


def raising(error: BaseException) -> Callable[..., object]:
    def fail(*_: object) -> object:
        raise error

    return fail


def serve(engine: Engine, decide: Callable[..., object]) -> None:
    model = SimpleNamespace(decide=decide, version=engine.model.version)
    engine._learner.on_birth(engine._learner.grown.serving._replace(model=model))  # type: ignore[arg-type]  # noqa: SLF001


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (raising(RuntimeError("broken")), Reason.POLICY_FAILED),
        (raising(Panic()), Reason.POLICY_FAILED),
        (lambda *_: SimpleNamespace(index=0, pmf=b"12345678" * 2), Reason.GUARD_REFUSED),
        (lambda *_: SimpleNamespace(index=0, pmf=msgspec.msgpack.encode(b"")), Reason.POLICY_FAILED),
    ],
)
def test_broken_policy_gives_the_baseline_with_certainty(
    engine: Engine, answer: Callable[..., object], reason: Reason
) -> None:
    serve(engine, answer)
    decision = engine.decide(ask(baseline_module="d"))
    assert (decision.module, decision.propensity, decision.source) == ("d", 1.0, Source.FALLBACK)
    assert reason in decision.reasons
    logged, _, _ = engine.explain(decision.decision_id)
    assert (logged.module, logged.propensity, logged.record.policy_pmf) == ("d", 1.0, b"")


def test_policy_that_answers_outside_the_legal_set_is_refused(engine: Engine) -> None:
    honest = engine.model.decide

    def illegal(*arguments: Any) -> SimpleNamespace:  # noqa: ANN401  whatever the core takes
        choice = honest(*arguments)
        return SimpleNamespace(index=17, pmf=choice.pmf, scores=choice.scores, learned_count=choice.learned_count)

    serve(engine, illegal)
    decision = engine.decide(ask(baseline_module="d"))
    assert (decision.module, decision.propensity, decision.source) == ("d", 1.0, Source.FALLBACK)


def full_disk(engine: Engine) -> None:
    pages = engine.log._one("PRAGMA page_count")  # noqa: SLF001
    engine.log._connection.execute(f"PRAGMA max_page_count = {pages}")  # noqa: SLF001


def test_full_disk_gives_an_unlogged_baseline_and_refuses_outcomes(engine: Engine) -> None:
    decision_id = decisions(engine, 1)[0]
    full_disk(engine)
    unlogged = None
    for _ in range(500):
        decision = engine.decide(ask(baseline_module="d"))
        if not decision.decision_id:
            unlogged = decision
            break
    assert unlogged is not None
    assert (unlogged.module, unlogged.propensity, unlogged.source) == ("d", 1.0, Source.FALLBACK)
    assert Reason.LOG_UNAVAILABLE in unlogged.reasons
    state = engine.state_sha256()
    outcomes = (Outcome({Signal.QUALITY: 0.5}, request_id=f"{i}" * 30) for i in range(2000))
    with pytest.raises(sqlite3.Error):
        deque(map(engine.record_outcome, outcomes), maxlen=0)
    assert engine.state_sha256() == state
    engine.log._connection.execute("PRAGMA max_page_count = 1000000")  # noqa: SLF001
    assert engine.record_outcome(Outcome({Signal.QUALITY: 0.5}, decision_id=decision_id)).recorded_count == 1


def test_batch_on_a_full_disk_serves_only_what_is_certain(engine: Engine) -> None:
    full_disk(engine)
    answers = engine.decide_batch([ask(baseline_module="d") for _ in range(200)])
    unlogged = [answer for answer in answers if not answer.decision_id]  # type: ignore[union-attr]
    assert unlogged
    assert {(a.module, a.propensity) for a in unlogged} == {("d", 1.0)}  # type: ignore[union-attr]
    on_record = engine.log._one("SELECT COUNT(*) FROM decision")  # noqa: SLF001
    assert on_record == len(answers) - len(unlogged) == engine.log.decision_count


def test_locked_log_gives_an_unlogged_baseline_in_time(engine: Engine) -> None:
    other = sqlite3.connect(engine.log.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    decision = engine.decide(ask(baseline_module="d"))
    assert (decision.decision_id, decision.module, decision.source) == ("", "d", Source.FALLBACK)
    other.execute("ROLLBACK")
    other.close()
    assert engine.decide(ask()).decision_id


def test_second_engine_on_the_same_directory_is_refused(engine: Engine) -> None:
    with pytest.raises(StateError, match="is in use by process"):
        Engine(engine.state_dir)


def test_new_specification_learns_the_whole_log_again(engine: Engine) -> None:
    for i, decision_id in enumerate(decisions(engine, 30)):
        engine.record_outcome(Outcome(signals(i), decision_id=decision_id))
    count = engine.model.learned_count
    engine.close()
    other = Engine(engine.state_dir, EngineSettings(encoder={"hashed_dims": 16}))
    assert other.model.learned_count == count
    assert other.model.version != engine.model.version
    other.close()
