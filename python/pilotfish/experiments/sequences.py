"""What the rollout needs of the core's anytime-valid statistics."""

from collections.abc import Callable, Collection
from math import ceil, sqrt
from typing import Final, NamedTuple, Protocol

from pilotfish._core import ConfidenceSequence, SampleRatio


class Sequence(Protocol):
    """An interval for the running mean that holds at all times at once; see `ConfidenceSequence`."""

    @property
    def count(self) -> int: ...  # noqa: D102

    @property
    def mean(self) -> float: ...  # noqa: D102

    def observe(self, x: float) -> None: ...  # noqa: D102

    def interval(self) -> tuple[float, float]: ...  # noqa: D102


class Ratio(Protocol):
    """A test, valid at all times, that a share of units is as expected; see `SampleRatio`."""

    @property
    def count(self) -> int: ...  # noqa: D102

    @property
    def treatment_count(self) -> int: ...  # noqa: D102

    @property
    def mismatch(self) -> bool: ...  # noqa: D102

    def observe(self, in_treatment: bool) -> None: ...  # noqa: D102, FBT001


class Statistics(NamedTuple):
    """Where sequences and ratios come from: the core, unless a test brings a twin."""

    sequence: Callable[[float, float, float, float, float, float | None, float | None], Sequence] = ConfidenceSequence
    """Makes one of (low, high, mean_low, mean_high, alpha, expected_count, expected_deviation): values in [low, high],
    their mean in the other range; the last two say where the interval shall be tightest, or are None."""
    ratio: Callable[[float, float], Ratio] = SampleRatio
    """Makes one of (expected_share, alpha)."""


CORE: Final = Statistics()
"""Those of the core."""

LIFT: Final = 0.05
"""Difference that is looked for first, as a part of the mean utility: a smaller one is seldom worth a rollout."""

MOST_EXPECTED: Final = 1e12
"""The largest count that the core lays out for."""

OPENING: Final = 50
"""Outcomes of which an opening has at least so many: fewer say little of the spread of utilities."""

OPENING_OF_A_SIDE: Final = 10
"""And on average so many of the smaller side: fewer say little of how often the sides differ."""

SPENT: Final = 0.8
"""Part of alpha that is used. Well laid out, the bound errs nearly as often as it may, and no affordable number of
runs tells that from too often; 2 or 3 % more of width make the promise one that can be measured."""

_ONE_LOOK: Final = (1.959964 + 0.841621) ** 2
"""A two-sided test at 5 % that looks once has power 80 % after so many times variance / difference² observations."""


def largest_contrast(share: float) -> float:
    """Return what no contrast exceeds (`Observation.contrast`), nor an observation of the difference of two sides.

    Args:
        share: The policy's share of units, (0, 1).
    """
    return max(1.0 / share, 1.0 / (1.0 - share))


def opening_length(share: float) -> int:
    """Return how many outcomes only tell what to expect of a stage, and are not compared: 50, or more at small shares.

    Args:
        share: The policy's share of units, (0, 1).
    """
    return max(OPENING, ceil(OPENING_OF_A_SIDE / min(share, 1.0 - share)))


def difference_of_sides(
    share: float, alpha: float, margin: float, opening: Collection[tuple[float, float]], statistics: Statistics = CORE
) -> Sequence:
    """Return a sequence for V(policy) − V(control) that is tightest where a difference of note is due.

    It is laid out for the larger of the margin and `LIFT` × the mean utility on what the sides serve differently, and
    for the count at which a test that looks once would find it. Where that is wrong it is wider, never invalid.

    Args:
        share: The policy's share of units, (0, 1).
        alpha: Chance that the interval is ever wrong, (0, 1).
        margin: Tolerated loss of utility, >= 0.
        opening: Utility in [0, 1] and contrast (`Observation.contrast`) of outcomes that are not observed again.
        statistics: Where the sequence comes from.

    Returns:
        For values in ± `largest_contrast` whose mean is in [−1, 1].
    """
    utilities, contrasts = zip(*opening, strict=True) if opening else ((), ())
    # Laplace's two, so that neither mean nor spread is ever taken to be 0; and one outcome of sides that never agree.
    seen = (0.0, 1.0, *utilities)
    n = 1 + len(contrasts)
    differing = (1.0 + sum(abs(contrast) for contrast in contrasts) / 2.0) / n  # total variation of the two
    square = (1.0 / share + 1.0 / (1.0 - share) + sum(contrast * contrast for contrast in contrasts)) / n
    mean = sum(seen) / len(seen)
    variance = sum((utility - mean) ** 2 for utility in seen) / len(seen) * square
    difference = max(margin, LIFT * mean * differing)
    bound = largest_contrast(share)
    count = min(max(_ONE_LOOK * variance / difference**2, 1.0), MOST_EXPECTED)
    return statistics.sequence(-bound, bound, -1.0, 1.0, SPENT * alpha, count, sqrt(variance))
