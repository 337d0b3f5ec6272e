"""The confidence sequence through Python: a slow twin, closed forms, its rate of ever being wrong, and its power."""

import json
import math
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish import InvalidInputError, StateError
from pilotfish._core import ConfidenceSequence, SampleRatio
from tests.unit.core.confidence_twin import ConfidenceTwin

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "golden" / "confidence.json").read_text(encoding="utf-8")
)
UNIT = (0.0, 1.0, 0.0, 1.0)


def coins(random: np.random.Generator, n: int, mean: float = 0.0) -> bytes:
    """±1 with this mean: float64 [n]."""
    return np.where(random.random(n) < (1 + mean) / 2, 1.0, -1.0).tobytes()


def rare(random: np.random.Generator, n: int) -> bytes:
    """−1 and, one in ten, 9, as a small share's inverse propensities make them; the mean is 0: float64 [n]."""
    return np.where(random.random(n) < 0.1, 9.0, -1.0).tobytes()


@pytest.mark.parametrize(
    ("settings", "hints"),
    [
        (UNIT, (None, None)),
        (UNIT, (50.0, 0.2)),
        ((-20.0, 20.0, -1.0, 1.0), (None, None)),
        ((-1.25, 20.0, -1.0, 1.0), (1e5, 3.0)),
        ((5.0, 7.0, 5.5, 6.0), (3.0, None)),
    ],
)
def test_it_agrees_with_the_twin_that_keeps_everything(
    settings: tuple[float, float, float, float], hints: tuple[float | None, float | None]
) -> None:
    random, (low, high, *_) = np.random.default_rng(4), settings
    sequence = ConfidenceSequence(*settings, 0.05, *hints)
    twin = ConfidenceTwin(*settings, 0.05, *hints)
    for step in range(400):
        x = low + (high - low) * float(random.beta(0.5, 0.6))
        sequence.observe(x)
        twin.observe(x)
        if step % 13 == 0 or step < 5:
            assert sequence.interval() == pytest.approx(twin.interval(), abs=1e-9 * (high - low))
    assert sequence.mean == pytest.approx(np.mean(twin.seen))


def test_the_golden_stream_gives_the_golden_intervals_and_state() -> None:
    sequence = ConfidenceSequence(**GOLDEN["settings"])
    for x, ends in zip(GOLDEN["stream"], GOLDEN["intervals"], strict=True):
        sequence.observe(x)
        assert sequence.interval() == pytest.approx(ends, abs=1e-9)
    # The policy is better by 3/4 − 3/8: the last interval knows it.
    assert 0 < sequence.interval()[0] < 0.375 < sequence.interval()[1]
    assert sequence.state().hex() == GOLDEN["state"]
    assert ConfidenceSequence.from_state(bytes.fromhex(GOLDEN["state"])).interval() == sequence.interval()


def test_a_constant_is_known_as_well_as_the_largest_bet_allows() -> None:
    # Every residual is 0, so nothing but the mixture is left: Σ w exp(λ D) = 2 / alpha.
    sequence = ConfidenceSequence(-1.0, 1.0, -1.0, 1.0, 0.05, 1.0)
    n = 1000
    sequence.first_excluding(array("d", bytes(8 * n)), 0.0)
    low, high = sequence.interval()
    # 0.8 / depth 2 = 0.4 is both the tuned bet and the largest of the grid: D is between ln(40) / 0.4 and 4/5's alone.
    assert math.log(40) / 0.4 <= high * n <= math.log(40 / 0.8) / 0.4
    assert low == pytest.approx(-high, abs=1e-12)


def test_nothing_observed_is_the_whole_range_of_the_mean() -> None:
    sequence = ConfidenceSequence(-20.0, 20.0, -1.0, 0.5, 0.05)
    assert (sequence.count, sequence.mean, sequence.interval()) == (0, -0.25, (-1.0, 0.5))


def test_an_interval_that_shows_nothing_yet_stays_in_the_range_of_the_mean() -> None:
    sequence = ConfidenceSequence(-20.0, 20.0, -1.0, 1.0, 0.05)
    sequence.observe(20.0)
    assert sequence.interval() == (-1.0, 1.0)
    assert (sequence.count, sequence.mean) == (1, 20.0)


def test_observations_that_contradict_the_range_of_the_mean_end_at_its_nearer_end() -> None:
    sequence = ConfidenceSequence(-20.0, 20.0, -1.0, 1.0, 0.05)
    for _ in range(10_000):
        sequence.observe(20.0)
    assert sequence.interval() == (1.0, 1.0)


def test_the_interval_goes_on_shrinking_like_the_root_of_the_count() -> None:
    random, widths = np.random.default_rng(5), []
    sequence = ConfidenceSequence(-1.0, 1.0, -1.0, 1.0, 0.05)
    for n in (10_000, 90_000, 900_000):
        assert sequence.first_excluding(coins(random, n), 0.0) is None
        low, high = sequence.interval()
        widths.append((high - low) / 2 * math.sqrt(sequence.count))
    # Half-widths in standard errors: below sqrt(2 ln 40) = 2.72 no bet could be, above 4.5 bets would be missing.
    assert all(2.72 < width < 4.5 for width in widths)


@pytest.mark.parametrize(("draw", "high", "deviation"), [(coins, 1.0, 1.0), (rare, 9.0, 3.0)])
def test_at_most_one_stream_in_twenty_ever_excludes_its_mean(
    draw: Callable[[np.random.Generator, int], bytes], high: float, deviation: float
) -> None:
    random, runs, wrong = np.random.default_rng(20), 600, 0
    for _ in range(runs):
        sequence = ConfidenceSequence(-1.0, high, -1.0, 1.0, 0.05, 1000.0, deviation)
        wrong += sequence.first_excluding(draw(random, 5_000), 0.0) is not None
    # 5 % and 3 standard errors; with half of Σ ξ² it is 26 %. Below 1 % the promise would be kept by seeing nothing.
    assert 0.01 < wrong / runs < 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_a_policy_that_learns_from_the_past_does_not_make_it_wrong_more_often() -> None:
    random, runs, wrong = np.random.default_rng(21), 300, 0
    for _ in range(runs):
        sequence = ConfidenceSequence(-4.0, 4.0, -1.0, 1.0, 0.05, 500.0, math.sqrt(2))
        # Greedy between two modules of the same worth; share 1/2, the control is uniform.
        won, tried, excluded = np.ones(2), np.full(2, 2.0), False
        draws = random.random((1_000, 2))
        for choice, luck in draws:
            policy = np.full(2, 0.05)
            policy[int(won[1] * tried[0] > won[0] * tried[1])] = 0.95
            served = policy / 2 + 0.25
            module = int(choice < served[1])
            utility = float(luck < 0.5)
            won[module] += utility
            tried[module] += 1
            x = (utility - 0.5) * (policy[module] - 0.5) / served[module]
            excluded |= sequence.first_excluding(array("d", [x]), 0.0) is not None
        wrong += excluded
    assert wrong / runs < 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_when_the_means_move_it_is_about_their_average() -> None:
    # +1/2 and −1/2 in turn, known from the past: the average of the means is 0, and no single one is.
    random = np.random.default_rng(22)
    means = np.tile([0.5, -0.5], 5_000)
    x = np.where(random.random(10_000) < (1 + means) / 2, 1.0, -1.0)
    sequence = ConfidenceSequence(-1.0, 1.0, -1.0, 1.0, 0.05)
    assert sequence.first_excluding(x.tobytes(), 0.0) is None
    low, high = sequence.interval()
    assert -0.05 < low < 0 < high < 0.05


def test_an_effect_is_found_within_one_and_a_half_times_the_fixed_sample() -> None:
    # A mean of 0.1 with a deviation of 1: (1.96 + 0.842)² / 0.1² = 785 observations for 80 % at one look.
    random, fixed, runs = np.random.default_rng(23), 785, 400
    found = dict.fromkeys((None, 785.0), 0)
    for _ in range(runs):
        x = coins(random, fixed * 3 // 2, 0.1)
        for hint in found:
            sequence = ConfidenceSequence(-1.0, 1.0, -1.0, 1.0, 0.05, hint)
            found[hint] += sequence.first_excluding(x, 0.0) is not None
    # 3 standard errors below what the ADR states: 0.83 with the hint, 0.66 without.
    assert found[785.0] / runs > 0.83 - 3 * math.sqrt(0.83 * 0.17 / runs)
    assert found[None] / runs > 0.66 - 3 * math.sqrt(0.66 * 0.34 / runs)


def test_the_first_exclusion_is_that_of_the_interval() -> None:
    random = np.random.default_rng(24)
    x = random.random(2_000) * 0.4
    bulk, single = (ConfidenceSequence(*UNIT, 0.05) for _ in range(2))
    place = bulk.first_excluding(array("d", x), 0.25)
    assert place is not None
    for value in x[: place + 1]:
        assert single.interval()[1] >= 0.25
        single.observe(value)
    assert single.interval()[1] < 0.25
    assert bulk.state() == single.state()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((math.nan, 1, 0, 1, 0.05), "low == NaN, must be within ± 1e9"),
        ((0, 2e9, 0, 1, 0.05), "high == 2000000000, must be at least low + 1e-9 == 0.000000001, within ± 1e9"),
        ((0, 0, 0, 1, 0.05), "high == 0, must be at least low + 1e-9 == 0.000000001, within ± 1e9"),
        ((0, 1, -0.5, 1, 0.05), "mean_low == -0.5, must be in [0, 1)"),
        ((0, 1, 0.5, 0.5, 0.05), "mean_high == 0.5, must be in (0.5, 1]"),
        ((0, 1, 0, 1.5, 0.05), "mean_high == 1.5, must be in (0, 1]"),
        ((0, 1, 0, 1, 0), "alpha == 0, must be in [1e-30, 1)"),
        ((0, 1, 0, 1, 1), "alpha == 1, must be in [1e-30, 1)"),
        ((0, 1, 0, 1, 0.05, 0), "expected_count == 0, must be in [1, 1e12]"),
        ((0, 1, 0, 1, 0.05, math.inf), "expected_count == inf, must be in [1, 1e12]"),
        ((0, 1, 0, 1, 0.05, 9, 0), "expected_deviation == 0, must be in (0, 1]"),
        ((0, 1, 0, 1, 0.05, 9, math.nan), "expected_deviation == NaN, must be in (0, 1]"),
    ],
)
def test_settings_out_of_range_are_refused(arguments: Any, message: str) -> None:  # noqa: ANN401  of numbers
    with pytest.raises(InvalidInputError) as refusal:
        ConfidenceSequence(*arguments)
    assert str(refusal.value) == message


def test_a_refused_observation_is_told_and_changes_nothing() -> None:
    sequence = ConfidenceSequence(*UNIT, 0.05)
    sequence.observe(0.5)
    before = sequence.state()
    for x, shown in ((math.nan, "NaN"), (1.5, "1.5"), (-math.inf, "-inf")):
        with pytest.raises(InvalidInputError) as refusal:
            sequence.observe(x)
        assert str(refusal.value) == f"observation == {shown}, must be in [0, 1]"
        with pytest.raises(InvalidInputError):
            sequence.first_excluding(array("d", [0.5, x]), 0.5)
    with pytest.raises(InvalidInputError, match=r"^mean == -1, must be in \[0, 1\]$"):
        sequence.first_excluding(array("d", [0.5]), -1.0)
    assert sequence.state() == before


def test_a_state_carries_settings_and_sums() -> None:
    whole = ConfidenceSequence(*UNIT, 0.05, 300.0, 0.3)
    for i in range(100):
        whole.observe((i % 3) / 2)
    restored = ConfidenceSequence.from_state(whole.state())
    assert (restored.count, restored.mean, restored.interval()) == (100, whole.mean, whole.interval())
    for sequence in (whole, restored):
        sequence.observe(0.25)
    assert restored.state() == whole.state()


def test_damaged_and_foreign_states_are_refused() -> None:
    state = ConfidenceSequence(*UNIT, 0.05).state()
    damaged = bytearray(state)
    damaged[12] ^= 1
    with pytest.raises(StateError, match=r"^state's checksum differs: the bytes are damaged or cut short$"):
        ConfidenceSequence.from_state(bytes(damaged))
    with pytest.raises(StateError, match=r"^state does not begin with the magic bytes pilotcsq$"):
        ConfidenceSequence.from_state(SampleRatio(0.5, 0.01).state())
    with pytest.raises(StateError, match=r"^state has 3 bytes, too few to be one$"):
        ConfidenceSequence.from_state(b"abc")
