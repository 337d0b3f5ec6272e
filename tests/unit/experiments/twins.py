"""Slow twins of the core's anytime-valid statistics, after their sources."""

import math

from pilotfish.exceptions import InvalidInputError
from pilotfish.experiments.sequences import Statistics


class TwinSequence:
    """Predictable plug-in empirical Bernstein (Waudby-Smith & Ramdas 2023, theorem 2), with running intersection."""

    def __init__(
        self,
        low: float,
        high: float,
        mean_low: float,
        mean_high: float,
        alpha: float,
        _expected_count: float | None,
        _expected_deviation: float | None,
    ) -> None:
        self._low, self._width, self._log = low, high - low, math.log(2.0 / alpha)
        self._interval = (mean_low, mean_high)
        self._count = 0
        self._sum = self._squares = self._bets = self._products = self._penalty = 0.0

    @property
    def count(self) -> int:
        return self._count

    @property
    def mean(self) -> float:
        return self._low + self._width * self._sum / self._count

    def observe(self, x: float) -> None:
        y = (x - self._low) / self._width
        if not 0.0 <= y <= 1.0:
            raise InvalidInputError(f"x == {x}, must be in the range")
        n = self._count + 1
        mean = (0.5 + self._sum) / n
        variance = (0.25 + self._squares) / n
        bet = min(math.sqrt(2.0 * self._log / (variance * n * math.log(1.0 + n))), 0.5)
        self._penalty += 4.0 * (y - mean) ** 2 * (-math.log1p(-bet) - bet) / 4.0
        self._bets += bet
        self._products += bet * y
        self._sum += y
        self._squares += (y - (0.5 + self._sum) / (n + 1)) ** 2
        self._count = n

    def interval(self) -> tuple[float, float]:
        if self._count:
            radius = self._width * (self._log + self._penalty) / self._bets
            centre = self._low + self._width * self._products / self._bets
            lower, upper = self._interval
            self._interval = (max(lower, min(centre - radius, upper)), min(upper, max(centre + radius, lower)))
        return self._interval


class TwinRatio:
    """Beta-binomial mixture against the expected share; a mismatch is for good (Ville)."""

    def __init__(self, expected_share: float, alpha: float) -> None:
        self._share, self._threshold = expected_share, math.log(1.0 / alpha)
        self._counts = [0, 0]
        self._mismatch = False

    @property
    def count(self) -> int:
        return sum(self._counts)

    @property
    def treatment_count(self) -> int:
        return self._counts[1]

    @property
    def mismatch(self) -> bool:
        return self._mismatch

    def observe(self, in_treatment: bool) -> None:  # noqa: FBT001  the core's signature
        self._counts[in_treatment] += 1
        control, treatment = self._counts
        mixture = math.lgamma(treatment + 1) + math.lgamma(control + 1) - math.lgamma(treatment + control + 2)
        null = treatment * math.log(self._share) + control * math.log1p(-self._share)
        self._mismatch = self._mismatch or mixture - null >= self._threshold


TWINS = Statistics(sequence=TwinSequence, ratio=TwinRatio)
