"""What safeguards knew before a restart, taken in again from the newest part of the log."""

from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from pilotfish.experience.log import ExperienceLog
from pilotfish.experience.signals import Use
from pilotfish.safety.safeguards import Safeguards

HORIZON_S: Final = 600.0
"""What breakers remember: the longest time that one stays open, and a window before it."""
BUDGET_HORIZON_S: Final = 3600.0
"""What budgets remember: cost is counted by the hour."""
EVENTS_MAX: Final = 100_000
"""Newest decisions, and newest signal values, that are looked at: three seconds of a start. A budget of more calls than
that in its window begins a restart with what the newest show."""


def recollect(log: ExperienceLog, safeguards: Safeguards, now_us: int, now_s: float) -> None:
    """Tell safeguards of the log's newest decisions and outcomes, in their order and at their times.

    Args:
        log: The truth.
        safeguards: Fresh ones.
        now_us: Microseconds since the epoch.
        now_s: Monotonic seconds at the same moment.
    """
    is_counting = safeguards.budgets.is_active
    since_us = now_us - int(1e6 * (BUDGET_HORIZON_S if is_counting else HORIZON_S))
    decision, signal = log.before(since_us)
    decision = max(decision, log.last_decision_sequence() - EVENTS_MAX)
    signal = max(signal, log.last_signal_sequence() - EVENTS_MAX)
    if signal == log.last_signal_sequence() and not is_counting:
        return  # nothing that a breaker could have learned

    def monotonic_s(time_us: int) -> float:
        return now_s - max(0.0, (now_us - time_us) * 1e-6)  # what is dated later than now came at most now

    decided = ((row.time_us, 0, row) for row in log.decisions(decision))
    rows = (row for row in log.signals(signal) if row.use in {Use.LEARNED, Use.PAUSED})
    calls = groupby(rows, key=lambda row: (row.time_us, row.decision_sequence))
    reported = (
        (time_us, 1, (sequence, [(row.signal, row.value) for row in call])) for (time_us, sequence), call in calls
    )
    what: Any
    for time_us, kind, what in merge(decided, reported, key=itemgetter(0, 1)):
        at_s = monotonic_s(time_us)
        if kind:
            answered = log.decision_by_sequence(what[0])
            safeguards.observe(answered.module, answered.decision_id, what[1], at_s)
            continue
        if is_counting:
            safeguards.budgets.reserve(what.module, what.decision_id, at_s)
        if what.record.probing and what.module in {what.record.request.candidates[i].name for i in what.record.probing}:
            safeguards.breakers.begin_probe(what.module, what.decision_id, at_s)
