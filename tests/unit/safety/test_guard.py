import math

import pytest

from pilotfish.safety.guard import fault_of_answer, fault_of_choice


@pytest.mark.parametrize("pmf", [[1.0], [0.25] * 4, [0.0, 1.0], [0.1] * 10])
def test_sound_choice_passes(pmf: list[float]) -> None:
    assert fault_of_choice(pmf, len(pmf) - 1, len(pmf)) == ""


@pytest.mark.parametrize(
    ("pmf", "n_legal", "fault"),
    [
        ([0.5, 0.5], 3, "pmf has 2 entries for 3 legal modules"),
        ([-0.1, 1.1], 2, "pmf has a negative entry or NaN"),
        ([math.nan, 1.0], 2, "pmf has a negative entry or NaN"),
        ([1.0, math.nan], 2, "pmf sums to nan"),
        ([math.inf, 0.0], 2, "pmf sums to inf"),
        ([0.5, 0.4], 2, "pmf sums to 0.9"),
        ([0.5, 0.5 + 2e-9], 2, "pmf sums to 1.0000000020000002"),
        ([0.0, 0.0], 2, "pmf sums to 0.0"),
    ],
)
def test_unsound_pmf_is_named(pmf: list[float], n_legal: int, fault: str) -> None:
    assert fault_of_choice(pmf, 0, n_legal) == fault


@pytest.mark.parametrize(
    ("served", "propensity"), [(3, 0.5), (0, 0.0), (0, -0.1), (0, math.nan), (0, 1.1), (0, math.inf)]
)
def test_answer_that_is_illegal_or_without_propensity_is_named(served: int, propensity: float) -> None:
    assert fault_of_answer(served, propensity, (0, 1)) != ""


def test_sound_answer_passes() -> None:
    assert fault_of_answer(1, 1.0, (0, 1)) == ""
