"""The log's tables, and how the tables of an older release become today's."""

import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Final

from pilotfish.exceptions import StateError

SCHEMA_VERSION: Final = "4"

_TO_4: Final = """
    INSERT INTO exposure_change
        SELECT sequence, time_us, 'set_mode', actor, reason, mode, rollout_share, '', '', 0, 0, sequence,
            (SELECT COALESCE(MAX(d.sequence), 0) FROM decision AS d WHERE d.time_us < mode_change.time_us),
            (SELECT COALESCE(MAX(s.sequence), 0) FROM signal_value AS s WHERE s.time_us < mode_change.time_us), ''
        FROM mode_change;
    DROP TABLE mode_change;
    UPDATE meta SET value = '4' WHERE key = 'schema_version';
    COMMIT;
    """

_FROM_1: Final = (
    """
    BEGIN IMMEDIATE;
    ALTER TABLE signal_value RENAME TO signal_value_1;
    ALTER TABLE parked_signal ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
    """,
    """
    INSERT INTO signal_value
        SELECT sequence, decision_sequence, signal, value, time_us, learned, served_module, 0 FROM signal_value_1;
    DROP TABLE signal_value_1;
    """  # noqa: S608  no part of it comes from outside
    + _TO_4,
)
"""What goes before and after the making of today's tables. Version 2 lets a default stand beside a later measurement;
version 3 has births; version 4 says of each change who serves what, and on what evidence."""

_FROM_2: Final = ("BEGIN IMMEDIATE;", _TO_4)


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables that are missing; bring those of versions 1 to 3 up to date, all or nothing.

    Args:
        connection: In autocommit mode.
        path: Where the log is, for the message.

    Raises:
        StateError: The log comes from a newer release.
        sqlite3.Error: The file is not a log, or the disk refuses.
    """
    tables = files("pilotfish.experience").joinpath("schema.sql").read_text("utf-8")
    found = SCHEMA_VERSION
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        found = (connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() or (found,))[0]
    if found in {"1", "2", "3"}:
        before, after = _FROM_1 if found == "1" else _FROM_2
        connection.executescript(before + tables + after)
    elif found != SCHEMA_VERSION:
        raise StateError(
            f"schema_version == {found} in {path}, must be {SCHEMA_VERSION}; use the release that wrote it"
        )
    else:
        connection.executescript(tables)
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('schema_version', ?)", (SCHEMA_VERSION,))
