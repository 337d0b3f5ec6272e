"""The statistic lets exact propensities pass and catches wrong ones."""

import random
from collections.abc import Callable
from statistics import NormalDist

import pytest
from scipy.stats import chi2  # type: ignore[import-untyped]

from pilotfish.simulate.calibration import BIN_EDGES, Calibration, calibrate, chi_square_tail

N_DECISIONS = 3591
MODULES = tuple(f"m{i}" for i in range(9))
FLOOR = 0.02


def drawn_pmf(draw: random.Random) -> list[float]:
    """A pmf as explorers give them: sometimes flat, mostly one clear favourite, and a floor for everybody."""
    concentration = draw.choice((0.1, 0.3, 1.0, 3.0))
    weights = [draw.gammavariate(concentration, 1.0) + 1e-12 for _ in MODULES]
    return [FLOOR / len(MODULES) + (1.0 - FLOOR) * weight / sum(weights) for weight in weights]


def simulated(seed: int, logged: Callable[[list[float]], list[float]], n_decisions: int = N_DECISIONS) -> Calibration:
    """Serves from drawn pmfs and logs something made of them."""
    draw = random.Random(seed)
    decisions = []
    for _ in range(n_decisions):
        pmf = drawn_pmf(draw)
        served = draw.choices(MODULES, pmf)[0]
        decisions.append((dict(zip(MODULES, logged(pmf), strict=True)), served))
    return calibrate(decisions)


def sharpened(pmf: list[float], power: float) -> list[float]:
    weights = [p**power for p in pmf]
    return [weight / sum(weights) for weight in weights]


def argmax_hidden(pmf: list[float]) -> list[float]:
    """What a softmax logged for an epsilon-greedy choice looks like: right in order, wrong in size."""
    favourite = max(range(len(pmf)), key=pmf.__getitem__)
    return [0.9 * p + 0.1 * (i == favourite) for i, p in enumerate(pmf)]


def without_floor(pmf: list[float]) -> list[float]:
    return [(p - FLOOR / len(pmf)) / (1.0 - FLOOR) for p in pmf]


@pytest.mark.parametrize("seed", range(5))
def test_exact_propensities_pass(seed: int) -> None:
    found = simulated(seed, lambda pmf: pmf)

    assert found.p_value > 0.001
    assert sum(found.expected) == pytest.approx(N_DECISIONS)
    assert sum(found.observed) == N_DECISIONS
    assert len(found.expected) == len(found.observed) == len(found.edges) - 1
    assert found.degrees_of_freedom == len(found.expected) - 1 + len(MODULES) - 1


@pytest.mark.parametrize(
    "logged",
    [
        pytest.param(lambda pmf: [*pmf[1:], pmf[0]], id="of-the-neighbour"),
        pytest.param(lambda pmf: sharpened(pmf, 1.25), id="too-sharp"),
        pytest.param(lambda pmf: sharpened(pmf, 0.8), id="too-flat"),
        pytest.param(argmax_hidden, id="a-tenth-too-sure"),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_wrong_propensities_are_caught(seed: int, logged: Callable[[list[float]], list[float]]) -> None:
    assert simulated(seed, logged).p_value < 1e-3


def test_a_uniform_pmf_logged_for_a_preference_is_caught() -> None:
    draw = random.Random(4)
    uniform = dict.fromkeys(MODULES, 1.0 / len(MODULES))
    weights = [2.0, *(1.0 for _ in MODULES[1:])]

    found = calibrate([(uniform, draw.choices(MODULES, weights)[0]) for _ in range(1000)])

    assert len(found.expected) == 1
    assert found.p_value < 1e-6


def test_p_values_of_exact_propensities_are_uniform() -> None:
    n_runs = 200
    p_values = [simulated(1000 + run, lambda pmf: pmf, 400).p_value for run in range(n_runs)]

    # Mean of n uniform values: 1/2 with standard deviation 1/√(12 n); a two-sided limit at 99.9 %.
    limit = NormalDist().inv_cdf(0.9995) / (12 * n_runs) ** 0.5
    assert abs(sum(p_values) / n_runs - 0.5) < limit


def test_bins_with_few_events_join_their_neighbours() -> None:
    found = calibrate(
        [({"a": 0.5, "b": 0.497, "c": 0.003}, "a")] * 60 + [({"a": 0.5, "b": 0.497, "c": 0.003}, "b")] * 60
    )

    assert len(found.expected) < len(BIN_EDGES) - 1
    assert sum(found.expected) == pytest.approx(120.0)


def test_certain_decisions_say_nothing() -> None:
    found = calibrate([({"only": 1.0}, "only")] * 50)

    assert (found.degrees_of_freedom, found.p_value) == (0, 1.0)
    assert found.observed == (50,)


def test_no_decision_says_nothing() -> None:
    assert calibrate([]).p_value == 1.0


@pytest.mark.parametrize("probabilities", [{"a": 1.0, "b": 0.0}, {"a": 1.0}])
def test_a_served_module_without_probability_is_an_error(probabilities: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"^served module 'b' had probability (0.0|None), must be > 0$"):
        calibrate([(probabilities, "b")])


def test_probabilities_that_do_not_sum_to_one_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"^probabilities sum to 0\.9, must sum to 1$"):
        calibrate([({"a": 0.5, "b": 0.4}, "a")])


@pytest.mark.parametrize("degrees", [1, 2, 3, 8, 11, 40])
@pytest.mark.parametrize("statistic", [1e-3, 0.5, 1.0, 4.0, 11.0, 30.0, 120.0])
def test_the_tail_is_that_of_chi_square(statistic: float, degrees: int) -> None:
    assert chi_square_tail(statistic, degrees) == pytest.approx(chi2.sf(statistic, degrees), rel=1e-9, abs=1e-14)
