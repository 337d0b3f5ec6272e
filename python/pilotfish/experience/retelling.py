"""The log told again in the order in which it came about: for whatever follows it and keeps nothing of its own."""

from collections.abc import Iterator
from heapq import merge
from itertools import groupby, takewhile
from typing import TypeAlias

from pilotfish.experience.log import ExperienceLog
from pilotfish.experience.record import LoggedDecision
from pilotfish.experience.signals import SignalRow, Use

Told: TypeAlias = tuple[LoggedDecision, list[SignalRow]]
"""A decision and the rows of one outcome call; none when it was decided."""

_DECIDED, _HAPPENED = 0, 1
_Event: TypeAlias = tuple[int, int, int, LoggedDecision | list[SignalRow]]
"""Time in microseconds, which of the two it is, the decision's sequence number, and what was logged."""


def retell(log: ExperienceLog, after: tuple[int, int], up_to: tuple[int, int] | None = None) -> Iterator[Told]:
    """Yield each decision, with no rows, and each outcome call, with the rows that a follower was told of.

    In the order of their times; of one time decisions come first. Told are the values that belong to the decided module
    and are the first of their signals, whether learned or not.

    Args:
        log: The truth.
        after: Sequence numbers: decisions after the first, signal values after the second; their decisions may lie
            before.
        up_to: The last decision and the last signal value; None: all that come while it is being told.
    """
    decisions, signals = log.decisions(after[0]), log.signals(after[1])
    if up_to is not None:
        last_decision, last_signal = up_to
        decisions = takewhile(lambda decision: decision.sequence <= last_decision, decisions)
        signals = takewhile(lambda row: row.sequence <= last_signal, signals)
    decided: Iterator[_Event] = ((decision.time_us, _DECIDED, decision.sequence, decision) for decision in decisions)
    counted = (row for row in signals if row.use in {Use.LEARNED, Use.PAUSED})
    calls = groupby(counted, key=lambda row: (row.time_us, row.decision_sequence))
    happened: Iterator[_Event] = ((time_us, _HAPPENED, sequence, list(rows)) for (time_us, sequence), rows in calls)
    for _, _, sequence, what in merge(decided, happened, key=lambda event: event[:2]):
        if isinstance(what, LoggedDecision):
            yield what, []
        else:
            yield log.decision_by_sequence(sequence), what
