"""What the present model makes of decisions on record."""

import json
import logging
import math

import msgspec
import pytest

from pilotfish._core import Model, explorer_default
from pilotfish.codes import Mode, Signal
from pilotfish.engine.engine import Engine
from pilotfish.engine.explaining import EXPLAINED_MODULES, LISTED_CONTRIBUTIONS, present_scores
from pilotfish.request import Module, Outcome, Request, Task
from tests.unit.core.models import specification

TASK = Task("t", "extract the tables", {"task.type": "t", "pages": 12.0, "scanned": True})


def modules(n_modules: int) -> tuple[Module, ...]:
    return tuple(Module(f"module {i}", {"cost": i / 10}, ("pdf", "image")) for i in range(n_modules))


@pytest.fixture
def learned(engine: Engine) -> Engine:
    for i in range(20):
        decision = engine.decide(Request(TASK, modules(4)))
        engine.record_outcome(Outcome({Signal.QUALITY: i % 3 / 2}, decision.decision_id))
    return engine


def test_recorded_scores_come_back_while_nothing_was_learned(learned: Engine) -> None:
    decision = learned.decide(Request(TASK, modules(4)))
    names = [decision.record.request.candidates[i].name for i in decision.record.legal]

    present = present_scores(learned.model.frozen(), decision.record, decision.module, names)

    assert [row.module for row in present] == names
    assert [row.score for row in present] == list(memoryview(decision.record.scores).cast("d"))
    assert [row.uncertainty for row in present] == list(memoryview(decision.record.uncertainties).cast("d"))
    assert [row.policy_probability for row in present] == list(memoryview(decision.record.policy_pmf).cast("d"))


def test_listed_and_other_contributions_sum_to_the_score(learned: Engine) -> None:
    decision = learned.decide(Request(TASK, modules(4)))

    for row in present_scores(learned.model.frozen(), decision.record, decision.module, ["module 1", "module 0"]):
        listed = sum(value for _, value in row.contributions)
        assert listed + row.other_contributions == pytest.approx(row.score, abs=1e-9)
        assert len(row.contributions) == LISTED_CONTRIBUTIONS
        assert row.other_count > 0


def test_later_learning_moves_the_present_scores_and_not_the_record(learned: Engine) -> None:
    decision = learned.decide(Request(TASK, modules(4)))
    before = bytes(decision.record.scores)
    learned.record_outcome(Outcome({Signal.QUALITY: 1.0}, decision.decision_id))

    _, on_record, _ = learned.explain(decision.decision_id)
    (present,) = present_scores(learned.model.frozen(), on_record.record, decision.module, [decision.module])

    assert on_record.record.scores == before
    assert present.score not in memoryview(before).cast("d")


def test_many_candidates_are_explained_in_part_and_the_chosen_always(learned: Engine) -> None:
    decision = learned.decide(Request(TASK, modules(EXPLAINED_MODULES + 8)))
    names = [module.name for module in decision.record.request.candidates]
    model = learned.model.frozen()

    present = [row.module for row in present_scores(model, decision.record, names[-1], names)]
    with_chosen_ahead = [row.module for row in present_scores(model, decision.record, names[0], names)]

    assert present == [*names[:EXPLAINED_MODULES], names[-1]]
    assert with_chosen_ahead == names[:EXPLAINED_MODULES]


@pytest.mark.parametrize("kind", ["epsilon_greedy", "thompson"])
def test_an_uncertainty_is_nan_where_the_explorer_does_without(learned: Engine, kind: str) -> None:
    record = msgspec.structs.replace(learned.decide(Request(TASK, modules(3))).record, weights=(1.0, 1.0))
    model = Model(specification(explorer=json.loads(explorer_default(kind))))

    present = present_scores(model, record, "module 0", ["module 0", "module 1"])

    assert [math.isnan(row.uncertainty) for row in present] == [kind == "epsilon_greedy"] * 2


def test_mode_off_is_explained_too(learned: Engine) -> None:
    learned.set_mode(Mode.OFF, None, "test", "")
    decision = learned.decide(Request(TASK, modules(2)))

    assert not decision.record.scores
    assert len(present_scores(learned.model.frozen(), decision.record, decision.module, ["module 0", "module 1"])) == 2


def test_a_model_that_refuses_leaves_the_record_to_speak(learned: Engine, caplog: pytest.LogCaptureFixture) -> None:
    decision = learned.decide(Request(TASK, modules(2)))
    other = Model(specification(signals=["completion", "quality"]))

    with caplog.at_level(logging.WARNING):
        present = present_scores(other, decision.record, decision.module, ["module 0"])

    assert present == []
    assert "len(weights) == 7, must be 2, one per signal" in caplog.text
