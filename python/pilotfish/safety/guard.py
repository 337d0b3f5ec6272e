"""The last look at an answer before it leaves. It knows nothing of how the answer came about."""

import math
from collections.abc import Sequence
from typing import Final

SUM_TOLERANCE: Final = 1e-9


def fault_of_pmf(pmf: Sequence[float], n_legal: int) -> str:
    """Return what is wrong with a policy's pmf over the legal set, or "" if nothing is.

    It looks at the pmf only, never at the draw: a fallback that depended on the draw would change the probabilities
    that are logged.
    """
    if len(pmf) != n_legal:
        return f"pmf has {len(pmf)} entries for {n_legal} legal modules"
    if not min(pmf) >= 0.0:  # also refuses NaN in the first place
        return "pmf has a negative entry or NaN"
    total = math.fsum(pmf)
    if not abs(total - 1.0) <= SUM_TOLERANCE:  # written so that NaN and infinity fail
        return f"pmf sums to {total!r}"
    return ""


def fault_of_answer(served: int, propensity: float, legal: Sequence[int]) -> str:
    """Return what is wrong with the answer that is about to leave, or "" if nothing is."""
    if served not in legal:
        return f"candidate {served} is not legal"
    if not 0.0 < propensity <= 1.0 + SUM_TOLERANCE:
        return f"propensity is {propensity!r}"
    return ""
