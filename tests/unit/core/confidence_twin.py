"""The confidence sequence written out a second time, slowly: every observation is kept, every end is bracketed."""

import numpy as np
from scipy.optimize import brentq  # type: ignore[import-untyped]
from scipy.special import logsumexp  # type: ignore[import-untyped]

STAKE_MAX, COUNT_MAX, FURTHER, TUNED = 0.8, 1e6, 8, 0.8


def bets(
    depth: float, deviation: float, threshold: float, expected_count: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return λ and its weight, float64 [n_bets] each."""
    smallest = np.sqrt(2 * threshold / COUNT_MAX) / deviation
    halvings = max(0, int(np.ceil(np.log2(STAKE_MAX / depth / smallest))))
    lambdas = STAKE_MAX / depth / 2.0 ** np.arange(halvings + 1 + FURTHER)
    weights = np.concatenate((np.ones(halvings + 1), 0.25 ** np.arange(1, FURTHER + 1)))
    weights /= weights.sum()
    if expected_count is not None:
        tuned = min(np.sqrt(2 * threshold / expected_count) / deviation, STAKE_MAX / depth)
        lambdas, weights = np.append(lambdas, tuned), np.append(weights * (1 - TUNED), TUNED)
    return lambdas, weights


class ConfidenceTwin:
    """Same answers as `ConfidenceSequence`, at a cost that grows with every observation."""

    def __init__(  # noqa: PLR0917  the core's
        self,
        low: float,
        high: float,
        mean_low: float,
        mean_high: float,
        alpha: float,
        expected_count: float | None = None,
        expected_deviation: float | None = None,
    ) -> None:
        self.low, self.high, self.mean_low, self.mean_high = low, high, mean_low, mean_high
        self.threshold = float(np.log(2 / alpha))
        self.expected_count = expected_count
        self.deviation = expected_deviation or np.sqrt((high - low) * (mean_high - mean_low)) / 2
        self.seen: list[float] = []

    def observe(self, x: float) -> None:
        self.seen.append(x)

    def distance(self, residuals: np.ndarray, depth: float) -> float:
        """Where the mixture of exp(λ D + Σ (the four terms of ln(1 + λξ) − λξ)) comes to 2 / alpha."""
        lambdas, weights = bets(depth, self.deviation, self.threshold, self.expected_count)
        stakes = lambdas * depth
        remainder = (-np.log1p(-stakes) - stakes - stakes**2 / 2 - stakes**3 / 3) / stakes**4
        # The difference cancels for small stakes, where the sum of the series is the better one.
        small = stakes < 0.05
        series = sum(stakes**i / (i + 4) for i in range(12))
        remainder = np.where(small, series, remainder)
        z = lambdas[:, None] * residuals[None, :]
        cost = (z**2 / 2 - z**3 / 3 + remainder[:, None] * z**4).sum(axis=1)

        def wealth(distance: float) -> float:
            return float(logsumexp(lambdas * distance - cost, b=weights)) - self.threshold

        top = 1.0
        while wealth(top) < 0:
            top *= 2
        return float(brentq(wealth, 0.0, top, xtol=1e-13, rtol=1e-13))

    def interval(self) -> tuple[float, float]:
        if not self.seen:
            return self.mean_low, self.mean_high
        x = np.array(self.seen)
        before = np.cumsum(x)[:-1] / np.arange(1, len(x))
        centres = np.concatenate(([(self.mean_low + self.mean_high) / 2], before))
        residuals = x - np.clip(centres, self.mean_low, self.mean_high)
        ends = (
            x.sum() - self.distance(residuals, self.mean_high - self.low),
            x.sum() + self.distance(-residuals, self.high - self.mean_low),
        )
        low, high = (float(np.clip(end / len(x), self.mean_low, self.mean_high)) for end in ends)
        return low, high
