"""The evidence against the joint density of all utilities at once, by SciPy."""

import numpy as np
import pytest
from scipy.stats import multivariate_t  # type: ignore[import-untyped]

from pilotfish._core import History, Model
from tests.unit.core.models import Vector, doubles, encoded_model, numbers, specification
from tests.unit.core.test_posterior import LAMBDA_MODULE, LAMBDA_SHARED, MODULES, DenseTwin, vectors

NOISE_VARIANCE = 0.1


def log_density(rows: Vector, utilities: Vector, d: int, noise_count: float) -> float:
    """Return ln p(utilities): a multivariate Student t whose shape holds prior and noise, of all rows together."""
    n_own = d * len(MODULES)
    prior = np.r_[np.full(n_own, 1 / LAMBDA_MODULE), np.full(rows.shape[1] - n_own, 1 / LAMBDA_SHARED)]
    shape = NOISE_VARIANCE * (np.eye(len(utilities)) + (rows * prior) @ rows.T)
    return float(multivariate_t(np.zeros(len(utilities)), shape, df=noise_count).logpdf(utilities))


def streamed(model: Model, d: int, k: int, n: int, signal: int = 0) -> DenseTwin:
    """Teach both a random stream; a third of the modules is seen seldom."""
    random, twin = np.random.default_rng(d + 10 * k + signal), DenseTwin(d, k)
    for step in range(n):
        x, z = vectors(random, d, k)
        module, utility = (2 if step % 10 == 9 else int(random.integers(2))), float(random.random())
        model.learn_encoded(doubles(x), doubles(z), MODULES[module], signal, utility)
        twin.learn(x, z, module, utility)
    return twin


def evidence_by_scipy(twin: DenseTwin, noise_count: float) -> float:
    density = log_density(np.array(twin.rows), np.array(twin.utilities), twin.d, noise_count)
    return density + 0.5 * len(twin.rows) * float(np.log(2 * np.pi))


@pytest.mark.parametrize("noise_count", [1.0, 10.0, 400.0])
@pytest.mark.parametrize(("d", "k", "n"), [(2, 1, 1), (4, 1, 30), (9, 5, 80), (12, 17, 200)])
def test_evidence_equals_the_joint_density(d: int, k: int, n: int, noise_count: float) -> None:
    model = encoded_model(d, k, noise_count=noise_count)
    twin = streamed(model, d, k, n)
    assert model.evidence == pytest.approx(evidence_by_scipy(twin, noise_count), abs=1e-8)


def test_evidence_of_signals_adds_up() -> None:
    model = encoded_model(4, 2)
    twins = [streamed(model, 4, 2, 40, signal) for signal in (0, 1)]
    assert model.evidence == pytest.approx(sum(evidence_by_scipy(twin, 10.0) for twin in twins), abs=1e-8)


def test_prior_on_the_noise_is_worth_one_observation_at_least() -> None:
    model = encoded_model(4, 2, noise_count=0.25)
    twin = streamed(model, 4, 2, 40)
    assert model.evidence == pytest.approx(evidence_by_scipy(twin, 1.0), abs=1e-8)


def test_evidence_does_not_depend_on_order_and_survives_every_way_of_keeping_it() -> None:
    random, rows = np.random.default_rng(4), []
    for _ in range(60):
        x, z = vectors(random, 5, 3)
        rows.append((doubles(x), doubles(z), MODULES[int(random.integers(3))], 0, float(random.random())))
    spec = encoded_model(5, 3).specification

    def learned(order: list[int]) -> Model:
        model = Model(spec)
        for place in order:
            model.learn_encoded(*rows[place])
        return model

    model = learned(list(range(60)))
    assert learned(random.permutation(60).tolist()).evidence == pytest.approx(model.evidence, abs=1e-8)
    assert Model.from_state(model.state(), spec).evidence == model.evidence
    merged = learned(list(range(0, 60, 3))).merge(learned([i for i in range(60) if i % 3]))
    assert merged.evidence == pytest.approx(model.evidence, abs=1e-8)
    assert Model.from_state(merged.state(), spec).evidence == merged.evidence


def test_evidence_of_nothing_is_zero() -> None:
    assert Model(specification()).evidence == 0.0
    assert Model.trained(specification(), History()).evidence == 0.0


def test_specification_that_made_the_data_has_the_largest_evidence() -> None:
    random, history = np.random.default_rng(5), History()
    for _ in range(400):
        a, b = random.normal(size=2)
        history.append({"a": a, "b": b}, "", ("m", {}, ()), [(0, float(0.5 + 0.3 * np.sin(2 * a) * np.cos(2 * b)))])
    declared = [
        {"kind": "number", "name": name, "center": 0, "scale": 1, "log": False, "indicator": False} for name in "ab"
    ]

    def evidence(**changes: object) -> float:
        return Model.trained(specification(declared=declared, hashed_dims=0, text_dims=0, **changes), history).evidence

    linear, smooth = evidence(), {m: evidence(random_dims=m, random_length=0.4) for m in (64, 128)}
    assert min(smooth.values()) > linear + 100
    far = {length: evidence(random_dims=128, random_length=length) for length in (0.02, 0.4, 50.0)}
    assert max(far, key=lambda length: far[length]) == 0.4


def test_volume_is_the_log_determinant_of_the_joint_precision() -> None:
    model = encoded_model(5, 4)
    rows = np.array(streamed(model, 5, 4, 60).rows)
    prior = np.r_[np.full(15, LAMBDA_MODULE), np.full(4, LAMBDA_SHARED)]
    expected = np.linalg.slogdet(np.diag(prior) + rows.T @ rows)[1] - np.log(prior).sum()
    assert numbers(model.arrays()["completion/shared/volume"])[0] == pytest.approx(expected, abs=1e-9)
    assert numbers(model.arrays()["quality/shared/volume"]).tolist() == [0.0]
