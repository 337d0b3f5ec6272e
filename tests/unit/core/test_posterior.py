"""The posterior against a joint dense Bayesian regression: one large system, solved at once, by NumPy."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from pilotfish._core import Model
from tests.unit.core.models import SEED, Vector, doubles, encoded_model, numbers, specification

LAMBDA_MODULE, LAMBDA_SHARED = 1.0, 0.5
NOISE_VARIANCE, NOISE_COUNT = 0.1, 10.0
MODULES = ("a", "b", "c")


@dataclass
class DenseTwin:
    """All θ and β of one signal stacked into one vector w; r = φᵀw + noise."""

    d: int
    k: int
    rows: list[Vector] = field(default_factory=list)
    utilities: list[float] = field(default_factory=list)

    def row(self, x: Vector, z: Vector, module: int) -> Vector:
        row = np.zeros(self.d * len(MODULES) + self.k)
        row[module * self.d : (module + 1) * self.d] = x
        row[self.d * len(MODULES) :] = z
        return row

    def learn(self, x: Vector, z: Vector, module: int, utility: float) -> None:
        self.rows.append(self.row(x, z, module))
        self.utilities.append(utility)

    def predict(self, x: Vector, z: Vector, module: int) -> tuple[float, float]:
        """Return mean and standard deviation of the expected utility."""
        prior = np.r_[np.full(self.d * len(MODULES), LAMBDA_MODULE), np.full(self.k, LAMBDA_SHARED)]
        rows, utilities = np.array(self.rows), np.array(self.utilities)
        covariance = np.linalg.inv(np.diag(prior) + rows.T @ rows)
        row, n = self.row(x, z, module), len(utilities)
        right = rows.T @ utilities
        scatter = utilities @ utilities - right @ covariance @ right
        variance = (scatter + NOISE_COUNT * NOISE_VARIANCE) / (n + NOISE_COUNT)
        mean = row @ covariance @ right
        return float(mean), float(np.sqrt(variance * (row @ covariance @ row)))


def vectors(random: np.random.Generator, d: int, k: int) -> tuple[Vector, Vector]:
    x, z = random.normal(size=d), random.normal(size=k)
    x[0] = z[0] = 1.0
    x[random.random(d) < 0.3] = 0.0
    return x, z


def learned(d: int, k: int, n: int, seed: int) -> tuple[Model, DenseTwin, np.random.Generator]:
    random, model, twin = np.random.default_rng(seed), encoded_model(d, k), DenseTwin(d, k)
    for _ in range(n):
        x, z = vectors(random, d, k)
        module, utility = int(random.integers(2)), float(random.random())
        model.learn_encoded(doubles(x), doubles(z), MODULES[module], 0, utility)
        twin.learn(x, z, module, utility)
    return model, twin, random


@pytest.mark.parametrize(("d", "k", "n"), [(2, 1, 1), (4, 1, 30), (8, 8, 100), (9, 3, 300), (21, 17, 500)])
def test_means_and_deviations_equal_the_joint_regression(d: int, k: int, n: int) -> None:
    model, twin, random = learned(d, k, n, seed=d)
    for _ in range(20):
        x, _ = vectors(random, d, k)
        shared = np.array([vectors(random, d, k)[1] for _ in MODULES])
        choice = model.decide_encoded(SEED, doubles(x), doubles(shared), MODULES, [1.0, 0.0])
        expected = np.array([twin.predict(x, z, module) for module, z in enumerate(shared)])
        np.testing.assert_allclose(numbers(choice.scores), expected[:, 0], atol=1e-8)
        np.testing.assert_allclose(numbers(choice.uncertainties), expected[:, 1], atol=1e-8)


def test_module_never_seen_starts_from_what_modules_share() -> None:
    model, random = encoded_model(3, 2), np.random.default_rng(1)
    for step in range(200):
        module, good = MODULES[step % 2], step % 2 == 0
        x, z = np.r_[1.0, random.normal(size=2)], np.r_[1.0, 1.0 if good else -1.0]
        model.learn_encoded(doubles(x), doubles(z), module, 0, float(good))
    shared = np.array([[1.0, 1.0], [1.0, -1.0]])
    choice = model.decide_encoded(SEED, doubles([1.0, 0.0, 0.0]), doubles(shared), ("new good", "new bad"), [1.0, 0.0])
    scores = numbers(choice.scores)
    assert scores[0] > scores[1] + 0.1


def test_weights_combine_signals_as_independent_estimates() -> None:
    model, random = encoded_model(3, 1), np.random.default_rng(2)
    for step in range(50):
        model.learn_encoded(doubles(np.r_[1.0, random.normal(size=2)]), None, "a", step % 2, float(random.random()))
    x = np.r_[1.0, 0.3, -0.2]

    def ask(weights: list[float]) -> tuple[float, float]:
        choice = model.decide_encoded(SEED, doubles(x), None, ["a"], weights)
        return float(numbers(choice.scores)[0]), float(numbers(choice.uncertainties)[0])

    (first, first_deviation), (second, second_deviation) = ask([1.0, 0.0]), ask([0.0, 5.0])
    mean, deviation = ask([3.0, 1.0])
    assert mean == pytest.approx((3 * first + second) / 4, abs=1e-14)
    assert deviation == pytest.approx(np.hypot(3 * first_deviation, second_deviation) / 4, abs=1e-14)


def test_before_learning_the_uncertainty_is_the_priors() -> None:
    model = encoded_model(3, 2)
    x, z = np.r_[1.0, 2.0, -1.0], np.r_[1.0, 0.5]
    choice = model.decide_encoded(SEED, doubles(x), doubles(z), ["a"], [1.0, 1.0])
    expected = np.sqrt(NOISE_VARIANCE * (x @ x / LAMBDA_MODULE + z @ z / LAMBDA_SHARED))
    assert numbers(choice.scores)[0] == 0.0
    assert numbers(choice.uncertainties)[0] == pytest.approx(expected, rel=1e-15)


def test_arrays_hold_the_sums_of_what_was_learned() -> None:
    model, random = encoded_model(4, 3), np.random.default_rng(3)
    rows = [(*vectors(random, 4, 3), float(random.random())) for _ in range(30)]
    for x, z, utility in rows:
        model.learn_encoded(doubles(x), doubles(z), "a", 1, utility)
    arrays = {key: numbers(value) for key, value in model.arrays().items()}
    xs, zs, utilities = (np.array(column) for column in zip(*rows, strict=True))
    np.testing.assert_allclose(arrays["quality/module/a/sum_xx"], (xs.T @ xs).ravel(), atol=1e-12)
    np.testing.assert_allclose(arrays["quality/module/a/sum_xz"], (xs.T @ zs).ravel(), atol=1e-12)
    np.testing.assert_allclose(arrays["quality/module/a/sum_xr"], xs.T @ utilities, atol=1e-12)
    np.testing.assert_allclose(arrays["quality/shared/sum_zz"], (zs.T @ zs).ravel(), atol=1e-12)
    moments = [len(rows), len(rows), utilities.sum(), (utilities**2).sum()]
    np.testing.assert_allclose(arrays["quality/shared/moments"], moments, atol=1e-12)
    assert "completion/module/a/mean" not in arrays


def test_merged_models_equal_one_that_learned_everything() -> None:
    both, random = encoded_model(5, 3), np.random.default_rng(4)
    halves = [encoded_model(5, 3), encoded_model(5, 3)]
    for step in range(200):
        x, z = vectors(random, 5, 3)
        module, utility = MODULES[int(random.integers(3))], float(random.random())
        for model in (both, halves[step % 2]):
            model.learn_encoded(doubles(x), doubles(z), module, step % 2, utility)
    merged = halves[0].merge(halves[1])
    assert merged.state() == halves[1].merge(halves[0]).state()
    assert merged.learned_count == both.learned_count == 200
    for (key, value), (other_key, other) in zip(merged.arrays().items(), both.arrays().items(), strict=True):
        assert key == other_key
        np.testing.assert_allclose(numbers(value), numbers(other), atol=1e-9)


def test_features_and_vectors_are_two_ways_to_the_same_model() -> None:
    by_features, by_vectors = Model(specification()), Model(specification())
    task: dict[str, float | str | bool] = {"pages": 12.0, "type": "pdf", "scanned": True}
    module = ("ocr", {"cost": 0.5}, ("pdf",))
    x, z = by_vectors.encode_task(task, "some text"), by_vectors.encode_module(task, module)
    for utility in (0.2, 0.9):
        by_features.learn(task, "some text", module, 0, utility)
        by_vectors.learn_encoded(x, z, "ocr", 0, utility)
    assert by_features.state() == by_vectors.state()
    ours = by_features.decide(SEED, task, "some text", [module], [1.0, 0.0])
    theirs = by_vectors.decide_encoded(SEED, x, z, ["ocr"], [1.0, 0.0])
    assert (ours.pmf, ours.scores, ours.uncertainties) == (theirs.pmf, theirs.scores, theirs.uncertainties)
