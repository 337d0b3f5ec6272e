"""Numbers in units of what has been seen so far: never of what is still to come."""

import math
from typing import Final

from benches.quality.stream import Features

CLIP: Final = 8.0


class Standardiser:
    """Keeps count, mean and spread of each number (Welford 1962) and scales by them."""

    def __init__(self) -> None:
        self._moments: dict[str, tuple[int, float, float]] = {}  # count, mean, sum of squared deviations

    def standardise(self, features: Features) -> dict[str, float | str]:
        """Return each number as (value − mean) / sd within ±8, by the tasks so far, this one counted; texts stay.

        A number that has never varied is 0.
        """
        return {
            name: value if isinstance(value, str) else self._standardised(name, value)
            for name, value in features.items()
        }

    def _standardised(self, name: str, value: float) -> float:
        count, mean, squares = self._moments.get(name, (0, 0.0, 0.0))
        delta, count = value - mean, count + 1
        mean += delta / count
        squares += delta * (value - mean)
        self._moments[name] = (count, mean, squares)
        scale = math.sqrt(squares / count)
        return min(max((value - mean) / scale, -CLIP), CLIP) if scale > 0.0 else 0.0
