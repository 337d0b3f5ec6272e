"""The crossing: what a decision and a learning step cost from Python, propensities included.

Each round times one call, so p99 is that of calls. The sum of the pmf is checked, so that nothing else is measured.
"""

import json
import math
import random
from array import array

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pilotfish._core import Choice, Model

SEED = bytes(range(16))
ROUNDS = 20_000
N_CONTEXT = 20
N_LEARNED = 500


def specification(n_shared: int) -> bytes:
    """A model whose context is a bias and one declared vector."""
    vector = {"kind": "vector", "name": "v", "length": N_CONTEXT - 1, "scale": 1.0}
    encoder = {
        "declared": [vector],
        "declared_scale": 1.0,
        "random_dims": 0,
        "random_length": 1.0,
        "random_scale": 1.0,
        "hashed_dims": 0,
        "text_dims": 0,
        "text_scale": 1.0,
        "shared_dims": n_shared,
        "shared_task": True,
    }
    learner = {
        "signals": ["completion"],
        "module_precision": 1.0,
        "shared_precision": 1.0,
        "noise_variance": 0.1,
        "noise_count": 10.0,
    }
    explorer = {"kind": "thompson", "scale": 0.5, "floor": 0.02}
    return json.dumps({"encoder": encoder, "learner": learner, "explorer": explorer}).encode()


def numbers(random_: random.Random, length: int) -> "array[float]":
    return array("d", [1.0, *(random_.gauss(0.0, 1.0) for _ in range(length - 1))])


def learned_model(n_actions: int, n_shared: int, random_: random.Random) -> tuple[Model, list[str]]:
    """A model that has seen every module."""
    model, modules = Model(specification(n_shared)), [f"module-{index}" for index in range(n_actions)]
    for step in range(max(N_LEARNED, n_actions)):
        context, shared = numbers(random_, N_CONTEXT), numbers(random_, n_shared)
        model.learn_encoded(context, shared, modules[step % n_actions], 0, random_.random())
    return model, modules


def check(choice: Choice, n_actions: int) -> None:
    pmf = array("d", choice.pmf)
    assert len(pmf) == n_actions
    assert math.isclose(math.fsum(pmf), 1.0, rel_tol=1e-12)
    assert choice.propensity == pmf[choice.index]


@pytest.mark.parametrize("n_shared", [1, 20])
@pytest.mark.parametrize("n_actions", [10, 100, 1_000])
def test_decide_encoded(n_actions: int, n_shared: int, benchmark: BenchmarkFixture) -> None:
    random_ = random.Random(1)
    model, modules = learned_model(n_actions, n_shared, random_)
    context = numbers(random_, N_CONTEXT)
    shared = array("d", [value for _ in modules for value in numbers(random_, n_shared)])
    arguments = (SEED, context, shared if n_shared > 1 else None, modules, [1.0])

    rounds = min(ROUNDS, 200 * ROUNDS // n_actions)
    choice = benchmark.pedantic(model.decide_encoded, args=arguments, rounds=rounds, warmup_rounds=100)

    check(choice, n_actions)


def test_decide_from_features(benchmark: BenchmarkFixture) -> None:
    random_ = random.Random(2)
    model, modules = learned_model(10, 1, random_)
    task = {"v": [random_.gauss(0.0, 1.0) for _ in range(N_CONTEXT - 1)]}
    offered: list[tuple[str, dict[str, float], tuple[str, ...]]] = [(name, {}, ()) for name in modules]
    arguments = (SEED, task, "", offered, [1.0])

    choice = benchmark.pedantic(model.decide, args=arguments, rounds=ROUNDS, warmup_rounds=100)

    check(choice, 10)


def test_learn_encoded(benchmark: BenchmarkFixture) -> None:
    random_ = random.Random(3)
    model, modules = learned_model(10, 1, random_)
    context, before = numbers(random_, N_CONTEXT), model.learned_count

    benchmark.pedantic(model.learn_encoded, args=(context, None, modules[0], 0, 0.5), rounds=ROUNDS)

    assert model.learned_count > before
