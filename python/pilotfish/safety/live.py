"""What a candidate may not be used for just now: budgets, breakers, predicted risk. The log keeps what came of it."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from pilotfish.codes import Reason
from pilotfish.request import Removal, Request
from pilotfish.safety.breakers import Breakers
from pilotfish.safety.budgets import Budgets

FAILED_BELOW: Final = 0.5
"""A completion below this is a failure to a breaker."""

RISK_RULE: Final = "safety.risk_cap"
BREAKER_RULE: Final = "safety.breakers"

LIVE_REASONS: Final = frozenset({Reason.BUDGET_SPENT, Reason.BREAKER_OPEN, Reason.RISK_TOO_HIGH})
"""Removals that depend on when it was asked; a replay takes them from the record."""


class Live(NamedTuple):
    """What is left of the legal set just now."""

    legal: tuple[int, ...]
    removed: tuple[Removal, ...]
    probing: tuple[int, ...]
    """Those of `legal` that are on probation."""
    panic: bool
    """Whether so many breakers are open that the least bad were let through."""


def limit(
    request: Request, legal: tuple[int, ...], budgets: Budgets, breakers: Breakers, now_s: float, *, critical: bool
) -> Live:
    """Return what of a legal set may be used now.

    Args:
        request: The request.
        legal: Indices of its candidates that break no constraint.
        budgets: The caller holds its lock until it has reserved a call, so that two cannot both take the last one.
        breakers: Failures of late.
        now_s: Monotonic seconds.
        critical: Whether the task is critical: modules on probation are then not used while others are legal.
    """
    removed: tuple[Removal, ...] = ()
    candidates = request.candidates
    names = [candidates[index].name for index in legal]
    if budgets.is_active and (spent := budgets.spent(names, now_s)):
        removed = tuple(Removal(legal[place], int(Reason.BUDGET_SPENT), rule) for place, rule in spent.items())
        legal = tuple(index for place, index in enumerate(legal) if place not in spent)
        names = [candidates[index].name for index in legal]
    ejected, probing, panic = breakers.eject(names, now_s)
    if not ejected and not probing:
        return Live(legal, removed, (), panic)
    out = set(ejected)
    if critical and len(out) + len(probing) < len(legal):
        out.update(probing)
        probing = ()
    removed += tuple(Removal(legal[place], int(Reason.BREAKER_OPEN), BREAKER_RULE) for place in sorted(out))
    on_probation = tuple(legal[place] for place in probing)
    return Live(tuple(index for place, index in enumerate(legal) if place not in out), removed, on_probation, panic)


def too_risky(
    legal: tuple[int, ...], completion: Sequence[float], deviation: Sequence[float], cap: float, deviations: float
) -> tuple[Removal, ...]:
    """Return the candidates whose failure may be more probable than a critical task allows.

    Upper bound of the failure: 1 − (predicted completion − deviations · its standard deviation).

    Args:
        legal: Indices of the candidates.
        completion: Predicted completion of each.
        deviation: Standard deviation of each prediction, >= 0.
        cap: Largest upper bound allowed, (0, 1].
        deviations: As in `SafetySettings.risk_deviations`.
    """
    return tuple(
        Removal(index, int(Reason.RISK_TOO_HIGH), RISK_RULE)
        for index, mean, spread in zip(legal, completion, deviation, strict=True)
        if not 1.0 - mean + deviations * spread <= cap  # written so that NaN is too risky
    )
