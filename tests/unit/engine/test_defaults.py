"""Windows: what is learned when a signal does not come, and what happens if it comes after all."""

import random
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotfish.codes import Mode, Signal
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.folding import fold
from pilotfish.engine.learning import EXPIRE_AT_ONCE
from pilotfish.engine.specification import model_specification
from pilotfish.exceptions import ConflictError
from pilotfish.experience import upkeep
from pilotfish.experience.log import now_us
from pilotfish.experience.signals import Kind, Use
from pilotfish.request import Outcome
from pilotfish.rewards import RewardFunction
from tests.unit.engine.asking import MODULES, ask, decisions, signals

REWARDS = RewardFunction(windows_s={Signal.COMPLETION: 100.0}, defaults={Signal.COMPLETION: 0.0})
AFTER_S = 101.0


def open_engine(state_dir: Path, rewards: RewardFunction = REWARDS) -> Engine:
    return Engine(state_dir, EngineSettings(mode=Mode.ON, id_seed="defaults"), rewards)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(tmp_path)
    yield opened
    opened.close()


def expire(engine: Engine, after_s: float = AFTER_S) -> None:
    while engine._learner.expire(now_us() + int(after_s * 1e6)):  # noqa: SLF001
        pass


def rows(engine: Engine, decision_id: str) -> list[tuple[int, float, Kind, Use]]:
    return [(row.signal, row.value, row.kind, row.use) for row in engine.log.rows_of(int(decision_id[:12], 16))]


def folded_state(engine: Engine, rewards: RewardFunction = REWARDS) -> bytes:
    folded = fold(engine.log, model_specification(rewards), rewards)
    assert folded.health.state() == engine._learner.health.state()  # noqa: SLF001
    return folded.model.state()


def test_nothing_is_learned_before_the_window_has_passed(engine: Engine) -> None:
    decisions(engine, 3)
    expire(engine, 99.0)
    assert engine.log.signal_value_count == 0
    assert engine.model.learned_count == 0


def test_nothing_is_learned_from_silence_without_a_default(tmp_path: Path) -> None:
    engine = open_engine(tmp_path, RewardFunction())
    decisions(engine, 3)
    expire(engine, 1e9)
    assert engine.log.signal_value_count == 0
    engine.close()


def test_default_is_logged_learned_and_marked_once_the_window_has_passed(engine: Engine) -> None:
    silent, reported = decisions(engine, 2)
    engine.record_outcome(Outcome({Signal.COMPLETION: 1.0}, decision_id=reported))
    engine.record_outcome(Outcome({Signal.QUALITY: 0.5}, decision_id=silent))
    expire(engine)
    assert rows(engine, silent) == [
        (Signal.QUALITY, 0.5, Kind.MEASURED, Use.LEARNED),
        (Signal.COMPLETION, 0.0, Kind.DEFAULT, Use.LEARNED),
    ]
    assert rows(engine, reported) == [(Signal.COMPLETION, 1.0, Kind.MEASURED, Use.LEARNED)]
    assert engine.model.learned_count == 3
    assert engine.counters["defaulted", Signal.COMPLETION] == 1
    assert engine.explain(silent)[2] == {Signal.QUALITY: 0.5}
    assert folded_state(engine) == engine.model.state()


def test_default_teaches_exactly_what_a_reported_value_would(tmp_path: Path) -> None:
    silent, told = open_engine(tmp_path / "silent"), open_engine(tmp_path / "told")
    decisions(silent, 20)
    for decision_id in decisions(told, 20):
        told.record_outcome(Outcome({Signal.COMPLETION: 0.0}, decision_id=decision_id))
    expire(silent)
    assert silent.model.learned_count == 20
    assert silent.state_sha256() == told.state_sha256()
    silent.close()
    told.close()


def test_defaults_are_learned_once_over_repetitions_and_restarts(engine: Engine) -> None:
    decisions(engine, 2 * EXPIRE_AT_ONCE + 5)
    expire(engine)
    before = engine.state_sha256()
    expire(engine, 1e6)
    engine.close()
    restarted = open_engine(engine.state_dir)
    expire(restarted, 1e6)
    assert restarted.log.signal_value_count == 2 * EXPIRE_AT_ONCE + 5
    assert restarted.state_sha256() == before == restarted.state_sha256()
    assert folded_state(restarted) == restarted.model.state()
    restarted.close()


def test_upkeep_lets_windows_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pause = threading.Event()
    monkeypatch.setattr(upkeep, "INTERVAL_S", 0.005)
    monkeypatch.setattr(upkeep, "now_us", lambda: now_us() + int(AFTER_S * 1e6))
    engine = open_engine(tmp_path)
    (decision_id,) = decisions(engine, 1)
    while not rows(engine, decision_id):
        pause.wait(0.005)
    engine.close()
    restarted = open_engine(tmp_path, REWARDS)
    assert restarted.model.learned_count == 1
    restarted.close()


def test_failed_batch_leaves_nothing_and_is_tried_again(engine: Engine) -> None:
    decisions(engine, 3)
    second = sqlite3.connect(engine.log.path, isolation_level=None)
    second.execute("CREATE TRIGGER full BEFORE INSERT ON signal_value WHEN NEW.decision_sequence = 3"
                   " BEGIN SELECT RAISE(ABORT, 'disk full'); END")  # fmt: skip
    with pytest.raises(sqlite3.Error, match="disk full"):
        expire(engine)
    assert (engine.log.last_signal_sequence(), engine.log.signal_value_count, engine.model.learned_count) == (0, 0, 0)
    second.execute("DROP TRIGGER full")
    second.close()
    expire(engine)
    assert engine.model.learned_count == 3


def test_value_that_comes_late_is_kept_and_counted_and_not_learned(engine: Engine) -> None:
    (decision_id,) = decisions(engine, 1)
    expire(engine)
    before = engine.state_sha256()
    late = Outcome({Signal.COMPLETION: 1.0}, decision_id=decision_id)
    assert [engine.record_outcome(late).recorded_count for _ in range(3)] == [1, 0, 0]
    assert rows(engine, decision_id)[1] == (Signal.COMPLETION, 1.0, Kind.MEASURED, Use.LATE)
    assert engine.counters["late", Signal.COMPLETION] == 1
    assert engine.explain(decision_id)[2] == {Signal.COMPLETION: 1.0}
    assert engine.state_sha256() == before
    assert folded_state(engine) == engine.model.state()
    with pytest.raises(ConflictError, match=r"^completion == 0.0, must be 1.0 as recorded before"):
        engine.record_outcome(Outcome({Signal.COMPLETION: 0.0}, decision_id=decision_id))


def test_value_after_its_window_is_learned_if_no_default_was_logged_before(engine: Engine) -> None:
    (decision_id,) = decisions(engine, 1)
    engine.record_outcome(Outcome({Signal.COMPLETION: 1.0}, decision_id=decision_id))  # upkeep has not looked yet
    expire(engine)
    assert rows(engine, decision_id) == [(Signal.COMPLETION, 1.0, Kind.MEASURED, Use.LEARNED)]


def test_no_default_is_learned_of_a_module_that_did_not_run(engine: Engine) -> None:
    decision = engine.decide(ask())
    other = next(module.name for module in MODULES if module.name != decision.module)
    engine.record_outcome(Outcome({Signal.QUALITY: 1.0}, decision_id=decision.decision_id, served_module=other))
    expire(engine)
    assert rows(engine, decision.decision_id) == [(Signal.QUALITY, 1.0, Kind.MEASURED, Use.OTHER_MODULE)]


def test_state_is_the_fold_of_a_log_with_defaults_late_values_and_checkpoints(engine: Engine) -> None:
    rng = random.Random(5)
    ids: list[str] = []
    for step in range(12):
        ids += decisions(engine, 10, seed=step)
        for i in rng.sample(range(len(ids)), len(ids) // 2):
            engine.record_outcome(Outcome(signals(i), decision_id=ids[i]))
        if step % 4 == 3:
            expire(engine)
        if step == 5:
            engine._learner.checkpoint()  # noqa: SLF001
    assert engine.counters["late", Signal.COMPLETION] > 0 < engine.counters["defaulted", Signal.COMPLETION]
    assert folded_state(engine) == engine.model.state()
    before = engine.state_sha256()
    engine.close()
    restarted = open_engine(engine.state_dir)
    assert restarted.state_sha256() == before
    restarted.close()


def test_training_may_take_late_values_in_time(tmp_path: Path) -> None:
    late, punctual = open_engine(tmp_path / "late"), open_engine(tmp_path / "punctual")
    ids = decisions(late, 30)
    assert decisions(punctual, 30) == ids
    expire(late)
    for engine in (late, punctual):
        for i, decision_id in enumerate(ids):
            engine.record_outcome(Outcome(signals(i), decision_id=decision_id))
    folded = fold(late.log, model_specification(REWARDS), REWARDS, late_in_time=True)
    assert folded.model.state() == punctual.model.state() != late.model.state()
    late.close()
    punctual.close()


def test_training_leaves_out_the_default_of_a_module_that_turns_out_not_to_have_run(engine: Engine) -> None:
    decision = engine.decide(ask())
    expire(engine)
    other = next(module.name for module in MODULES if module.name != decision.module)
    engine.record_outcome(Outcome({Signal.QUALITY: 1.0}, decision_id=decision.decision_id, served_module=other))
    assert folded_state(engine) == engine.model.state()
    trained = fold(engine.log, model_specification(REWARDS), REWARDS, late_in_time=True)
    assert (engine.model.learned_count, trained.model.learned_count) == (1, 0)


def test_value_that_waits_for_its_decision_is_joined_before_any_default_after_a_restart(engine: Engine) -> None:
    engine.record_outcome(Outcome({Signal.COMPLETION: 1.0}, request_id="r1"))
    engine._learner.join_parked = lambda _: None  # type: ignore[assignment, method-assign]  # noqa: SLF001  killed before the join
    decision = engine.decide(ask(request_id="r1"))
    engine.close()
    restarted = open_engine(engine.state_dir)
    expire(restarted)
    assert rows(restarted, decision.decision_id) == [(Signal.COMPLETION, 1.0, Kind.MEASURED, Use.LEARNED)]
    restarted.close()


def test_with_half_of_the_values_missing_zero_fill_is_measurably_worse(tmp_path: Path) -> None:
    """Quality of module a is 0.8 and reported for one decision in two: missing is not zero."""
    errors = []
    for defaults in ({}, {Signal.QUALITY: 0.0}):
        engine = open_engine(tmp_path / str(len(defaults)), RewardFunction(defaults=defaults))
        rng = random.Random(7)
        for decision_id in decisions(engine, 400):
            if rng.random() < 0.5:
                engine.record_outcome(Outcome({Signal.QUALITY: 0.8}, decision_id=decision_id))
        expire(engine, 4000.0)
        choice = engine.decide(ask()).record
        errors.append(max(abs(score - 0.8) for score in memoryview(choice.scores).cast("d")))
        engine.close()
    missing, zero_filled = errors
    assert missing < 0.05
    assert zero_filled > 0.3
