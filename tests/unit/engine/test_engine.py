"""The two ways through the engine and what is promised of them."""

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pilotfish.codes import Mode, Signal, Source
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.folding import fold
from pilotfish.engine.specification import model_specification
from pilotfish.exceptions import ConflictError, InvalidInputError, NotFoundError, StateError
from pilotfish.request import Module, Outcome, Request, Task
from pilotfish.rewards import RewardFunction
from tests.unit.engine.asking import MODULES, ask, decisions, open_engine, reopened, signals

# -- outcomes ----------------------------------------------------------------------------------------------------------


def test_repeated_outcomes_across_a_restart_leave_the_state_byte_identical(tmp_path: Path) -> None:
    once, often = open_engine(tmp_path / "once"), open_engine(tmp_path / "often")
    rng = random.Random(3)
    often.log._next_sequence = 1  # noqa: SLF001
    ids = []
    for i in range(120):
        decision = once.decide(ask())
        number = often.log.register_model(decision.model_version, b"")
        row = (bytes.fromhex(decision.decision_id), decision.module, decision.propensity, decision.source, number)
        often.log.append_decisions([(*row, decision.record)])
        ids.append(decision.decision_id)
        once.record_outcome(Outcome(signals(i), decision_id=decision.decision_id))
        for _ in range(rng.randint(1, 5)):
            often.record_outcome(Outcome(signals(i), decision_id=decision.decision_id))
    often = reopened(often)
    for i in rng.sample(range(120), 60):
        assert often.record_outcome(Outcome(signals(i), decision_id=ids[i])).recorded_count == 0
    assert often.model.state() == once.model.state()
    assert often.state_sha256() == once.state_sha256()
    once.close()
    often.close()


def test_signals_in_any_order_give_the_same_state(tmp_path: Path) -> None:
    first = open_engine(tmp_path / "0")
    ids = decisions(first, 100)
    entries = [(decision_id, {s: v}) for i, decision_id in enumerate(ids) for s, v in signals(i).items()]
    states = []
    for order in range(3):
        engine = open_engine(tmp_path / str(order + 1))
        with sqlite3.connect(first.log.path) as source, sqlite3.connect(engine.log.path) as target:
            rows = source.execute("SELECT * FROM decision").fetchall()
            target.executemany("INSERT INTO decision VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        random.Random(order).shuffle(entries)
        for decision_id, entry in entries:
            engine.record_outcome(Outcome(entry, decision_id=decision_id))
        states.append({name: list(memoryview(a).cast("d")) for name, a in engine.model.arrays().items()})
        engine.close()
    first.close()
    for other in states[1:]:
        assert other.keys() == states[0].keys()
        for name, values in states[0].items():
            assert other[name] == pytest.approx(values, abs=1e-9), name


def test_restart_changes_no_byte_of_the_state(engine: Engine) -> None:
    for i, decision_id in enumerate(decisions(engine, 50)):
        engine.record_outcome(Outcome(signals(i), decision_id=decision_id))
    before = engine.state_sha256()
    restarted = reopened(engine)
    assert restarted.state_sha256() == before
    restarted.close()


def test_state_is_the_fold_of_the_log_with_and_without_checkpoints(engine: Engine) -> None:
    ids = decisions(engine, 60)
    for i, decision_id in enumerate(ids[:30]):
        engine.record_outcome(Outcome(signals(i), decision_id=decision_id))
    engine._learner.checkpoint()  # noqa: SLF001
    for i, decision_id in enumerate(ids[30:]):
        engine.record_outcome(Outcome(signals(i), decision_id=decision_id))
    rewards = RewardFunction()
    folded = fold(engine.log, model_specification(rewards), rewards)
    assert folded.model.state() == engine.model.state()
    assert folded.health.state() == engine._learner.health.state()  # noqa: SLF001


def test_measurement_is_never_overwritten(engine: Engine) -> None:
    decision_id = decisions(engine, 1)[0]
    engine.record_outcome(Outcome({Signal.QUALITY: 0.5}, decision_id=decision_id))
    before = engine.state_sha256()
    with pytest.raises(ConflictError, match=r"^quality == 0.6, must be 0.5 as recorded before; a measurement is never"):
        engine.record_outcome(Outcome({Signal.COMPLETION: 1.0, Signal.QUALITY: 0.6}, decision_id=decision_id))
    assert engine.state_sha256() == before
    assert engine.explain(decision_id)[2] == {Signal.QUALITY: 0.5}


def test_signals_may_come_in_several_calls(engine: Engine) -> None:
    decision_id = decisions(engine, 1)[0]
    engine.record_outcome(Outcome({Signal.QUALITY: 0.5}, decision_id=decision_id))
    receipt = engine.record_outcome(Outcome({Signal.QUALITY: 0.5, Signal.COST_USD: 0.1}, decision_id=decision_id))
    assert (receipt.recorded_count, receipt.joined) == (1, True)
    assert engine.model.learned_count == 2


def test_outcome_of_an_unknown_decision_is_refused_and_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(
        NotFoundError, match=r"^decision_id == 0{32}, must be the id of a decision in this sidecar's log$"
    ):
        engine.record_outcome(Outcome({Signal.QUALITY: 0.5}, decision_id="0" * 32))
    assert engine.log.signal_value_count == 0


def test_outcome_before_its_decision_waits_and_is_learned(engine: Engine) -> None:
    receipt = engine.record_outcome(Outcome({Signal.QUALITY: 0.5}, request_id="r1"))
    assert (receipt.recorded_count, receipt.joined) == (1, False)
    assert engine.record_outcome(Outcome({Signal.QUALITY: 0.5}, request_id="r1")).recorded_count == 0
    engine = reopened(engine)
    decision = engine.decide(ask(request_id="r1"))
    assert engine.model.learned_count == 1
    assert engine.explain(decision.decision_id)[2] == {Signal.QUALITY: 0.5}
    again = engine.record_outcome(Outcome({Signal.QUALITY: 0.5}, request_id="r1"))
    assert (again.recorded_count, again.joined) == (0, True)
    engine.close()


def test_outcome_that_crosses_its_decision_on_another_thread_is_joined(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    park = engine.log.park_signals

    def decided_meanwhile(*arguments: Any) -> None:  # noqa: ANN401
        monkeypatch.setattr(engine.log, "is_parked", lambda _: False)  # what the other thread saw
        engine.decide(ask(request_id="r1"))
        park(*arguments)

    monkeypatch.setattr(engine.log, "park_signals", decided_meanwhile)
    receipt = engine.record_outcome(Outcome({Signal.QUALITY: 0.5}, request_id="r1"))
    assert (receipt.recorded_count, receipt.joined) == (1, True)
    assert engine.model.learned_count == 1


def test_outcome_that_a_kill_left_waiting_is_joined_at_the_next_start(engine: Engine) -> None:
    engine.record_outcome(Outcome({Signal.QUALITY: 0.5}, request_id="r1"))
    engine._learner.join_parked = lambda _: None  # type: ignore[assignment, method-assign]  # noqa: SLF001  killed before the join
    decision = engine.decide(ask(request_id="r1"))
    assert engine.model.learned_count == 0
    restarted = reopened(engine)
    assert restarted.model.learned_count == 1
    assert restarted.explain(decision.decision_id)[2] == {Signal.QUALITY: 0.5}
    restarted.close()


def test_outcome_of_another_module_than_the_decided_is_kept_and_not_learned(engine: Engine) -> None:
    decision = engine.decide(ask())
    other = next(module.name for module in MODULES if module.name != decision.module)
    outcome = Outcome({Signal.QUALITY: 0.5}, decision_id=decision.decision_id, served_module=other)
    assert engine.record_outcome(outcome).recorded_count == 1
    assert engine.model.learned_count == 0
    restarted = reopened(engine)
    assert restarted.model.learned_count == 0
    restarted.close()


def test_served_module_must_have_been_a_candidate(engine: Engine) -> None:
    decision_id = decisions(engine, 1)[0]
    with pytest.raises(InvalidInputError, match=r"^served_module == zz, must be a candidate of the decision$"):
        engine.record_outcome(Outcome({Signal.QUALITY: 0.5}, decision_id=decision_id, served_module="zz"))


# -- decisions ---------------------------------------------------------------------------------------------------------


def test_same_request_id_gets_the_same_decision_even_after_restart(engine: Engine) -> None:
    first = engine.decide(ask(request_id="r"))
    assert engine.decide(ask(request_id="r")) == first
    engine = reopened(engine)
    assert engine.decide(ask(request_id="r")) == first
    assert engine.log.decision_count == 1
    engine.close()


def test_request_id_of_another_request_is_refused(engine: Engine) -> None:
    engine.decide(ask(request_id="r"))
    with pytest.raises(ConflictError, match=r"^request_id == r, must not be used again for another request$") as caught:
        engine.decide(ask("search", request_id="r"))
    assert caught.value.reason == "REQUEST_ID_REUSED"
    assert engine.log.decision_count == 1


@pytest.mark.parametrize(("mode", "share"), [(Mode.OFF, None), (Mode.ROLLOUT, 0.0), (Mode.SHADOW, None)])
def test_zero_exposure_answers_are_those_of_the_baseline(engine: Engine, mode: Mode, share: float | None) -> None:
    engine.set_mode(mode, share, "test", "")
    for name in "cab":
        decision = engine.decide(ask(baseline_module=name, unit_id=name))
        assert (decision.module, decision.propensity, decision.source) == (name, 1.0, Source.BASELINE)


def test_same_id_seed_gives_the_same_decisions_and_another_gives_others(tmp_path: Path) -> None:
    def ids(name: str, id_seed: str) -> list[tuple[str, str]]:
        engine = Engine(tmp_path / name, EngineSettings(mode=Mode.ON, id_seed=id_seed))
        made = [engine.decide(ask()) for _ in range(20)]
        engine.close()
        return [(decision.decision_id, decision.module) for decision in made]

    assert ids("a", "one") == ids("b", "one")
    assert ids("c", "two") != ids("a2", "one")
    assert ids("d", "") != ids("e", "")


def test_one_record_replays_to_the_same_action_and_the_same_bits(engine: Engine) -> None:
    for i, decision_id in enumerate(decisions(engine, 40)):
        engine.record_outcome(Outcome(signals(i), decision_id=decision_id))
    for decision_id in decisions(engine, 40, seed=2):
        logged, _, _ = engine.explain(decision_id)
        record = logged.record
        modules = [(m.name, m.features, m.capabilities) for m in (record.request.candidates[i] for i in record.legal)]
        task = record.request.task
        choice = engine.model.decide(logged.decision_id, task.features, task.description, modules, record.weights)
        assert record.request.candidates[record.legal[choice.index]].name == logged.module
        assert (choice.pmf, choice.scores) == (record.policy_pmf, record.scores)


def test_no_legal_candidate_is_refused_with_each_reason(engine: Engine) -> None:
    with pytest.raises(
        StateError, match=r"^no candidate is legal for task type 'ocr': a \(DENIED\), b \(NOT_ALLOWED\)"
    ):
        engine.decide(ask(allowed_modules=("a",), denied_modules=("a",)))
    assert engine.log.decision_count == 0


def test_registered_modules_stand_in_for_absent_candidates_and_descriptors(engine: Engine) -> None:
    with pytest.raises(InvalidInputError, match="no module is registered"):
        engine.decide(Request(Task("ocr")))
    engine.register_modules([Module("x", {"size": 1.0}, ("ocr",)), Module("y", {}, (), 10)])
    names = {module.name for module in engine.decide(Request(Task("ocr"))).record.request.candidates}
    assert names == {"x", "y"}
    resolved = engine.decide(Request(Task("ocr"), (Module("x"), Module("z"), Module("y"))))
    assert resolved.record.request.candidates[0] == Module("x", {"size": 1.0}, ("ocr",))
    assert resolved.record.request.candidates[2].max_data_size_bytes == 10


def test_unknown_baseline_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidInputError, match=r"^baseline_module == zz, must be one of the candidates$"):
        engine.decide(ask(baseline_module="zz"))


def test_batch_is_one_commit_and_keeps_errors_to_themselves(engine: Engine) -> None:
    bad = InvalidInputError("bad")
    answers = engine.decide_batch([ask(), bad, ask(baseline_module="zz"), ask(request_id="r"), ask(request_id="r")])
    assert [type(answer).__name__ for answer in answers] == ["Decision", "InvalidInputError", "InvalidInputError"] + [
        "Decision"
    ] * 2
    assert answers[3] == answers[4]
    assert engine.log.decision_count == 2


def test_fresh_engine_exposes_five_per_cent_and_no_more(tmp_path: Path) -> None:
    fresh = Engine(tmp_path)
    assert (fresh.mode, fresh.rollout_share) == (Mode.ROLLOUT, 0.05)
    fresh.close()


def test_mode_change_survives_a_restart(engine: Engine) -> None:
    engine.set_mode(Mode.ROLLOUT, 0.25, "ops", "evidence")
    restarted = reopened(engine)
    assert (restarted.mode, restarted.rollout_share) == (Mode.ROLLOUT, 0.25)
    restarted.close()
