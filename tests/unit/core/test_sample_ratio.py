"""The sample-ratio test through Python: SciPy's Beta function, false alarms at every look, faults that it finds."""

import math

import numpy as np
import pytest
from scipy.special import betaln, logsumexp  # type: ignore[import-untyped]

from pilotfish import InvalidInputError, StateError
from pilotfish._core import ConfidenceSequence, SampleRatio


def log_ratio(treated: int, others: int, share: float) -> float:
    """Logarithm of Beta-binomial over binomial likelihood, the prior a mixture for 2 % and 20 % of lost records."""
    logs = []
    for fault in (0.02, 0.2):
        size = 1 / (fault**2 * share * (1 - share))
        a, b = size * share, size * (1 - share)
        log = betaln(a + treated, b + others) - betaln(a, b)
        logs.append(log - treated * math.log(share) - others * math.log(1 - share))
    return float(logsumexp(logs, b=[0.8, 0.2]))


@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.9])
@pytest.mark.parametrize("count", [1, 100, 100_000])
@pytest.mark.parametrize("times", [0.0, 0.9, 1.0, 1.1])
def test_the_evidence_is_the_ratio_of_likelihoods(share: float, count: int, times: float) -> None:
    treated = min(count, round(count * share * times))
    ratio = SampleRatio(share, 0.01)
    ratio.observe_counts(treated, count - treated)
    assert ratio.evidence == pytest.approx(log_ratio(treated, count - treated, share), abs=1e-6)


def test_nothing_observed_is_no_evidence() -> None:
    ratio = SampleRatio(0.05, 0.01)
    assert (ratio.evidence, ratio.mismatch, ratio.count, ratio.treatment_count) == (0.0, False, 0, 0)
    assert ratio.threshold == pytest.approx(math.log(100))
    assert (ratio.expected_share, ratio.alpha) == (0.05, 0.01)


def test_one_by_one_is_in_bulk() -> None:
    single, bulk = SampleRatio(0.3, 0.01), SampleRatio(0.3, 0.01)
    for unit in range(100):
        single.observe(unit % 4 == 0)
    bulk.observe_counts(25, 75)
    assert (single.count, single.treatment_count, single.evidence) == (100, 25, bulk.evidence)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_looking_after_every_unit_keeps_the_rate_of_false_alarms(share: float) -> None:
    # At 10 % instead of 1 %, so that 300 streams of 3,000 suffice to see a broken ratio.
    random, alarms, runs = np.random.default_rng(9), 0, 300
    for _ in range(runs):
        ratio = SampleRatio(share, 0.1)
        for unit in (random.random(3_000) < share).tolist():
            ratio.observe(unit)
        alarms += ratio.mismatch
    assert alarms / runs < 0.1 + 3 * math.sqrt(0.1 * 0.9 / runs)


@pytest.mark.parametrize(("share", "count"), [(0.5, 300_000), (0.05, 1_500_000)])
@pytest.mark.parametrize("loses_treatment", [True, False])
def test_two_percent_of_one_arm_lost_is_found(share: float, count: int, *, loses_treatment: bool) -> None:
    random, found, runs = np.random.default_rng(10), 0, 200
    left = (0.98 * share, 1 - share) if loses_treatment else (share, 0.98 * (1 - share))
    seen = left[0] / sum(left)
    for _ in range(runs):
        ratio = SampleRatio(share, 0.01)
        for treated in random.binomial(count // 100, seen, 100).tolist():
            ratio.observe_counts(treated, count // 100 - treated)
        found += ratio.mismatch
    assert found / runs >= 0.95


def test_an_arm_that_reports_nothing_is_found_within_a_few_hundred() -> None:
    half, twentieth = SampleRatio(0.5, 0.01), SampleRatio(0.05, 0.01)
    half.observe_counts(0, 60)
    twentieth.observe_counts(0, 500)
    assert half.mismatch
    assert twentieth.mismatch


def test_a_mismatch_stays_also_through_the_state() -> None:
    ratio = SampleRatio(0.5, 0.01)
    ratio.observe_counts(100, 0)
    ratio.observe_counts(900, 1_000)
    restored = SampleRatio.from_state(ratio.state())
    assert restored.mismatch
    assert restored.evidence == ratio.evidence < restored.threshold
    assert restored.state() == ratio.state()


@pytest.mark.parametrize(
    ("share", "alpha", "message"),
    [
        (0.0, 0.01, "expected_share == 0, must be in [1e-6, 1 - 1e-6]"),
        (1.0, 0.01, "expected_share == 1, must be in [1e-6, 1 - 1e-6]"),
        (math.nan, 0.01, "expected_share == NaN, must be in [1e-6, 1 - 1e-6]"),
        (0.5, 0.0, "alpha == 0, must be in [1e-30, 1)"),
        (0.5, 1.0, "alpha == 1, must be in [1e-30, 1)"),
    ],
)
def test_settings_out_of_range_are_refused(share: float, alpha: float, message: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        SampleRatio(share, alpha)
    assert str(refusal.value) == message


def test_too_many_units_are_refused() -> None:
    ratio = SampleRatio(0.5, 0.01)
    with pytest.raises(InvalidInputError, match=r"^count == 1000000000001, must be <= 1000000000000$"):
        ratio.observe_counts(10**12, 1)
    assert ratio.count == 0


def test_damaged_and_foreign_states_are_refused() -> None:
    damaged = bytearray(SampleRatio(0.5, 0.01).state())
    damaged[12] ^= 1
    with pytest.raises(StateError, match=r"^state's checksum differs: the bytes are damaged or cut short$"):
        SampleRatio.from_state(bytes(damaged))
    with pytest.raises(StateError, match=r"^state does not begin with the magic bytes pilotsrm$"):
        SampleRatio.from_state(ConfidenceSequence(0, 1, 0, 1, 0.05).state())
