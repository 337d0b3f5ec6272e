"""Are the logged propensities the probabilities with which modules were served?

Each decision t states a probability p_ta for every candidate a, and serves one, c_t. Let f_ta be the indicator vector
of the bin that p_ta falls into and of the module that a is. If the probabilities are exact, f of the served candidate
has mean Σ_a p_ta f_ta given all that came before, although p_t depends on it, so that

    S = Σ_t (f_{t c_t} - Σ_a p_ta f_ta),    V = Σ_t Cov_{a ~ p_t}(f_ta),    Sᵀ V⁺ S  →  χ² of rank(V) degrees of freedom

(martingale central limit theorem). The bins catch probabilities that are right in order and wrong in size, the modules
those that are right in size and belong to another: a uniform pmf logged for a greedy choice fills one bin and looks
perfect there. Pearson's Σ (O - E)² / E over the bins is not χ²: candidates of one decision exclude one another.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Stated: TypeAlias = tuple[Mapping[str, float], str]
"""Probability of each candidate of being served, and the candidate that was."""

BIN_EDGES: Final = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
"""Finer towards 0, where most candidates are and where 1/p makes an error expensive."""

MIN_VARIANCE: Final = 5.0
"""Bins with less variance than this join their neighbour, modules with less are not compared: the normal approximation
needs a few expected events."""

SUM_TOLERANCE: Final = 1e-6
"""How far from 1 a decision's probabilities may sum."""

_CONVERGED: Final = 1e-15
_ITERATIONS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Calibration:
    """Expected against observed, bin by bin."""

    edges: tuple[float, ...]
    """Bounds of the bins that were compared; one more than bins."""
    expected: tuple[float, ...]
    """Σ_t P_tb: how often a candidate of this bin should have been served."""
    observed: tuple[int, ...]
    """Σ_t Y_tb: how often one was."""
    statistic: float
    degrees_of_freedom: int
    p_value: float
    """Probability of a statistic at least this large if every propensity is exact; 1 if nothing was random."""


def calibrate(decisions: Iterable[Stated]) -> Calibration:
    """Compare what decisions stated with what they served.

    Raises:
        ValueError: A decision's probabilities do not sum to 1, or it served a module without probability.
    """
    stated = list(decisions)
    for probabilities, served in stated:
        _check(probabilities, served)
    n_bins = len(BIN_EDGES) - 1
    _, covariance = _score(stated, lambda _, probability: (_bin(probability),), n_bins)
    groups = _groups(covariance)
    group_of = {index: number for number, group in enumerate(groups) for index in group}
    place_of = {module: len(groups) + i for i, module in enumerate(sorted({m for pmf, _ in stated for m in pmf}))}
    difference, covariance = _score(
        stated,
        lambda module, probability: (group_of[_bin(probability)], place_of[module]),
        len(groups) + len(place_of),
    )
    compared = [i for i in range(len(difference)) if i < len(groups) or covariance[i][i] >= MIN_VARIANCE]
    statistic, rank = _quadratic_form(
        [difference[i] for i in compared], [[covariance[i][j] for j in compared] for i in compared]
    )
    expected = [0.0] * len(groups)
    observed = [0] * len(groups)
    for probabilities, served in stated:
        for probability in probabilities.values():
            expected[group_of[_bin(probability)]] += probability
        observed[group_of[_bin(probabilities[served])]] += 1
    return Calibration(
        edges=(*(BIN_EDGES[group[0]] for group in groups), BIN_EDGES[-1]),
        expected=tuple(expected),
        observed=tuple(observed),
        statistic=statistic,
        degrees_of_freedom=rank,
        p_value=chi_square_tail(statistic, rank),
    )


def _check(probabilities: Mapping[str, float], served: str) -> None:
    total = math.fsum(probabilities.values())
    if not abs(total - 1.0) <= SUM_TOLERANCE:
        raise ValueError(f"probabilities sum to {total}, must sum to 1")
    if not probabilities.get(served, 0.0) > 0.0:
        raise ValueError(f"served module {served!r} had probability {probabilities.get(served)}, must be > 0")


def _bin(probability: float) -> int:
    return min(bisect_right(BIN_EDGES, probability), len(BIN_EDGES) - 1) - 1


def _score(
    stated: Sequence[Stated], features: Callable[[str, float], tuple[int, ...]], size: int
) -> tuple[list[float], list[list[float]]]:
    """Return S and V for indicator features, given by the places of their ones."""
    difference = [0.0] * size
    covariance = [[0.0] * size for _ in range(size)]
    for probabilities, served in stated:
        mean: dict[int, float] = {}
        for module, probability in probabilities.items():
            places = features(module, probability)
            for i in places:
                mean[i] = mean.get(i, 0.0) + probability
                for j in places:
                    covariance[i][j] += probability
        for i, m in mean.items():
            difference[i] -= m
            for j, n in mean.items():
                covariance[i][j] -= m * n
        for i in features(served, probabilities[served]):
            difference[i] += 1.0
    return difference, covariance


def _groups(covariance: Sequence[Sequence[float]]) -> list[list[int]]:
    """Join neighbouring bins until each group's count has the variance that a normal approximation needs."""
    groups: list[list[int]] = []
    open_group: list[int] = []
    for index in range(len(covariance)):
        open_group.append(index)
        if math.fsum(covariance[a][b] for a in open_group for b in open_group) >= MIN_VARIANCE:
            groups.append(open_group)
            open_group = []
    if open_group:
        if groups:
            groups[-1].extend(open_group)
        else:
            groups.append(open_group)
    return groups


def _quadratic_form(difference: Sequence[float], covariance: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Return xᵀ V⁺ x and the rank of V, which is positive semi-definite; Gaussian elimination on the diagonal."""
    x = list(difference)
    v = [list(row) for row in covariance]
    size = len(x)
    smallest = 1e-7 * max((v[i][i] for i in range(size)), default=0.0)
    value, rank = 0.0, 0
    left = set(range(size))
    while left:
        pivot = max(left, key=lambda i: v[i][i])
        if v[pivot][pivot] <= smallest:
            break
        left.remove(pivot)
        rank += 1
        value += x[pivot] ** 2 / v[pivot][pivot]
        for i in left:
            factor = v[i][pivot] / v[pivot][pivot]
            x[i] -= factor * x[pivot]
            for j in left:
                v[i][j] -= factor * v[pivot][j]
    return value, rank


def chi_square_tail(statistic: float, degrees_of_freedom: int) -> float:
    """Return P[χ² ≥ statistic], which is the regularised incomplete gamma function Q(k/2, x/2); 1 for 0 degrees.

    By its series below the mean and by Lentz's continued fraction above it (Press et al., Numerical Recipes, 6.2).
    """
    a, x = degrees_of_freedom / 2.0, statistic / 2.0
    if degrees_of_freedom == 0 or x <= 0.0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1.0:
        term = total = 1.0 / a
        for n in range(1, _ITERATIONS):
            term *= x / (a + n)
            total += term
            if term < total * _CONVERGED:
                break
        return 1.0 - front * total
    tiny = 1e-300
    b = x + 1.0 - a
    c, d = 1.0 / tiny, 1.0 / b
    fraction = d
    for n in range(1, _ITERATIONS):
        step = -n * (n - a)
        b += 2.0
        d = 1.0 / (step * d + b or tiny)
        c = b + step / c or tiny
        fraction *= d * c
        if abs(d * c - 1.0) < _CONVERGED:
            break
    return front * fraction
