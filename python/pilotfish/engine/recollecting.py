"""What safeguards knew before a restart, taken in again from the newest part of the log."""

from typing import Final

from pilotfish.experience.log import ExperienceLog
from pilotfish.experience.retelling import retell
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

    for told, rows in retell(log, (decision, signal)):
        if rows:
            values = [(row.signal, row.value) for row in rows]
            safeguards.observe(told.module, told.decision_id, values, monotonic_s(rows[0].time_us))
            continue
        at_s, record = monotonic_s(told.time_us), told.record
        if is_counting:
            safeguards.budgets.reserve(told.module, told.decision_id, at_s)
        if told.module in {record.request.candidates[index].name for index in record.probing}:
            safeguards.breakers.begin_probe(told.module, told.decision_id, at_s)
