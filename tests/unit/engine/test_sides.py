import math
from array import array
from itertools import pairwise

import pytest

from pilotfish.codes import Mode
from pilotfish.engine.sides import Side, both_sides, drawn, greedy, mixture, unit_fraction
from pilotfish.experience.exposures import Exposure

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
    assert Exposure(mode=mode, rollout_share=0.3).share == share


def pmf(*probabilities: float) -> bytes:
    return array("d", probabilities).tobytes()


POLICY, CHAMPION = pmf(0.7, 0.2, 0.1), pmf(0.1, 0.1, 0.8)


def served(sides: tuple[Side, Side], share: float) -> list[float]:
    return [mixture(*sides, share, place) for place in range(3)]


@pytest.mark.parametrize("policy", [b"", POLICY])
@pytest.mark.parametrize("control", [b"", CHAMPION])
@pytest.mark.parametrize("probing", [(), (1,), (0, 2)])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_served_probabilities_of_the_mixture_sum_to_one(
    policy: bytes, control: bytes, probing: tuple[int, ...], share: float
) -> None:
    sides = both_sides(policy, control, 1, probing, 0.05)
    assert math.fsum(served(sides, share)) == pytest.approx(1.0, abs=1e-15)


def test_share_zero_without_a_champion_is_the_baseline_with_certainty() -> None:
    assert served(both_sides(POLICY, b"", 1, (0,), 0.05), 0.0) == [0.0, 1.0, 0.0]


def test_champion_takes_the_place_of_the_baseline() -> None:
    expected = [0.25 * 0.7 + 0.75 * 0.1, 0.25 * 0.2 + 0.75 * 0.1, 0.25 * 0.1 + 0.75 * 0.8]
    assert served(both_sides(POLICY, CHAMPION, 1, (), 0.0), 0.25) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("policy", "control", "expected"),
    [(b"", b"", [0.0, 1.0, 0.0]), (b"", CHAMPION, [0.1, 0.1, 0.8]), (POLICY, b"", [0.7, 0.2, 0.1])],
)
def test_side_whose_model_did_not_answer_is_the_next_step_of_the_ladder(
    policy: bytes, control: bytes, expected: list[float]
) -> None:
    side, _ = both_sides(policy, control, 1, (), 0.0)
    assert [side.probability(place) for place in range(3)] == expected


def test_probe_takes_its_share_from_what_a_model_decides_and_never_from_the_baseline() -> None:
    side, control = both_sides(POLICY, b"", 1, (0, 2), 0.1)
    assert [side.probability(place) for place in range(3)] == pytest.approx([0.68, 0.18, 0.14], abs=1e-15)
    assert [control.probability(place) for place in range(3)] == [0.0, 1.0, 0.0]


def test_probes_are_drawn_as_often_as_their_probability_says_and_each_alike() -> None:
    n = 20_000
    drawn_places = [drawn(i.to_bytes(16, "big"), 1, 1, (0, 2), 0.1) for i in range(n)]
    probes = [place for place, is_probe in drawn_places if is_probe]
    assert {place for place, is_probe in drawn_places if not is_probe} == {1}
    assert abs(len(probes) - 0.1 * n) <= 3.29 * math.sqrt(n * 0.09)
    assert abs(probes.count(0) - 0.5 * len(probes)) <= 3.29 * math.sqrt(len(probes) * 0.25)


def test_baseline_is_never_replaced_by_a_probe() -> None:
    assert {drawn(i.to_bytes(16, "big"), -1, 1, (0, 2), 1.0) for i in range(100)} == {(1, False)}


def test_greed_puts_everything_on_the_first_of_the_best() -> None:
    assert greedy(pmf(0.1, 0.4, 0.4)) == (pmf(0.0, 1.0, 0.0), 1)
