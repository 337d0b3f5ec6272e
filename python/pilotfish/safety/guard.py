"""The last look at an answer before it leaves. It knows nothing of how the answer came about."""

import math
from collections.abc import Sequence
from typing import Final

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


def fault_of_answer(served: int, propensity: float, legal: Sequence[int]) -> str:
    """Return what is wrong with the answer that is about to leave, or "" if nothing is."""
    if served not in legal:
        return f"candidate {served} is not legal"
    if not 0.0 < propensity <= 1.0 + SUM_TOLERANCE:
        return f"propensity is {propensity!r}"
    return ""
