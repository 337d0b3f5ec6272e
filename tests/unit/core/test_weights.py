"""Weighted observations against weighted ridge regression in NumPy, and against repetition."""

import re

import numpy as np
import pytest

from pilotfish._core import Model
from pilotfish.exceptions import InvalidInputError
from tests.unit.core.models import SEED, Vector, doubles, encoded_model, numbers
from tests.unit.core.test_posterior import MODULES, DenseTwin, vectors

Row = tuple[Vector, Vector, int, float, float]


def weighted_rows(n: int, seed: int) -> list[Row]:
    """Return n rows (x, z, module, utility, weight) with weights between 0.001 and 1,000."""
    random = np.random.default_rng(seed)
    return [
        (*vectors(random, 6, 3), int(random.integers(2)), float(random.random()), float(10 ** random.uniform(-3, 3)))
        for _ in range(n)
    ]


def learned(rows: list[Row]) -> Model:
    model = encoded_model(6, 3)
    for x, z, module, utility, weight in rows:
        model.learn_encoded(doubles(x), doubles(z), MODULES[module], 0, utility, weight)
    return model


def test_weighted_learning_equals_weighted_ridge_regression() -> None:
    rows, twin = weighted_rows(120, seed=5), DenseTwin(6, 3)
    for x, z, module, utility, weight in rows:
        root = np.sqrt(weight)
        twin.learn(root * x, root * z, module, root * utility)
    design, targets = np.array(twin.rows), np.array(twin.utilities)
    precision = np.diag(np.r_[np.full(6 * 3, 1.0), np.full(3, 0.5)]) + design.T @ design
    solution = np.linalg.solve(precision, design.T @ targets)
    scatter = targets @ targets - targets @ design @ solution
    variance = (scatter + 1.0) / (sum(weight for *_, weight in rows) + 10.0)

    random, model = np.random.default_rng(6), learned(rows)
    for _ in range(10):
        x, z = vectors(random, 6, 3)
        choice = model.decide_encoded(SEED, doubles(x), doubles(np.tile(z, 3)), MODULES, [1.0, 0.0])
        queries = np.array([twin.row(x, z, module) for module in range(3)])
        spread = np.sqrt(variance * np.einsum("ij,jk,ik->i", queries, np.linalg.inv(precision), queries))
        np.testing.assert_allclose(numbers(choice.scores), queries @ solution, atol=1e-9)
        np.testing.assert_allclose(numbers(choice.uncertainties), spread, atol=1e-9)


def test_moments_are_weighted() -> None:
    rows = weighted_rows(30, seed=7)
    utilities, weights = (np.array([row[i] for row in rows]) for i in (3, 4))
    found = numbers(learned(rows).arrays()["completion/shared/moments"])
    expected = [30, weights.sum(), weights @ utilities, weights @ utilities**2]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("times", [2, 7])
def test_whole_weight_equals_as_many_observations(times: int) -> None:
    rows = [(*row[:4], 1.0) for row in weighted_rows(25, seed=8)]
    weighted = learned([(*row[:4], float(times)) for row in rows])
    repeated = learned([row for row in rows for _ in range(times)])
    for key, value in weighted.arrays().items():
        ours, theirs = numbers(value), numbers(repeated.arrays()[key])
        first = 1 if key.endswith("moments") else 0  # the number of observations is what differs
        np.testing.assert_allclose(ours[first:], theirs[first:], atol=1e-9)
    assert weighted.evidence == pytest.approx(repeated.evidence, abs=1e-8)
    assert weighted.learned_count * times == repeated.learned_count


def test_weight_of_one_is_the_default_to_the_bit() -> None:
    rows = [(*row[:4], 1.0) for row in weighted_rows(20, seed=9)]
    model = encoded_model(6, 3)
    for x, z, module, utility, _ in rows:
        model.learn_encoded(doubles(x), doubles(z), MODULES[module], 0, utility)
    assert learned(rows).state() == model.state()


def test_learning_returns_the_residual_and_what_it_was_uncertain_by() -> None:
    rows = weighted_rows(60, seed=10)
    model = learned(rows[:40])
    for x, z, module, utility, weight in rows[40:]:
        before = model.decide_encoded(SEED, doubles(x), doubles(z), [MODULES[module]], [1.0, 0.0])
        residual, uncertainty = model.learn_encoded(doubles(x), doubles(z), MODULES[module], 0, utility, weight)
        expected = float(np.clip(numbers(before.scores)[0], 0.0, 1.0))
        assert residual == pytest.approx(utility - expected, abs=1e-9)
        assert uncertainty == pytest.approx(float(numbers(before.uncertainties)[0]), abs=1e-9)


@pytest.mark.parametrize(
    ("weight", "shown"),
    [(0.0, "0"), (-1.0, "-1"), (1024.5, "1024.5"), (float("nan"), "NaN"), (float("inf"), "inf")],
)
def test_weight_out_of_range_is_refused_and_changes_nothing(weight: float, shown: str) -> None:
    model = learned(weighted_rows(5, seed=11))
    before = model.state()
    message = f"^{re.escape(f'weight == {shown}, must be in (0, 1024]')}$"
    with pytest.raises(InvalidInputError, match=message):
        model.learn_encoded(doubles([1.0] + [0.0] * 5), None, "a", 0, 0.5, weight)
    with pytest.raises(InvalidInputError, match=message):
        model.learn({}, "", ("a", {}, ()), 0, 0.5, weight=weight)
    assert model.state() == before
