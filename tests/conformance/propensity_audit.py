"""The audit that the suite and its mutants share: do the logged probabilities say how often things were served?

Both statistics are exact for any number of draws, so that many small configurations can be added up:

- Pearson's X² of the served counts against the logged probabilities has mean K − 1 and variance
  2(K − 1) + (Σ 1/p_a − K² − 2K + 2)/n for n draws over K actions with p_a > 0 (Haldane, Biometrika 29, 1937).
- The importance weight summed over actions, Σ_a 1[a served]/p_a, has mean K and variance Σ 1/p_a − K².
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

Draws = tuple[list[float], list[int], list[float]]
"""Served probabilities of all legal actions [K], and for n draws the served action and its returned propensity."""


@dataclass
class Audit:
    """Adds up configurations; the two z-scores are standard normal if, and only if, the log tells the truth."""

    chi_square: float = 0.0
    chi_square_mean: float = 0.0
    chi_square_variance: float = 0.0
    weight: float = 0.0
    weight_mean: float = 0.0
    weight_variance: float = 0.0
    impossible: int = 0
    inconsistent: int = 0
    configurations: int = field(default=0)

    def add(self, draws: Draws) -> None:
        """Take in one configuration."""
        probabilities, served, propensities = draws
        n_draws, support = len(served), [p for p in probabilities if p > 0.0]
        n_support, sum_inverse = len(support), math.fsum(1.0 / p for p in support)
        counts = [served.count(action) for action in range(len(probabilities))]
        self.impossible += sum(count for p, count in zip(probabilities, counts, strict=True) if p <= 0.0)
        self.inconsistent += sum(
            abs(propensity - probabilities[action]) > 1e-12
            for action, propensity in zip(served, propensities, strict=True)
        )
        self.configurations += 1
        self.weight += math.fsum(1.0 / propensity for propensity in propensities)
        self.weight_mean += n_draws * n_support
        self.weight_variance += n_draws * (sum_inverse - n_support**2)
        self.chi_square += math.fsum(
            (count - n_draws * p) ** 2 / (n_draws * p)
            for p, count in zip(probabilities, counts, strict=True)
            if p > 0.0
        )
        self.chi_square_mean += n_support - 1
        excess = (sum_inverse - n_support**2 - 2 * n_support + 2) / n_draws
        self.chi_square_variance += 2 * (n_support - 1) + excess

    @property
    def chi_square_z(self) -> float:
        """How many standard errors the counts are from the logged probabilities."""
        return _z(self.chi_square - self.chi_square_mean, self.chi_square_variance)

    @property
    def weight_z(self) -> float:
        """How many standard errors E[1/p] is from the number of actions."""
        return _z(self.weight - self.weight_mean, self.weight_variance)

    @property
    def passes(self) -> bool:
        """Whether the log can be believed: 3 standard errors, the two-sided 99.7 % limits."""
        return (
            self.impossible == 0
            and self.inconsistent == 0
            and abs(self.chi_square_z) < 3.0
            and abs(self.weight_z) < 3.0
        )


def audit(configurations: Iterable[Draws]) -> Audit:
    """Return the audit of all configurations."""
    result = Audit()
    for draws in configurations:
        result.add(draws)
    return result


def _z(difference: float, variance: float) -> float:
    if variance <= 0.0:
        return 0.0 if abs(difference) < 1e-6 else math.inf  # certainty: any difference is a fault
    return difference / math.sqrt(variance)
