"""A measured figure beside what was asked for, and the estimates that figures are made of."""

import operator
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from benches.quality.stream import Floats

RELATIONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">=": operator.ge,
    ">": operator.gt,
}


class Figure(NamedTuple):
    """One row of the table. `relation` and `limit` say what was asked for; "" and None: shown for comparison only.

    `error` is the standard error over the seeds, None where the figure is a count or an extreme. `detail` says how the
    seeds differ.
    """

    study: str
    what: str
    value: float
    error: float | None = None
    relation: str = ""
    limit: float | None = None
    detail: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the figure is as asked for; None where nothing was asked."""
        return None if self.limit is None else RELATIONS[self.relation](self.value, self.limit)


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean of one figure per seed and its standard error, None for a single seed."""
    known = np.asarray(values, dtype=np.float64)
    error = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else None
    return float(known.mean()), error


def ratio_and_error(upper: Sequence[float], lower: Sequence[float]) -> tuple[float, float | None]:
    """Return Σ upper ÷ Σ lower over the seeds, and its standard error by the jackknife, None for a single seed.

    Source: Efron and Stein, The jackknife estimate of variance, 1981: variance (n − 1)/n Σ (r₋ᵢ − mean r₋ᵢ)², with
    r₋ᵢ the ratio without seed i. The sums are paired, so noise that both share cancels.
    """
    above, below = np.asarray(upper, dtype=np.float64), np.asarray(lower, dtype=np.float64)
    ratio, count = float(above.sum() / below.sum()), len(above)
    if count == 1:
        return ratio, None
    without = (above.sum() - above) / (below.sum() - below)
    return ratio, float(np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum()))


def window_means(values: Floats, width: int) -> Floats:
    """Return the means of every `width` neighbours: float64 [n − width + 1].

    Raises:
        ValueError: There are fewer values than that.
    """
    if not 1 <= width <= len(values):
        raise ValueError(f"width == {width}, must be in [1, {len(values)}]")
    sums = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    return np.asarray((sums[width:] - sums[:-width]) / width)
