"""What follows an alarm of the change detector: what was learned before the change counts for little from then on.

A change is a fact of the log. The weight of an outcome follows from its decision's place in the log and the changes on
record, so it does not matter when or in which order outcomes arrive.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from pilotfish._core import Alarm, ChangeDetector
from pilotfish.rewards import SIGNAL_NAMES

ALPHA: Final = 1e-6
"""One false alarm in 1 / ALPHA values on average, all signals together: a value starts bets for its own signal alone,
so the sum of all detectors' evidence grows by at most 1 per value, and signals share ALPHA as modules do."""

KEPT: Final = 20.0
"""Outcomes that what is forgotten still counts for: a prior, so that relearning does not start from nothing."""

SPARED: Final = 1500.0
"""Outcomes that modules which have not changed still count for, when others have."""

SPARED_SHARE: Final = 0.3
"""And the largest share of them."""


class Change(msgspec.Struct, frozen=True, array_like=True):
    """That the world has changed."""

    signal: int
    """Place of the head whose outcomes gave the alarm."""
    evidence: float
    """Natural logarithm of the detector's statistic."""
    since: int
    """Sequence number of the first decision after the change."""
    modules: tuple[str, ...]
    """Modules that have changed; empty: any may have."""
    weight: float
    """What outcomes of `modules` (of all, if empty) from before count for, in (0, 1]."""
    spared_weight: float
    """The same for other modules."""


def in_words(change: Change) -> str:
    """Return what has changed since when, for people."""
    where = ", ".join(change.modules) or "any module"
    return f"{SIGNAL_NAMES[change.signal]} of {where} has changed since decision {change.since}"


def new_detectors() -> tuple[ChangeDetector, ...]:
    """Return a detector per head; together they keep to ALPHA."""
    return tuple(ChangeDetector(ALPHA) for _ in SIGNAL_NAMES)


def change_of(alarm: Alarm, signal: int, since: int, n_before: float) -> Change:
    """Return what an alarm means for what was learned before it.

    Args:
        alarm: The alarm.
        signal: Place of its head.
        since: Sequence number of the first decision after the change.
        n_before: What the outcomes of this head from before count for so far.
    """
    n_before = max(n_before, 1.0)
    weight = min(1.0, KEPT / n_before)
    spared = min(SPARED_SHARE, SPARED / n_before) if alarm.modules else weight
    return Change(signal, alarm.evidence, since, tuple(alarm.modules), weight, max(weight, spared))


def weight_after(changes: Iterable[Change], decision_sequence: int, module: str) -> float:
    """Return what an outcome counts for: the product over the changes that came after its decision, at least 1e-6."""
    weight = 1.0
    for change in changes:
        if decision_sequence < change.since:
            weight *= change.weight if not change.modules or module in change.modules else change.spared_weight
    return max(weight, 1e-6)
