"""Defaults: what is put on the log for a signal whose window has passed without a value."""

from itertools import takewhile
from typing import Final, NamedTuple

from pilotfish.experience.log import ExperienceLog, now_us
from pilotfish.experience.signals import INSERT_SIGNAL, Kind, SignalRow, Use

_SELECT_LACKING: Final = (
    "SELECT sequence FROM decision WHERE sequence > ? AND sequence <= ? AND NOT EXISTS (SELECT 1 FROM signal_value AS s"
    " WHERE s.decision_sequence = decision.sequence AND (s.signal = ? OR s.learned = 0)) ORDER BY sequence"
)


class Expired(NamedTuple):
    """One batch."""

    rows: list[SignalRow]
    """The defaults that were logged, in order."""
    decision_count: int
    """Decisions that were looked at; 0: no window has passed since the last look."""


def append_defaults(  # noqa: PLR0917  each is told by its type
    log: ExperienceLog, signal: int, value: float, before_us: int, limit: int, use: Use
) -> Expired:
    """Log a default for the next decisions that lack a signal, in one commit.

    Each decision is looked at once per signal, in the order of the log and up to the first that is too young; how far
    that is stands in the log too, so that a restart or a kill repeats nothing. A decision gets no default if another
    module ran than the decided one.

    Args:
        log: Where decisions and values are.
        signal: What may be missing.
        value: The default, in the signal's range.
        before_us: Latest decision time whose window has passed, in microseconds since the epoch.
        limit: Decisions to look at, at most.
        use: LEARNED, or PAUSED while learning is.

    Raises:
        sqlite3.Error: The log cannot be written; nothing was.
    """
    key, time_us = f"defaulted.{signal}", now_us()
    with log.transaction() as connection:
        found = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        after = int(found[0]) if found else 0
        query = "SELECT sequence, time_us FROM decision WHERE sequence > ? ORDER BY sequence LIMIT ?"
        younger = connection.execute(query, (after, limit)).fetchall()
        due = [sequence for sequence, _ in takewhile(lambda row: row[1] <= before_us, younger)]
        if not due:
            return Expired([], 0)
        rows = []
        for (decision,) in connection.execute(_SELECT_LACKING, (after, due[-1], signal)).fetchall():
            new = (decision, signal, value, Kind.DEFAULT, use, None, time_us)
            sequence = connection.execute(INSERT_SIGNAL, new).lastrowid or 0
            rows.append(SignalRow(sequence, decision, signal, value, Kind.DEFAULT, use, time_us))
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, str(due[-1])))
    log.signal_value_count += len(rows)
    return Expired(rows, len(due))
