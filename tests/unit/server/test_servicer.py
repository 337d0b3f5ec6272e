"""What operators are shown of outcomes."""

import math
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilotfish.cli.explain import as_text
from pilotfish.codes import Mode, Signal
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.ranges import BLOCK
from pilotfish.experience.log import now_us
from pilotfish.request import Module, Request, Task
from pilotfish.rewards import RewardFunction
from pilotfish.server.convert_decision import explanation_to
from pilotfish.server.servicer import control_methods, data_methods
from pilotfish.v1 import ExplainDecisionRequest, Explanation, GetInfoRequest, RecordOutcomeRequest, SignalValue
from pilotfish.v1 import Signal as SignalNumber


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    rewards = RewardFunction(windows_s={Signal.COMPLETION: 5.0}, defaults={Signal.COMPLETION: 0.0})
    opened = Engine(tmp_path, EngineSettings(mode=Mode.ON), rewards)
    yield opened
    opened.close()


def call(engine: Engine, name: str, request: Any) -> Any:  # noqa: ANN401  messages of any kind
    methods = {method.name: method for method in (*data_methods(engine), *control_methods(engine))}
    method = methods[name]
    return method.timed_call(request, None) if method.timed_call else method.call(request) if method.call else None


def decided(engine: Engine) -> str:
    return engine.decide(Request(Task("t"), (Module("a"), Module("b")))).decision_id


def test_explanation_tells_measured_cut_off_and_default_values_apart(engine: Engine) -> None:
    decision_id = decided(engine)
    latency = SignalValue(signal=SignalNumber.SIGNAL_LATENCY_MS, value=30_000.0, lower_bound=True)
    quality = SignalValue(signal=SignalNumber.SIGNAL_QUALITY, value=0.5)
    call(engine, "RecordOutcome", RecordOutcomeRequest(decision_id=decision_id, signals=[latency, quality]))
    engine._learner.expire(now_us() + 10_000_000)  # noqa: SLF001

    explained = call(engine, "ExplainDecision", ExplainDecisionRequest(decision_id=decision_id))

    assert list(explained.signals) == [latency, quality]
    assert list(explained.default_signals) == [SignalValue(signal=SignalNumber.SIGNAL_COMPLETION, value=0.0)]
    text = [" ".join(line.split()) for line in as_text(explained).splitlines()]
    assert text[-3:] == ["latency_ms 30000 or more", "quality 0.5", "completion 0 by default"]


def test_late_value_stands_beside_its_default(engine: Engine) -> None:
    decision_id = decided(engine)
    engine._learner.expire(now_us() + 10_000_000)  # noqa: SLF001
    late = SignalValue(signal=SignalNumber.SIGNAL_COMPLETION, value=1.0)
    call(engine, "RecordOutcome", RecordOutcomeRequest(decision_id=decision_id, signals=[late]))

    explained = call(engine, "ExplainDecision", ExplainDecisionRequest(decision_id=decision_id))

    assert list(explained.signals) == [late]
    assert [value.value for value in explained.default_signals] == [0.0]


def test_explanation_splits_the_present_score_beside_that_of_then(engine: Engine) -> None:
    decision_id = decided(engine)
    ask = ExplainDecisionRequest(decision_id=decision_id)
    before = call(engine, "ExplainDecision", ask)
    quality = SignalValue(signal=SignalNumber.SIGNAL_QUALITY, value=0.75)
    call(engine, "RecordOutcome", RecordOutcomeRequest(decision_id=decision_id, signals=[quality]))

    after = call(engine, "ExplainDecision", ask)

    assert (before.present_learned_count, after.present_learned_count) == (before.explanation.learned_count, 1)
    assert after.present_model_version == after.decision.model_version
    assert after.explanation == before.explanation
    for explained in (before, after):
        assert [row.module for row in explained.present_scores] == [row.module for row in explained.explanation.ranking]
        for row in explained.present_scores:
            listed = sum(contribution.value for contribution in row.contributions)
            assert listed + row.other_contributions == pytest.approx(row.score, abs=1e-9)
    assert [row.score for row in before.present_scores] == [row.score for row in before.explanation.ranking]
    moved = {row.module: row for row in after.present_scores}[after.decision.module]
    assert moved.contributions[0].value > 0.0


def test_modules_of_one_probability_are_ranked_by_score(engine: Engine) -> None:
    decision = engine.decide(Request(Task("t"), tuple(map(Module, "abc"))))
    record = msgspec.structs.replace(
        decision.record, policy_pmf=array("d", [0.1, 0.1, 0.8]).tobytes(), scores=array("d", [0.2, 0.3, 0.1]).tobytes()
    )

    explanation = Explanation()
    explanation_to(record, explanation)

    assert [row.module for row in explanation.ranking] == ["c", "b", "a"]


@pytest.mark.parametrize(("evaluated", "expected"), [(True, math.nan), (False, 0.0)])
def test_an_uncertainty_that_was_not_computed_is_nan_and_zero_where_nothing_was(
    engine: Engine, *, evaluated: bool, expected: float
) -> None:
    record = msgspec.structs.replace(engine.decide(Request(Task("t"), (Module("a"),))).record, uncertainties=b"")
    if not evaluated:
        record = msgspec.structs.replace(record, policy_pmf=b"", scores=b"")

    explanation = Explanation()
    explanation_to(record, explanation)

    assert explanation.ranking[0].uncertainty == pytest.approx(expected, nan_ok=True)


def test_info_says_which_half_value_does_not_fit(engine: Engine) -> None:
    assert not call(engine, "GetInfo", GetInfoRequest()).range_warnings
    for i in range(BLOCK):
        dear = SignalValue(signal=SignalNumber.SIGNAL_COST_USD, value=50.0 + i % 3)
        call(engine, "RecordOutcome", RecordOutcomeRequest(decision_id=decided(engine), signals=[dear]))

    (warning,) = call(engine, "GetInfo", GetInfoRequest()).range_warnings

    assert warning.endswith("set rewards.half_values: {cost_usd: 51}")
