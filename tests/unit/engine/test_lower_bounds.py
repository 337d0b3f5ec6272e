"""Values that were cut off."""

import pytest

from pilotfish.codes import Signal
from pilotfish.engine.engine import Engine
from pilotfish.engine.folding import fold
from pilotfish.engine.specification import model_specification
from pilotfish.exceptions import ConflictError
from pilotfish.experience.signals import Kind
from pilotfish.request import Outcome
from pilotfish.rewards import RewardFunction
from tests.unit.engine.asking import ask, decisions, reopened

CUT_OFF = frozenset({Signal.LATENCY_MS})


def test_lower_bound_is_logged_as_such_and_teaches_the_middle(engine: Engine) -> None:
    for decision_id in decisions(engine, 300):
        engine.record_outcome(Outcome({Signal.LATENCY_MS: 1000.0}, decision_id, lower_bounds=CUT_OFF))
    (row,) = engine.log.rows_of(1)
    assert (row.value, row.kind) == (1000.0, Kind.LOWER_BOUND)
    scores = memoryview(engine.decide(ask()).record.scores).cast("d")
    assert list(scores) == pytest.approx([0.25] * 5, abs=0.03)
    assert engine.counters["lower_bound", Signal.LATENCY_MS] == 300
    rewards = RewardFunction()
    assert fold(engine.log, model_specification(rewards), rewards).model.state() == engine.model.state()


def test_only_the_marked_signal_of_an_outcome_is_a_lower_bound(engine: Engine) -> None:
    (decision_id,) = decisions(engine, 1)
    values: dict[int, float] = {Signal.COMPLETION: 0.0, Signal.LATENCY_MS: 30_000.0, Signal.COST_USD: 0.1}
    engine.record_outcome(Outcome(values, decision_id, lower_bounds=CUT_OFF))
    kinds = {row.signal: row.kind for row in engine.log.rows_of(1)}
    assert kinds == {
        Signal.COMPLETION: Kind.MEASURED,
        Signal.LATENCY_MS: Kind.LOWER_BOUND,
        Signal.COST_USD: Kind.MEASURED,
    }


def test_repeated_lower_bound_is_learned_once(engine: Engine) -> None:
    (decision_id,) = decisions(engine, 1)
    outcome = Outcome({Signal.LATENCY_MS: 5.0}, decision_id, lower_bounds=CUT_OFF)
    assert [engine.record_outcome(outcome).recorded_count for _ in range(3)] == [1, 0, 0]
    assert engine.model.learned_count == 1


def test_measurement_does_not_overwrite_a_lower_bound(engine: Engine) -> None:
    (decision_id,) = decisions(engine, 1)
    engine.record_outcome(Outcome({Signal.LATENCY_MS: 5.0}, decision_id, lower_bounds=CUT_OFF))
    before = engine.state_sha256()
    with pytest.raises(ConflictError, match=r"^latency_ms == 5.0, must be 5.0 \(a lower bound\) as recorded before; a"):
        engine.record_outcome(Outcome({Signal.LATENCY_MS: 5.0}, decision_id))
    assert engine.state_sha256() == before


def test_lower_bound_that_waits_for_its_decision_stays_one_over_a_restart(engine: Engine) -> None:
    outcome = Outcome({Signal.LATENCY_MS: 5.0}, request_id="r1", lower_bounds=CUT_OFF)
    engine.record_outcome(outcome)
    engine = reopened(engine)
    assert engine.record_outcome(outcome).recorded_count == 0
    engine.decide(ask(request_id="r1"))
    assert [row.kind for row in engine.log.rows_of(1)] == [Kind.LOWER_BOUND]
    assert engine.record_outcome(outcome).joined
    engine.close()
