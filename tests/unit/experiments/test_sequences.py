"""What a sequence is laid out for, by hand."""

from math import sqrt

import pytest

from pilotfish.experiments.sequences import CORE, difference_of_sides, opening_length
from tests.unit.experiments.twins import TwinSequence

Z_SQUARED = (1.959964 + 0.841621) ** 2


def layout(share: float, margin: float, opening: list[tuple[float, float]]) -> tuple[float | None, ...]:
    made: list[tuple[float | None, ...]] = []

    def make(*setting: float | None) -> TwinSequence:
        made.append(setting)
        return TwinSequence(-20.0, 20.0, -1.0, 1.0, 0.05, None, None)

    difference_of_sides(share, 0.05, margin, opening, CORE._replace(sequence=make))
    return made[0]


def test_sides_that_never_agree_are_read_like_two_proportions() -> None:
    """At share 1/4 contrasts are 4 and −4/3: variance (1/s + 1/(1 − s)) σ², and a lift of 5 % of the mean."""
    opening = [(float(i % 5 > 0), 4.0 if i % 4 == 0 else -4.0 / 3.0) for i in range(60)]
    mean = 49.0 / 62.0  # of 48 in 60, and of Laplace's 1 in 2
    variance = mean * (1.0 - mean) * (4.0 + 4.0 / 3.0)

    *setting, count, deviation = layout(0.25, 0.0, opening)

    assert setting == pytest.approx([-4.0, 4.0, -1.0, 1.0, 0.04])
    assert deviation == pytest.approx(sqrt(variance))
    assert count == pytest.approx(Z_SQUARED * variance / (0.05 * mean) ** 2, rel=1e-5)


def test_sides_that_agree_half_of_the_time_differ_by_half_as_much() -> None:
    """Half the variance and half the difference: twice the count."""
    differ = [(float(i % 2), 2.0 if i % 4 < 2 else -2.0) for i in range(4_000)]
    agree = [(float(i % 2), 0.0) for i in range(4_000)]

    full, half = layout(0.5, 0.0, differ), layout(0.5, 0.0, differ + agree)

    assert half[6] == pytest.approx((full[6] or 0.0) / sqrt(2.0), rel=1e-3)
    assert half[5] == pytest.approx(2.0 * (full[5] or 0.0), rel=1e-3)


def test_margin_above_the_lift_is_what_is_looked_for() -> None:
    opening = [(float(i % 2), 2.0 if i % 4 < 2 else -2.0) for i in range(60)]  # mean 1/2: a lift of 0.025

    counts = [layout(0.5, margin, opening)[5] or 0.0 for margin in (0.0, 0.02, 0.1)]

    assert counts == pytest.approx([counts[0], counts[0], counts[0] / 16.0])


@pytest.mark.parametrize("opening", [[], [(0.0, 0.0)] * 60, [(1.0, 0.0)] * 60, [(1.0, -1.0 / 0.95)] * 60])
@pytest.mark.parametrize("share", [1e-6, 0.05, 0.5, 1.0 - 1e-6])
def test_opening_without_spread_leaves_a_layout_that_the_core_takes(
    share: float, opening: list[tuple[float, float]]
) -> None:
    assert difference_of_sides(share, 0.05, 0.0, opening).interval() == (-1.0, 1.0)


@pytest.mark.parametrize(("share", "length"), [(0.5, 50), (0.25, 50), (0.05, 200), (0.95, 200), (0.01, 1_000)])
def test_opening_has_ten_outcomes_of_the_smaller_side(share: float, length: int) -> None:
    assert opening_length(share) == pytest.approx(length, abs=1)
