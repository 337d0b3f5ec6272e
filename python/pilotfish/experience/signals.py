"""Signal values as the log keeps them."""

from enum import IntEnum
from typing import Any, Final, NamedTuple

import msgspec

INSERT_SIGNAL: Final = (
    "INSERT INTO signal_value (decision_sequence, signal, value, kind, learned, served_module, time_us)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)

_SELECT: Final = "SELECT sequence, decision_sequence, signal, value, kind, learned, time_us FROM signal_value"

SELECT_ROWS_OF: Final = f"{_SELECT} WHERE decision_sequence = ? ORDER BY sequence"

SELECT_SIGNALS: Final = f"{_SELECT} WHERE sequence > ? ORDER BY sequence LIMIT 1000"

SELECT_SIGNALS_LATE_IN_TIME: Final = (
    "SELECT sequence, decision_sequence, signal, value, kind, iif(learned = 2, 1, learned), time_us"
    " FROM signal_value AS s"
    " WHERE sequence > ? AND NOT (kind = 2 AND EXISTS"
    " (SELECT 1 FROM signal_value AS m WHERE m.decision_sequence = s.decision_sequence"
    " AND (m.signal = s.signal AND m.kind <> 2 OR m.learned = 0))) ORDER BY sequence LIMIT 1000"
)
"""A late value counts as learned, and a default whose value came later is left out."""


class Kind(IntEnum):
    """What a logged value is."""

    MEASURED = 0
    LOWER_BOUND = 1
    """The true value is this or more: the measurement was cut off."""
    DEFAULT = 2
    """Nobody measured it; it was learned when the signal's window had passed."""


class Use(IntEnum):
    """What became of a logged value; the column `learned`."""

    OTHER_MODULE = 0
    """Kept, not learned: another module ran than the decided one, so the propensity is not its."""
    LEARNED = 1
    LATE = 2
    """Kept, not learned: it came after its default had been learned, and sums cannot forget the default."""
    PAUSED = 3
    """Kept, not learned: learning was paused when it came."""


class Value(NamedTuple):
    """A reported value."""

    value: float
    """In the signal's unit."""
    kind: Kind = Kind.MEASURED


class NewSignal(NamedTuple):
    """One signal value to be logged."""

    signal: int
    value: float
    kind: Kind
    use: Use
    served_module: str | None


class SignalRow(msgspec.Struct, frozen=True, gc=False):
    """One logged signal value."""

    sequence: int
    decision_sequence: int
    signal: int
    value: float
    kind: Kind
    use: Use
    time_us: int = 0
    """When it was logged; the values of one call share it."""


class ParkedSignal(NamedTuple):
    """One value that waits for its decision."""

    value: Value
    served_module: str
    """As reported; empty if not."""


def read_row(row: tuple[Any, ...]) -> SignalRow:
    """Return what one of the queries above has read."""
    sequence, decision_sequence, signal, value, kind, use, time_us = row
    return SignalRow(sequence, decision_sequence, signal, value, Kind(kind), Use(use), time_us)
