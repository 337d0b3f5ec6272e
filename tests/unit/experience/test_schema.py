"""Logs of older releases."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from pilotfish.codes import Source
from pilotfish.experience.log import DATABASE_NAME, ExperienceLog
from pilotfish.experience.record import RECORD_FORMAT, DecisionRecord
from pilotfish.experience.schema import SCHEMA_VERSION
from pilotfish.experience.signals import Kind, NewSignal, ParkedSignal, SignalRow, Use, Value
from pilotfish.request import Module, Request, Task

RECORD = DecisionRecord(RECORD_FORMAT, Request(Task("t"), (Module("a"),)), 4, 1.0, True, (0,), (), 0, (), (1.0,), 0)  # noqa: FBT003


def log_of_version_1(state_dir: Path) -> Path:
    path = state_dir / DATABASE_NAME
    connection = sqlite3.connect(path)
    connection.executescript(Path(__file__).with_name("schema_1.sql").read_text("utf-8"))
    with connection:
        connection.execute("INSERT INTO meta VALUES ('schema_version', '1')")
        connection.execute("INSERT INTO model_version VALUES (1, 'v', x'', 0)")
        record = msgspec.msgpack.encode(RECORD)
        row = (1, (1).to_bytes(6, "big") + bytes(10), 5, None, "", "t", "a", 1.0, Source.POLICY, 1, record)
        connection.execute("INSERT INTO decision VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO signal_value VALUES (3, 1, 4, 0.5, 7, 1, NULL), (9, 1, 2, 80, 8, 0, 'b')")
        connection.execute("INSERT INTO parked_signal VALUES ('r', 1, 0.25, 7, 'a')")
    connection.close()
    return path


def test_log_of_version_1_is_brought_up_to_date_with_every_value_as_it_was(tmp_path: Path) -> None:
    log_of_version_1(tmp_path)
    for _ in range(2):  # the second time there is nothing to do
        log = ExperienceLog(tmp_path)
        assert list(log.signals()) == [
            SignalRow(3, 1, 4, 0.5, Kind.MEASURED, Use.LEARNED, 7),
            SignalRow(9, 1, 2, 80.0, Kind.MEASURED, Use.OTHER_MODULE, 8),
        ]
        assert log.parked_signals("r") == {1: ParkedSignal(Value(0.25), "a")}
        assert log.decision_by_sequence(1).record == RECORD
        log.close()


def test_log_that_was_brought_up_to_date_takes_what_a_new_one_takes(tmp_path: Path) -> None:
    log_of_version_1(tmp_path)
    log = ExperienceLog(tmp_path)
    log.append_signals(1, [NewSignal(4, 0.1, Kind.DEFAULT, Use.LEARNED, None)])
    with pytest.raises(sqlite3.IntegrityError):
        log.append_signals(1, [NewSignal(4, 0.1, Kind.LOWER_BOUND, Use.LEARNED, None)])
    log.close()


def test_failure_on_the_way_leaves_the_old_log_untouched(tmp_path: Path) -> None:
    path = log_of_version_1(tmp_path)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TRIGGER refuse BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'full'); END")
    before = "\n".join(connection.iterdump())
    with pytest.raises(Exception, match="full"):
        ExperienceLog(tmp_path)
    assert "\n".join(connection.iterdump()) == before
    connection.execute("DROP TRIGGER refuse")
    connection.close()
    ExperienceLog(tmp_path).close()


def test_old_and_new_logs_have_the_same_tables(tmp_path: Path) -> None:
    def tables(directory: Path) -> tuple[object, ...]:
        connection = sqlite3.connect(directory / DATABASE_NAME)
        names = connection.execute("SELECT type, name FROM sqlite_master ORDER BY name").fetchall()
        version = connection.execute("SELECT value FROM meta").fetchall()
        columns = [
            connection.execute(f"PRAGMA table_info({name})").fetchall() for kind, name in names if kind == "table"
        ]
        connection.close()
        return names, version, columns

    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    log_of_version_1(tmp_path / "old")
    for name in ("old", "new"):
        ExperienceLog(tmp_path / name).close()
    assert tables(tmp_path / "old") == tables(tmp_path / "new")
    assert tables(tmp_path / "new")[1] == [(SCHEMA_VERSION,)]
