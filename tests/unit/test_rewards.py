import math

import pytest

from pilotfish.codes import Signal
from pilotfish.exceptions import InvalidInputError
from pilotfish.rewards import DEFAULT_HALF_VALUES, MAXIMUM, SIGNAL_NAMES, SIGNAL_RULES, RewardFunction, weight_vector


@pytest.mark.parametrize(
    ("signal", "value", "utility"),
    [
        (Signal.COMPLETION, 1.0, 1.0),
        (Signal.QUALITY, 0.25, 0.25),
        (Signal.LATENCY_MS, 0.0, 1.0),
        (Signal.LATENCY_MS, 1000.0, 0.5),
        (Signal.COST_USD, 0.03, 0.25),
        (Signal.RETRY_COUNT, 3.0, 0.25),
        (Signal.RECOVERY, 0.0, 0.0),
        (Signal.SATISFACTION, 0.5, 0.5),
    ],
)
def test_utility_is_the_documented_function(signal: Signal, value: float, utility: float) -> None:
    assert RewardFunction().utility(signal, value) == pytest.approx(utility, abs=1e-15)


@pytest.mark.parametrize("signal", list(Signal))
def test_utility_of_the_whole_range_lies_in_the_unit_interval(signal: Signal) -> None:
    rewards = RewardFunction()
    utilities = [rewards.utility(signal, MAXIMUM[signal] * share) for share in (0.0, 1e-9, 0.5, 1.0)]
    assert all(0.0 <= utility <= 1.0 for utility in utilities)


@pytest.mark.parametrize("signal", [Signal.LATENCY_MS, Signal.COST_USD, Signal.RETRY_COUNT])
def test_more_of_a_bad_thing_is_never_better(signal: Signal) -> None:
    utilities = [RewardFunction().utility(signal, value) for value in (0.0, 1e-3, 1.0, 10.0, 1e3, 1e6)]
    assert utilities == sorted(utilities, reverse=True)
    assert len(set(utilities)) == len(utilities)


def test_half_value_is_where_utility_is_one_half() -> None:
    assert RewardFunction(half_values={Signal.COST_USD: 2.5}).utility(Signal.COST_USD, 2.5) == 0.5


def test_weight_vector_is_in_head_order() -> None:
    vector = weight_vector({Signal.QUALITY: 2.0, Signal.COMPLETION: 0.5})
    assert dict(zip(SIGNAL_NAMES, vector, strict=True))["quality"] == 2.0
    assert vector[Signal.COMPLETION - 1] == 0.5
    assert sum(vector) == 2.5


@pytest.mark.parametrize("weight", [-0.1, 1000.1, math.nan, math.inf])
def test_weight_outside_its_range_is_refused(weight: float) -> None:
    with pytest.raises(InvalidInputError, match=rf"^weights.quality == {weight}, must be in \[0, 1000\]$"):
        weight_vector({Signal.QUALITY: weight})


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"^weights are all 0, at least one must be above 0$"):
        weight_vector(dict.fromkeys(Signal, 0.0))


@pytest.mark.parametrize("half_value", [0.0, -1.0, math.nan, math.inf])
def test_half_value_must_be_positive_and_finite(half_value: float) -> None:
    with pytest.raises(InvalidInputError, match=r"^half_values.latency_ms == .*, must be finite and > 0"):
        RewardFunction(half_values={Signal.LATENCY_MS: half_value})


def test_bounded_signal_takes_no_half_value() -> None:
    with pytest.raises(InvalidInputError, match=r"for one of latency_ms, cost_usd, retry_count$"):
        RewardFunction(half_values={Signal.QUALITY: 0.5})


def test_every_signal_has_a_rule() -> None:
    assert set(SIGNAL_RULES) == set(Signal)


def test_nothing_is_learned_from_silence_unless_configured() -> None:
    assert RewardFunction().defaults == {}
    assert RewardFunction(defaults={Signal.COMPLETION: 0.0}).defaults == {Signal.COMPLETION: 0.0}


@pytest.mark.parametrize("signal", list(DEFAULT_HALF_VALUES))
@pytest.mark.parametrize("bound", [0.0, 0.003, 1.0, 700.0, 1e6])
def test_lower_bound_teaches_within_half_of_what_remains_possible(signal: Signal, bound: float) -> None:
    rewards = RewardFunction()
    half_value = DEFAULT_HALF_VALUES[signal]
    taught = rewards.utility(signal, bound, censored=True)
    largest_error = half_value / (2.0 * (half_value + bound))
    truths = [rewards.utility(signal, bound + more) for more in (0.0, 1e-3, 1.0, 1e3, 1e9)] + [0.0]  # 0: never finished
    assert max(abs(taught - truth) for truth in truths) == pytest.approx(largest_error, rel=1e-12)


@pytest.mark.parametrize("signal", list(DEFAULT_HALF_VALUES))
def test_later_cut_off_is_never_better(signal: Signal) -> None:
    utilities = [RewardFunction().utility(signal, value, censored=True) for value in (0.0, 1e-3, 1.0, 1e3, 1e6)]
    assert utilities == sorted(utilities, reverse=True)


@pytest.mark.parametrize("window_s", [0.0, 0.99, -5.0, 7_776_001.0, math.nan, math.inf])
def test_window_outside_its_range_is_refused(window_s: float) -> None:
    with pytest.raises(InvalidInputError, match=r"^windows_s.quality == .*, must be in \[1, 7776000\]$"):
        RewardFunction(windows_s={Signal.QUALITY: window_s})


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf])
def test_default_outside_its_signal_s_range_is_refused(value: float) -> None:
    with pytest.raises(InvalidInputError, match=r"^defaults.completion == .*, must be in \[0, 1\]$"):
        RewardFunction(defaults={Signal.COMPLETION: value})


def test_windows_and_defaults_do_not_name_another_model() -> None:
    changed = RewardFunction(windows_s={Signal.QUALITY: 5.0}, defaults={Signal.QUALITY: 0.5})
    assert changed.specification() == RewardFunction().specification()
