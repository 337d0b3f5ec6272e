"""The last look at an answer before it leaves. It knows nothing of how the answer came about."""

import math
from collections.abc import Sequence
from typing import Final

from pilotfish.request import Removal, Request
from pilotfish.safety.legal_set import Asked, Legality

SUM_TOLERANCE: Final = 1e-9


def fault_of_choice(pmf: Sequence[float], index: int, n_legal: int) -> str:
    """Return what is wrong with a policy's pmf over the legal set and its draw, or "" if nothing is.

    Of the draw only the impossible is refused, what no sound policy ever draws: a fallback that depended on a possible
    draw would change the probabilities that are logged.
    """
    if len(pmf) != n_legal:
        return f"pmf has {len(pmf)} entries for {n_legal} legal modules"
    if not min(pmf) >= 0.0:  # also refuses NaN in the first place
        return "pmf has a negative entry or NaN"
    total = math.fsum(pmf)
    if not abs(total - 1.0) <= SUM_TOLERANCE:  # written so that NaN and infinity fail
        return f"pmf sums to {total!r}"
    if not (0 <= index < n_legal and pmf[index] > 0.0):
        return f"draw {index} is impossible"
    return ""


def fault_of_answer(  # noqa: PLR0917  each is told by its type
    request: Request,
    served: int,
    propensity: float,
    removed: Sequence[Removal],
    legality: Legality,
    asked: Asked,
) -> str:
    """Return what is wrong with the answer that is about to leave, or "" if nothing is.

    The constraints are asked again about the served module alone, not the legal set that the core was given.
    """
    if not 0 <= served < len(request.candidates):
        return f"candidate {served} does not exist"
    for removal in removed:
        if removal.index == served:
            return f"candidate {served} was removed"
    if not 0.0 < propensity <= 1.0 + SUM_TOLERANCE:
        return f"propensity is {propensity!r}"
    return legality.fault_of(request, served, asked)
