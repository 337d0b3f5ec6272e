"""Explorers against their formulas, and those that ask which action is the best against SciPy's quadrature."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import quad  # type: ignore[import-untyped]
from scipy.stats import norm  # type: ignore[import-untyped]

from pilotfish._core import Model, explore, explorer_default, explorer_explores, explorer_names, sample
from pilotfish.exceptions import InvalidInputError
from tests.unit.core.models import SEED, Vector, doubles, numbers, specification

Explore = Callable[[Vector, Vector], Vector]


def explorer(kind: str, floor: float = 0.0, **settings: float) -> Explore:
    setting = json.dumps({"kind": kind, "floor": floor, **settings}).encode()
    return lambda scores, uncertainties: numbers(explore(setting, doubles(scores), doubles(uncertainties)))


def winner_by_scipy(scores: Vector, deviations: Vector) -> tuple[Vector, Vector]:
    """∫ φ_a(t) Π_{b≠a} Φ_b(t) dt, and of t times that, by adaptive quadrature, told where the narrow parts are."""
    points = np.unique(np.concatenate([scores + width * deviations for width in (-4, -2, -1, 0, 1, 2, 4)]))
    low, high = (scores - 9 * deviations).max(), (scores + 9 * deviations).max()
    inside = [float(point) for point in points if low < point < high]

    def integral(action: int, power: int) -> float:
        others = np.arange(len(scores)) != action

        def integrand(t: float) -> float:
            rest = norm.cdf((t - scores[others]) / deviations[others]).prod()
            return float(t**power * norm.pdf(t, scores[action], deviations[action]) * rest)

        value, _ = quad(integrand, low, high, points=inside, limit=50 + 10 * len(inside), epsabs=1e-8)
        return float(value)

    actions = range(len(scores))
    return np.array([integral(action, 0) for action in actions]), np.array([integral(action, 1) for action in actions])


def thompson_by_scipy(scores: Vector, deviations: Vector) -> Vector:
    return winner_by_scipy(scores, deviations)[0]


def information_ratio_by_scipy(scores: Vector, deviations: Vector) -> Vector:
    """Russo and Van Roy's ratio of each action, with "is it the best" for "which is the best"."""
    probability, moment = winner_by_scipy(scores, deviations)
    explained = (moment / probability - scores) ** 2 * probability / (1 - probability)
    weights = explained / (moment.sum() - scores) ** 2
    return np.asarray(weights / weights.sum())


CASES: dict[str, Callable[[np.random.Generator], tuple[Vector, Vector]]] = {
    "equal widths": lambda random: (random.normal(0, 0.3, 5), np.full(5, 0.25)),
    "different widths": lambda random: (random.normal(0, 0.3, 6), random.uniform(0.02, 0.8, 6)),
    "widths a thousand times apart": lambda random: (random.normal(0, 0.2, 4), np.exp(random.uniform(-7, 0, 4))),
    "means far apart": lambda random: (random.normal(0, 3.0, 5), random.uniform(0.1, 0.5, 5)),
    "ten actions": lambda random: (random.uniform(0, 1, 10), random.uniform(0.05, 0.2, 10)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_thompson_is_within_1e_4_of_the_integral(case: str, seed: int) -> None:
    scores, deviations = CASES[case](np.random.default_rng(seed))
    pmf = explorer("thompson", scale=0.5)(scores, 2 * deviations)
    np.testing.assert_allclose(pmf, thompson_by_scipy(scores, deviations), atol=1e-4)


@pytest.mark.parametrize("case", ["equal widths", "different widths", "ten actions"])
@pytest.mark.parametrize("seed", range(3))
def test_information_ratio_is_within_1e_3_of_the_integrals(case: str, seed: int) -> None:
    scores, deviations = CASES[case](np.random.default_rng(seed))
    pmf = explorer("information_ratio", scale=0.5)(scores, 2 * deviations)
    np.testing.assert_allclose(pmf, information_ratio_by_scipy(scores, deviations), atol=1e-3)


@pytest.mark.parametrize("n_actions", [50, 300])
def test_thompson_with_many_actions_agrees_with_sampling(n_actions: int) -> None:
    random = np.random.default_rng(n_actions)
    scores, deviations = random.uniform(0, 1, n_actions), random.uniform(0.05, 0.4, n_actions)
    pmf = explorer("thompson", scale=1.0)(scores, deviations)
    n_draws = 100_000
    winners = (scores + deviations * random.standard_normal((n_draws, n_actions), dtype=np.float32)).argmax(axis=1)
    frequencies = np.bincount(winners, minlength=n_actions) / n_draws
    # Six standard deviations of a frequency, plus the accuracy that is claimed.
    assert (np.abs(frequencies - pmf) < 6 * np.sqrt(pmf / n_draws) + 1e-4).all()


def test_thompson_without_uncertainty_is_greedy_and_ties_share() -> None:
    pmf = explorer("thompson", scale=1.0)(np.array([0.2, 0.7, 0.7]), np.zeros(3))
    assert pmf.tolist() == [0.0, 0.5, 0.5]


def test_inverse_gap_follows_its_formula() -> None:
    scores, gamma = np.array([0.1, 0.9, 0.4, 0.85]), 7.0
    expected = 1 / (4 + gamma * (0.9 - scores))
    expected[1] = 0.0
    expected[1] = 1 - expected.sum()
    np.testing.assert_allclose(explorer("inverse_gap", gamma=gamma)(scores, np.ones(4)), expected, atol=1e-15)


def test_adaptive_inverse_gap_takes_gamma_from_the_uncertainties() -> None:
    scores, uncertainties = np.array([0.1, 0.9, 0.4, 0.85]), np.array([0.3, 0.1, 0.2, 0.05])
    gamma = np.sqrt(8 * 4 / np.mean(uncertainties**2))
    expected = explorer("inverse_gap", gamma=gamma)(scores, np.ones(4))
    adaptive = explorer("inverse_gap", adaptive_scale=np.sqrt(8))
    np.testing.assert_allclose(adaptive(scores, uncertainties), expected, atol=1e-15)
    np.testing.assert_allclose(adaptive(1000 * scores, 1000 * uncertainties), expected, atol=1e-15)


def softmax_by_numpy(scores: Vector, temperature: float) -> Vector:
    weights = np.exp((scores - scores.max()) / temperature)
    return np.asarray(weights / weights.sum())


def soft_ucb_by_numpy(scores: Vector, uncertainties: Vector, alpha: float, softness: float) -> Vector:
    indices = scores + alpha * uncertainties
    variances = uncertainties**2 + uncertainties[indices.argmax()] ** 2
    weights = np.exp(-((indices.max() - indices) ** 2) / (2 * (softness * alpha) ** 2 * variances))
    return np.asarray(weights / weights.sum())


def ensemble_by_numpy(scores: Vector, deviations: Vector) -> Vector:
    """P(a's head is above all others') for heads at the normal's quantiles, none of which are equal."""
    quantiles = norm.ppf((np.arange(16) + 0.5) / 16)
    heads = scores[:, None] + deviations[:, None] * quantiles / np.sqrt(np.mean(quantiles**2))
    below = (heads[:, None, :, None] > heads[None, :, None, :]).mean(axis=3)
    others = ~np.eye(len(scores), dtype=bool)
    return np.array([below[a, others[a]].prod(axis=0).mean() for a in range(len(scores))])


def test_softmax_follows_its_formula() -> None:
    scores = np.array([0.1, 0.9, 0.4, 0.85])
    pmf = explorer("softmax", temperature=0.3)(scores, np.ones(4))
    np.testing.assert_allclose(pmf, softmax_by_numpy(scores, 0.3), atol=1e-15)


def test_soft_ucb_follows_its_formula() -> None:
    scores, uncertainties = np.array([0.1, 0.6, 0.4, 0.5]), np.array([0.3, 0.1, 0.2, 0.25])
    pmf = explorer("soft_ucb", scale=0.8, softness=0.4)(scores, uncertainties)
    np.testing.assert_allclose(pmf, soft_ucb_by_numpy(scores, uncertainties, 0.8, 0.4), atol=1e-14)


@pytest.mark.parametrize("case", CASES)
def test_ensemble_follows_the_distribution_of_its_heads(case: str) -> None:
    scores, deviations = CASES[case](np.random.default_rng(4))
    pmf = explorer("ensemble", scale=1.0, floor=1e-300)(scores, deviations)
    np.testing.assert_allclose(pmf, ensemble_by_numpy(scores, deviations), atol=1e-12)


@pytest.mark.parametrize(
    ("setting", "explores"),
    [
        ({"kind": "greedy"}, False),
        ({"kind": "greedy", "floor": 0.01}, True),
        ({"kind": "epsilon_greedy", "epsilon": 0, "floor": 0}, False),
        ({"kind": "thompson", "scale": 0, "floor": 0}, False),
        ({"kind": "thompson", "scale": 1, "floor": 0}, True),
    ],
)
def test_what_never_explores_says_so(setting: dict[str, object], explores: bool) -> None:  # noqa: FBT001  a table
    assert explorer_explores(json.dumps(setting).encode()) is explores


def test_epsilon_greedy_follows_its_formula() -> None:
    pmf = explorer("epsilon_greedy", epsilon=0.2)(np.array([0.1, 0.9, 0.9, 0.3]), np.ones(4))
    np.testing.assert_allclose(pmf, [0.05, 0.45, 0.45, 0.05], atol=1e-15)


@pytest.mark.parametrize("name", explorer_names())
@pytest.mark.parametrize("n_actions", [1, 2, 10, 1000])
def test_every_explorer_keeps_its_floor_and_sums_to_one(name: str, n_actions: int) -> None:
    random = np.random.default_rng(n_actions)
    setting = json.loads(explorer_default(name)) | {"floor": 0.1}
    scores, uncertainties = random.normal(size=n_actions), random.uniform(0, 1, n_actions)
    pmf = numbers(explore(json.dumps(setting).encode(), doubles(scores), doubles(uncertainties)))
    assert pmf.sum() == pytest.approx(1.0, abs=1e-12)
    assert (pmf >= 0.1 / n_actions).all()


@pytest.mark.parametrize("name", explorer_names())
def test_one_action_is_certain(name: str) -> None:
    assert numbers(explore(explorer_default(name), doubles([3.0]), doubles([0.1]))).tolist() == [1.0]


def test_sampling_follows_the_pmf_and_never_draws_zero() -> None:
    pmf = np.array([0.0, 0.25, 0.6, 0.0, 0.15])
    actions = [sample(doubles(pmf), int(i).to_bytes(16, "big")) for i in range(20_000)]
    frequencies = np.bincount(actions, minlength=5) / 20_000
    assert frequencies[0] == frequencies[3] == 0.0
    assert (np.abs(frequencies - pmf) < 5 * np.sqrt(pmf * (1 - pmf) / 20_000) + 1e-15).all()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"kind": "thompson", "scale": -1, "floor": 0}, "scale == -1, must be >= 0"),
        ({"kind": "thompson", "floor": 0}, "scale == absent, must be >= 0"),
        ({"kind": "softmax", "temperature": 0, "floor": 0}, "temperature == 0, must be > 0"),
        ({"kind": "ensemble", "scale": 1, "floor": 0}, "floor == 0, must be in (0, 1]"),
        ({"kind": "uniform", "floor": 1.5}, "floor == 1.5, must be in [0, 1]"),
        ({"kind": "uniform", "floor": 0, "x": 1}, "x == 1, must be absent: the keys are kind, floor"),
    ],
)
def test_settings_that_break_a_rule_are_refused(setting: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        explore(json.dumps(setting).encode(), doubles([1.0]), doubles([1.0]))
    assert str(refused.value) == message


def test_scores_and_uncertainties_that_break_a_rule_are_refused() -> None:
    setting = explorer_default("uniform")
    with pytest.raises(InvalidInputError, match=r"^scores == NaN, must be finite$"):
        explore(setting, doubles([1.0, float("nan")]), doubles([1.0, 1.0]))
    with pytest.raises(InvalidInputError, match=r"^uncertainties == -1, must be finite and >= 0$"):
        explore(setting, doubles([1.0]), doubles([-1.0]))
    with pytest.raises(InvalidInputError, match=r"^name == magic, must be one of uniform, "):
        explorer_default("magic")


@pytest.mark.parametrize(
    ("setting", "computes"),
    [
        (explorer_default("thompson"), True),
        (explorer_default("inverse_gap"), True),
        (b'{"kind":"inverse_gap","gamma":10,"floor":0.02}', False),
        (explorer_default("epsilon_greedy"), False),
        (explorer_default("uniform"), False),
    ],
)
def test_scores_are_the_same_and_uncertainties_empty_where_the_explorer_does_without(
    setting: bytes, *, computes: bool
) -> None:
    with_uncertainties = Model(specification())
    model = Model(specification(explorer=json.loads(setting)))
    modules = [("a", {"cost": 0.5}, ("pdf",)), ("b", {}, ()), ("new", {}, ())]
    for step in range(30):
        for each in (with_uncertainties, model):
            each.learn({"size": step / 7}, "a page", modules[step % 2], step % 3 % 2, step % 5 / 4)
    for weights in ([1.0, 0.5], [0.0, 0.0]):
        ours = model.decide(SEED, {"size": 0.4}, "a page", modules, weights)
        theirs = with_uncertainties.decide(SEED, {"size": 0.4}, "a page", modules, weights)
        assert ours.scores == theirs.scores
        assert ours.uncertainties == (theirs.uncertainties if computes else b"")
        assert len(ours.pmf) == len(theirs.pmf) == 24
