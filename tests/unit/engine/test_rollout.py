import math
from itertools import pairwise

import pytest

from pilotfish.codes import Mode
from pilotfish.engine.rollout import policy_share, served_probability, unit_fraction

UNITS = [f"unit-{i}" for i in range(20_000)]


@pytest.mark.parametrize("share", [0.05, 0.10, 0.25, 0.5])
def test_observed_share_is_within_the_binomial_limits(share: float) -> None:
    inside = sum(unit_fraction(unit, b"salt") < share for unit in UNITS)
    limit = 3.29 * math.sqrt(len(UNITS) * share * (1 - share))  # two-sided 99.9 %
    assert abs(inside - len(UNITS) * share) <= limit


def test_no_unit_leaves_when_the_share_grows() -> None:
    stages = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)
    inside = [{unit for unit in UNITS if unit_fraction(unit, b"salt") < share} for share in stages]
    assert all(small <= large for small, large in pairwise(inside))
    assert (len(inside[0]), len(inside[-1])) == (0, len(UNITS))


def test_salts_assign_independently() -> None:
    both = sum(unit_fraction(unit, b"a") < 0.5 and unit_fraction(unit, b"b") < 0.5 for unit in UNITS)
    assert abs(both - len(UNITS) / 4) <= 3.29 * math.sqrt(len(UNITS) * 0.25 * 0.75)


def test_place_of_a_unit_never_changes() -> None:
    # Known answers: a change of the hash would move units between the arms of a running rollout.
    assert unit_fraction("user-1", b"pilotfish") == pytest.approx(0.167684659693363, abs=1e-15)
    assert unit_fraction("", b"pilotfish") == pytest.approx(0.6904282584157132, abs=1e-15)


@pytest.mark.parametrize(("mode", "share"), [(Mode.OFF, 0.0), (Mode.SHADOW, 0.0), (Mode.ROLLOUT, 0.3), (Mode.ON, 1.0)])
def test_mode_fixes_the_share(mode: Mode, share: float) -> None:
    assert policy_share(mode, 0.3) == share


def test_served_probabilities_of_the_mixture_sum_to_one() -> None:
    policy = [0.7, 0.2, 0.1]
    for share in (0.0, 0.05, 0.5, 1.0):
        served = [served_probability(p, share, is_baseline=i == 1) for i, p in enumerate(policy)]
        assert math.fsum(served) == pytest.approx(1.0, abs=1e-15)


def test_share_zero_is_the_baseline_with_certainty() -> None:
    assert served_probability(0.9, 0.0, is_baseline=False) == 0.0
    assert served_probability(0.1, 0.0, is_baseline=True) == 1.0
