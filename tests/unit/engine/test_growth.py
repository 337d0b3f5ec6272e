"""Births: when they come, that they are facts, and that nothing is lost or doubled by them."""

import json
import math
import threading
from pathlib import Path
from shutil import rmtree
from types import SimpleNamespace

import msgspec
import pytest

from pilotfish.codes import Signal
from pilotfish.engine.change import ALPHA, Change, weight_after
from pilotfish.engine.engine import Engine
from pilotfish.engine.folding import fold
from pilotfish.engine.growth import next_due
from pilotfish.engine.replaying import replay
from pilotfish.engine.specification import model_specification
from pilotfish.experience.births import all_births
from pilotfish.request import Module, Outcome, Request, Task
from tests.unit.engine.growing import MODULES, REWARDS, live, open_grown

SWAP_AT, AFTER = 530, 300


def births(engine: Engine) -> list[int]:
    return [birth.signal_sequence for _, birth in all_births(engine.log)]


def changes(engine: Engine) -> list[Change]:
    logged = [birth.change for _, birth in all_births(engine.log)]
    return [msgspec.msgpack.decode(change, type=Change) for change in logged if change is not None]


def folded_sha256(engine: Engine) -> str:
    return fold(engine.log, model_specification(REWARDS), REWARDS).state_sha256()


@pytest.mark.parametrize(
    ("count", "due"), [(0, 32), (31, 32), (32, 64), (1000, 1024), (32_767, 32_768), (32_768, math.inf)]
)
def test_the_next_birth_is_due_when_the_log_has_doubled(count: int, due: float) -> None:
    assert next_due(count) == due


def test_births_come_at_doublings_and_survive_restart_with_and_without_checkpoint(tmp_path: Path) -> None:
    engine = open_grown(tmp_path)
    live(engine, 150)
    assert births(engine) == [32, 64, 128]
    assert engine.growth_in_words() == (3, "")
    state = engine.state_sha256()
    assert folded_sha256(engine) == state
    engine.close()
    for _ in range(2):  # from the checkpoint, then from the last birth
        engine = open_grown(tmp_path)
        assert engine.state_sha256() == state
        assert engine.model.learned_count == 150
        engine.close()
        rmtree(tmp_path / "checkpoints")


def test_a_birth_is_due_for_a_checkpoint_at_once(tmp_path: Path) -> None:
    engine = open_grown(tmp_path)
    live(engine, 31)
    assert not engine._learner.checkpoint_due  # noqa: SLF001
    live(engine, 1)
    is_due_now: bool = engine._learner.checkpoint_due  # noqa: SLF001
    assert is_due_now
    engine.close()


def test_without_growth_the_configured_model_stays(tmp_path: Path) -> None:
    engine = open_grown(tmp_path, "off")
    live(engine, 70)
    engine._learner.bear()  # noqa: SLF001  as upkeep does
    assert (births(engine), engine.model.version) == ([], model_version())
    engine.close()


def model_version() -> str:
    from pilotfish._core import Model  # noqa: PLC0415  the only use

    return Model(model_specification(REWARDS)).version


def test_growth_that_was_switched_off_starts_again_from_its_births(tmp_path: Path) -> None:
    engine = open_grown(tmp_path)
    live(engine, 40)
    grown = engine.state_sha256()
    engine.close()
    engine = open_grown(tmp_path, "off")
    assert (engine.model.version, engine.model.learned_count) == (model_version(), 40)
    engine.close()
    engine = open_grown(tmp_path)
    assert engine.state_sha256() == grown
    engine.close()


def test_in_the_background_a_birth_waits_for_upkeep(tmp_path: Path) -> None:
    engine = open_grown(tmp_path, "background")
    live(engine, 40)
    assert births(engine) in ([], [32])  # upkeep may just have come
    engine._learner.bear()  # noqa: SLF001
    assert len(births(engine)) == 1
    assert engine.counters["birth", 0] == 1
    assert engine.decide(Request(Task("t"), MODULES)).record.birth == 1
    engine.close()


def test_keys_that_the_user_declares_win(tmp_path: Path) -> None:
    mine = {"kind": "category", "name": "kind", "values": ["book", "none"]}
    engine = open_grown(tmp_path, encoder={"declared": [mine], "hashed_dims": 5, "shared_task": True})
    live(engine, 70)
    encoder = json.loads(engine.model.specification)["encoder"]
    assert len(births(engine)) == 2
    assert [feature for feature in encoder["declared"] if feature["name"] == "kind"] == [mine]
    assert (encoder["hashed_dims"], encoder["shared_task"]) == (5, True)
    engine.close()


def test_births_of_another_configuration_are_ignored(tmp_path: Path) -> None:
    engine = open_grown(tmp_path)
    live(engine, 70)
    state = engine.state_sha256()
    engine.close()
    other = open_grown(tmp_path, encoder={"hashed_dims": 16})
    assert other._learner.grown.birth == 0  # noqa: SLF001
    assert other.model.learned_count == 70
    other.close()
    engine = open_grown(tmp_path)
    assert engine.state_sha256() == state
    engine.close()


def test_a_birth_while_threads_decide_and_report_loses_nothing(tmp_path: Path) -> None:
    engine = open_grown(tmp_path, "background")
    threads = [threading.Thread(target=live, args=(engine, 200, seed)) for seed in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        engine._learner.bear()  # noqa: SLF001
    assert engine.counters["birth", 0] >= 2
    assert engine.model.learned_count == engine.log.signal_value_count == 800
    assert folded_sha256(engine) == engine.state_sha256()
    assert [one for one in replay(engine.log) if one.differs] == []
    engine.close()


def test_births_from_several_threads_take_over_in_the_order_of_the_log(tmp_path: Path) -> None:
    engine = open_grown(tmp_path)
    threads = [threading.Thread(target=live, args=(engine, 80, seed)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = all_births(engine.log)[-1][1]
    assert engine._learner.grown.birth == last.sequence  # noqa: SLF001
    assert folded_sha256(engine) == engine.state_sha256()
    engine.close()


def test_a_row_that_the_core_refuses_ends_neither_growth_nor_the_loop(tmp_path: Path) -> None:
    mine = {"kind": "vector", "name": "v", "length": 2, "scale": 1.0}
    engine = open_grown(tmp_path, encoder={"declared": [mine]})
    refused = engine.decide(Request(Task("t", features={"v": [1.0, 2.0, 3.0]}), MODULES))
    engine.record_outcome(Outcome({Signal.QUALITY: 0.5}, refused.decision_id))
    live(engine, 70)
    assert engine.counters["learn_failed", Signal.QUALITY] == 1
    assert len(births(engine)) == 2
    assert engine.model.learned_count == 70
    state = engine.state_sha256()
    engine.close()
    rmtree(tmp_path / "checkpoints")
    engine = open_grown(tmp_path, encoder={"declared": [mine]})
    assert engine.state_sha256() == state
    assert [one for one in replay(engine.log) if one.differs] == []
    engine.close()


def test_a_row_that_the_heir_refuses_while_it_catches_up_does_not_stop_the_birth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = {"kind": "vector", "name": "v", "length": 2, "scale": 1.0}
    engine = open_grown(tmp_path, "background", encoder={"declared": [mine]})
    live(engine, 33)
    parent = engine._learner.grown  # noqa: SLF001

    def heir(up_to: int) -> object:
        born = type(parent).heir(parent, up_to)
        refused = engine.decide(Request(Task("t", features={"v": [1.0]}), MODULES))
        engine.record_outcome(Outcome({Signal.QUALITY: 0.5}, refused.decision_id))
        live(engine, 3, 2)
        return born

    monkeypatch.setattr(parent, "heir", heir)
    engine._learner.bear()  # noqa: SLF001
    engine._learner.bear()  # noqa: SLF001  nothing is due
    assert births(engine) == [33]
    assert engine.model.learned_count == 36
    engine.close()


CHANGE = Change(3, 20.0, since=100, modules=("a",), weight=0.1, spared_weight=0.5)


@pytest.mark.parametrize(
    ("known", "sequence", "module", "weight"),
    [
        ((), 5, "a", 1.0),
        ((CHANGE,), 99, "a", 0.1),
        ((CHANGE,), 99, "b", 0.5),
        ((CHANGE,), 100, "a", 1.0),
        ((msgspec.structs.replace(CHANGE, modules=()),), 99, "b", 0.1),
        ((CHANGE, msgspec.structs.replace(CHANGE, since=200)), 99, "a", 0.01),
        ((CHANGE, msgspec.structs.replace(CHANGE, since=200)), 150, "b", 0.5),
        ((msgspec.structs.replace(CHANGE, weight=1e-9),), 99, "a", 1e-6),
    ],
)
def test_what_an_outcome_counts_for(known: tuple[Change, ...], sequence: int, module: str, weight: float) -> None:
    assert weight_after(known, sequence, module) == pytest.approx(weight, rel=1e-12)


def test_a_swap_is_detected_and_the_model_recovers(tmp_path: Path) -> None:
    engine = open_grown(tmp_path)
    before = live(engine, SWAP_AT)
    early = engine.decide(Request(Task("t", features={"kind": "book"}), MODULES))
    struck = live(engine, 30, 2, swapped=True)
    for part in range(AFTER // 50):
        last = live(engine, 50, 3 + part, swapped=True)
    assert before > 0.8
    assert struck < 0.5
    assert last > 0.75
    (change,) = changes(engine)
    assert engine.counters["change", 0] == 1
    assert abs(change.since - SWAP_AT) <= 30
    assert change.weight < 0.1
    count, said = engine.growth_in_words()
    assert (count, said) == (len(births(engine)), f"quality of any module has changed since decision {change.since}")

    model, late = engine.model, engine.model.arrays()
    engine.record_outcome(Outcome({Signal.QUALITY: 1.0}, early.decision_id))  # of a decision before the change
    assert engine.model is model
    assert engine.model.arrays() != late
    assert [one for one in replay(engine.log) if one.differs] == []  # with the weight that it was learned with
    state, watched = engine.state_sha256(), engine._learner.grown.watch()  # noqa: SLF001
    assert folded_sha256(engine) == state
    engine.close()
    for _ in range(2):
        engine = open_grown(tmp_path)
        assert engine.state_sha256() == state
        assert engine._learner.grown.watch() == watched  # noqa: SLF001  from the checkpoint, then by learning again
        engine.close()
        rmtree(tmp_path / "checkpoints")


def test_detectors_are_told_the_utility_that_was_learned_and_share_alpha(tmp_path: Path) -> None:
    engine = open_grown(tmp_path)
    grown, seen = engine._learner.grown, list[tuple[float | str, ...]]()  # noqa: SLF001
    assert [detector.alpha for detector in grown._detectors] == [ALPHA] * 7  # noqa: SLF001
    recorder = SimpleNamespace(observe=lambda *told: seen.append(told), state=bytes)
    grown._detectors = (recorder,) * 7  # type: ignore[assignment]  # noqa: SLF001
    decision = engine.decide(Request(Task("t"), MODULES))
    engine.record_outcome(Outcome({Signal.QUALITY: 0.75, Signal.RETRY_COUNT: 1.0}, decision.decision_id))
    engine.close()
    told = {utility: (module, predicted) for predicted, module, _, utility in seen}
    half_value = 0.5  # and nothing is expected yet, so that the residuals are the utilities
    assert told == {0.75: (decision.module, 0.75), half_value: (decision.module, half_value)}


def test_an_alarm_that_awaits_its_birth_survives_restart(tmp_path: Path) -> None:
    engine = open_grown(tmp_path, "background")
    live(engine, 10)
    grown = engine._learner.grown  # noqa: SLF001
    grown._change = CHANGE  # noqa: SLF001  as an alarm leaves it
    engine.close()
    engine = open_grown(tmp_path, "background")
    engine._learner.bear()  # noqa: SLF001
    assert changes(engine) == [CHANGE]
    assert engine.counters["change", 0] == 1
    engine.close()


def test_late_descriptors_do_not_disturb_births(tmp_path: Path) -> None:
    engine = open_grown(tmp_path)
    live(engine, 20)
    engine.register_modules([Module("grobid", {"speed": 2.0}, ("pdf",))])
    live(engine, 20, 2)
    assert births(engine) == [32]
    assert folded_sha256(engine) == engine.state_sha256()
    engine.close()
