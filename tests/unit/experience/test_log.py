import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pilotfish.codes import Mode, Source
from pilotfish.exceptions import StateError
from pilotfish.experience.directory_lock import DirectoryLock
from pilotfish.experience.exposures import Exposure, append_exposure, exposures
from pilotfish.experience.log import DATABASE_NAME, ExperienceLog
from pilotfish.experience.record import RECORD_FORMAT, DecisionRecord
from pilotfish.experience.signals import Kind, NewSignal, ParkedSignal, Use, Value
from pilotfish.request import Module, Request, Task

PMF = msgspec.msgpack.encode([0.5, 0.5])


def record(request_id: str = "") -> DecisionRecord:
    request = Request(
        Task("ocr", "scan it", {"pages": 3.0, "lang": "de", "hurry": True, "embedding": [0.5, -1.0]}),
        (Module("a", {"gpu": True}, ("ocr",), 10), Module("b")),
        unit_id="u",
        request_id=request_id,
    )
    exposure = (Mode.ON, 1.0, True)
    return DecisionRecord(RECORD_FORMAT, request, *exposure, (0, 1), (), 0, (), (1.0,) * 7, 5, PMF, PMF, PMF)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ExperienceLog]:
    opened = ExperienceLog(tmp_path)
    yield opened
    opened.close()


def seen(signal: int, value: float) -> NewSignal:
    return NewSignal(signal, value, Kind.MEASURED, Use.LEARNED, served_module=None)


def append(log: ExperienceLog, request_id: str = "") -> bytes:
    decision_id = log.new_decision_id()
    number = log.register_model("v1", b"{}")
    assert log.append_decisions([(decision_id, "a", 0.5, Source.POLICY, number, record(request_id))]) == [True]
    return decision_id


def test_decision_is_found_by_its_id_as_it_was_written(log: ExperienceLog) -> None:
    decision_id = append(log)
    found = log.find_decision(decision_id)
    assert found is not None
    assert (found.module, found.propensity, found.source, found.model_version) == ("a", 0.5, Source.POLICY, "v1")
    assert found.record == record()


def test_forged_id_with_a_real_sequence_number_is_not_found(log: ExperienceLog) -> None:
    decision_id = append(log)
    assert log.find_decision(decision_id[:-1] + bytes([decision_id[-1] ^ 1])) is None


def test_second_decision_of_a_request_id_is_refused_and_changes_nothing(log: ExperienceLog) -> None:
    first = append(log, "r1")
    assert log.append_decisions([(log.new_decision_id(), "b", 0.5, Source.POLICY, 1, record("r1"))]) == [False]
    found = log.find_request("r1")
    assert found is not None
    assert (found.decision_id, found.module) == (first, "a")
    assert log.decision_count == 1


@pytest.mark.parametrize("propensity", [0.0, -0.5, 1.5, float("nan")])
def test_the_log_itself_refuses_an_impossible_propensity(log: ExperienceLog, propensity: float) -> None:
    number = log.register_model("v", b"")
    with pytest.raises(sqlite3.IntegrityError):
        log.append_decisions([(log.new_decision_id(), "a", propensity, Source.POLICY, number, record())])
    assert log.decision_count == 0


def test_signal_is_recorded_once_per_decision(log: ExperienceLog) -> None:
    sequence = int.from_bytes(append(log)[:6], "big")
    log.append_signals(sequence, [seen(1, 1.0)])
    with pytest.raises(sqlite3.IntegrityError):
        log.append_signals(sequence, [seen(2, 5.0), seen(1, 0.0)])
    assert log.signals_of(sequence) == {1: 1.0}


def test_signals_come_back_in_order_across_pages(log: ExperienceLog) -> None:
    ids = [log.new_decision_id() for _ in range(2500)]
    number = log.register_model("v1", b"{}")
    log.append_decisions([(decision_id, "a", 1.0, Source.BASELINE, number, record()) for decision_id in ids])
    for i, decision_id in enumerate(ids):
        log.append_signals(int.from_bytes(decision_id[:6], "big"), [seen(1, i / 2500)])
    values = [row.value for row in log.signals()]
    assert values == [i / 2500 for i in range(2500)]
    assert [row.value for row in log.signals(after=2490)] == values[2490:]
    assert sum(1 for _ in log.decisions()) == 2500


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    first = ExperienceLog(tmp_path)
    decision_id = append(first, "r")
    first.put_modules([Module("m", {"size": 2.0}), Module("n")])
    first.put_modules([Module("m", {"size": 3.0})])
    first.park_signals("later", [(1, Value(0.5)), (2, Value(9.0, Kind.LOWER_BOUND))], "a")
    fresh = Exposure()
    wished = Exposure(action="promote", actor="ops", reason="why", mode=Mode.ROLLOUT, rollout_share=0.25, evidence="{}")
    began = append_exposure(first, fresh, wished)
    held = append_exposure(first, began, msgspec.structs.replace(began, action="hold", held=True))
    first.close()
    second = ExperienceLog(tmp_path)
    assert second.find_decision(decision_id) is not None
    assert second.modules() == (Module("m", {"size": 3.0}), Module("n"))
    assert second.is_parked("later")
    assert second.parked_signals("later") == {
        1: ParkedSignal(Value(0.5), "a"),
        2: ParkedSignal(Value(9.0, Kind.LOWER_BOUND), "a"),
    }
    assert exposures(second, 10) == [held, began]
    assert (began.mode, began.share, began.actor, began.evidence) == (Mode.ROLLOUT, 0.25, "ops", "{}")
    assert (began.stage, held.stage, held.number) == (1, 1, 2)  # a hold begins no stage
    assert (began.decision_sequence, began.signal_sequence) == (1, 0)
    assert second.new_decision_id()[:6] == (2).to_bytes(6, "big")
    second.close()


def test_file_that_is_no_log_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"not a database, not by far" * 100)
    with pytest.raises(StateError, match=rf"{DATABASE_NAME} is not a usable log .*; move it away or restore it$"):
        ExperienceLog(tmp_path)


def test_log_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    log = ExperienceLog(tmp_path)
    log.close()
    connection = sqlite3.connect(tmp_path / DATABASE_NAME)
    with connection:
        connection.execute("UPDATE meta SET value = '99'")
    connection.close()
    with pytest.raises(StateError, match=r"^schema_version == 99 in .*, must be 4; use the release that wrote it$"):
        ExperienceLog(tmp_path)


def test_second_holder_of_a_directory_is_told_who_has_it(tmp_path: Path) -> None:
    first = DirectoryLock(tmp_path)
    with pytest.raises(StateError, match=r"is in use by process \d+; stop it or choose another directory$"):
        DirectoryLock(tmp_path)
    first.release()
    DirectoryLock(tmp_path).release()
