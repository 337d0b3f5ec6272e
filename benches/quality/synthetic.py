"""Streams whose true expected rewards are known. Each is a small function of (rng, n)."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from benches.quality.stream import NO_COST, Arm, Features, Floats, Round, Scenario, Step, Stream, shuffled_names

KINDS = ("scan", "table", "prose", "code")


class World(NamedTuple):
    """A stream drawn beforehand: features per round, `expected` and `rewards` [n, K], offered modules per round."""

    features: Callable[[int], Features]
    expected: Floats
    rewards: Floats
    arms: Sequence[Arm]
    offered: Callable[[int], int] | None = None  # the first so many modules; None: always all
    task_type: Callable[[int], str] | None = None


def stream(world: World) -> Stream:
    """Return the world as a stream."""
    n, arm_count = world.expected.shape

    def steps() -> Iterator[Step]:
        for row in range(n):
            k = world.offered(row) if world.offered else arm_count
            arms = world.arms[:k] if k < arm_count else world.arms
            task_type = world.task_type(row) if world.task_type else ""
            rewards = world.rewards[row, :k]
            shown = Round(task_type, world.features(row), "", arms)
            yield Step(shown, rewards, world.expected[row, :k], {"quality": rewards}, NO_COST)

    fixed = world.offered is None and not any(arm.features or arm.capabilities for arm in world.arms)
    return Stream(n, arm_count, fixed, steps)


def numbered(values: Floats) -> Callable[[int], Features]:
    """Return the rows of `values` [n, d] as features x0, x1 and so on."""
    names = [f"x{column}" for column in range(values.shape[1])]
    return lambda row: dict(zip(names, values[row].tolist(), strict=True))


def sigmoid(score: Floats) -> Floats:
    """Return 1 / (1 + e^−score), elementwise."""
    return np.asarray(1.0 / (1.0 + np.exp(-score)))


def bernoulli(rng: np.random.Generator, expected: Floats) -> Floats:
    """Return 0 or 1 with the given means."""
    return (rng.random(expected.shape) < expected).astype(np.float64)


def bounded_noise(rng: np.random.Generator, expected: Floats, width: float = 0.2) -> Floats:
    """Return means plus even noise that keeps both the mean and the range [0, 1]."""
    room = np.minimum(np.minimum(expected, 1.0 - expected), width)
    return expected + room * rng.uniform(-1.0, 1.0, expected.shape)


def plain_arms(rng: np.random.Generator, count: int) -> list[Arm]:
    """Return modules of which only the name is known."""
    return [Arm(name) for name in shuffled_names(rng, count)]


def unit_rows(values: Floats) -> Floats:
    """Return the rows scaled to length 1."""
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True))


def linear(rng: np.random.Generator, n: int) -> World:
    """Mean 0.5 + 0.5 ⟨w_a, x⟩ with unit vectors: 8 modules, 10 features, bounded noise."""
    x, w = unit_rows(rng.normal(size=(n, 10))), unit_rows(rng.normal(size=(8, 10)))
    expected = 0.5 + 0.5 * x @ w.T
    return World(numbered(x), expected, bounded_noise(rng, expected), plain_arms(rng, 8))


def logistic(rng: np.random.Generator, n: int) -> World:
    """Success probability sigmoid(W x), W ~ N(0, 4/10): 8 modules, 10 Gaussian features."""
    x, w = rng.normal(size=(n, 10)), rng.normal(size=(8, 10)) * np.sqrt(4 / 10)
    expected = sigmoid(x @ w.T)
    return World(numbered(x), expected, bernoulli(rng, expected), plain_arms(rng, 8))


def products(rng: np.random.Generator, n: int) -> World:
    """Success probability sigmoid(2 Σ of three products of features per module): 5 modules, 6 Gaussian features."""
    x, pairs = rng.normal(size=(n, 6)), rng.integers(0, 6, size=(5, 3, 2))
    signs = rng.choice([-1.0, 1.0], size=(5, 3))
    score = np.stack([(x[:, pair[:, 0]] * x[:, pair[:, 1]]) @ sign for pair, sign in zip(pairs, signs, strict=True)])
    expected = sigmoid(2.0 * score.T)
    return World(numbered(x), expected, bernoulli(rng, expected), plain_arms(rng, 5))


def exclusive_or(rng: np.random.Generator, n: int) -> World:
    """The right one of 4 modules (0.8, else 0.3) is 2 (x0 > 0 xor x1 > 0) + (x2 > 0); 3 more features mean nothing."""
    x = rng.uniform(-1.0, 1.0, size=(n, 6))
    right = 2 * ((x[:, 0] > 0) ^ (x[:, 1] > 0)) + (x[:, 2] > 0)
    expected = np.where(np.arange(4) == right[:, None], 0.8, 0.3)
    return World(numbered(x), expected, bernoulli(rng, expected), plain_arms(rng, 4))


def sparse(rng: np.random.Generator, n: int) -> World:
    """Of 25 numbers and 25 categories (4 values each) one number and two categories matter: 6 modules."""
    numbers, categories = rng.normal(size=(n, 25)), rng.integers(0, 4, size=(n, 25))
    w, first, second = rng.normal(size=6), rng.normal(size=(4, 6)), rng.normal(size=(4, 6))
    expected = sigmoid(np.outer(numbers[:, 3], w) + 1.5 * first[categories[:, 7]] + 1.5 * second[categories[:, 19]])

    def features(row: int) -> Features:
        named: dict[str, float | str] = {f"x{j}": value for j, value in enumerate(numbers[row].tolist())}
        named.update({f"c{j}": "abcd"[value] for j, value in enumerate(categories[row].tolist())})
        return named

    return World(features, expected, bernoulli(rng, expected), plain_arms(rng, 6))


def many_actions(rng: np.random.Generator, n: int) -> World:
    """100 modules with 5 features and a kind; mean 0.5 + 0.3 ⟨x, B v_a⟩ + 0.2 if the kind is what the task asks for."""
    v, kinds = unit_rows(rng.normal(size=(100, 5))), rng.integers(0, len(KINDS), 100)
    rotation, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    x, asked = unit_rows(rng.normal(size=(n, 5))), rng.integers(0, len(KINDS), n)
    expected = 0.5 + 0.3 * x @ rotation @ v.T + np.where(kinds == asked[:, None], 0.2, -0.2)
    arms = [
        Arm(name, {f"v{j}": float(value) for j, value in enumerate(v[place])}, (KINDS[kinds[place]],))
        for place, name in enumerate(shuffled_names(rng, 100))
    ]
    named = numbered(x)
    return World(lambda row: {**named(row), "asked": KINDS[asked[row]]}, expected, bounded_noise(rng, expected), arms)


def abrupt_change(rng: np.random.Generator, n: int) -> World:
    """As logistic with 5 modules; half-way each takes over the weights of the next."""
    x, w = rng.normal(size=(n, 10)), rng.normal(size=(5, 10)) * np.sqrt(4 / 10)
    expected = sigmoid(x @ w.T)
    expected[n // 2 :] = np.roll(expected[n // 2 :], 1, axis=1)
    return World(numbered(x), expected, bernoulli(rng, expected), plain_arms(rng, 5))


def new_actions(rng: np.random.Generator, n: int) -> World:
    """As logistic; 4 modules, to which 4 more, better by 0.5 in the logit, come half-way."""
    x, w = rng.normal(size=(n, 10)), rng.normal(size=(8, 10)) * np.sqrt(4 / 10)
    expected = sigmoid(x @ w.T + np.repeat([0.0, 0.5], 4))
    arms = plain_arms(rng, 8)
    return World(numbered(x), expected, bernoulli(rng, expected), arms, lambda row: 4 if row < n // 2 else 8)


HUB_MEANS = {"pdf": (0.937, 0.532, 0.412), "docx": (0.149, 0.458, 0.466), "txt": (0.283, 0.390, 0.519)}
"""Expected rewards of the hub's own task: pdf_processor, general, fast, by document type."""


def hub_modules(rng: np.random.Generator, n: int) -> World:
    """Three document types, three modules, Bernoulli rewards with the means of `HUB_MEANS`."""
    types = list(HUB_MEANS)
    drawn, order = rng.integers(0, 3, n), rng.permutation(3)
    expected = np.array([HUB_MEANS[name] for name in types])[drawn][:, order]
    return World(lambda row: {"document": types[drawn[row]]}, expected, bernoulli(rng, expected), plain_arms(rng, 3))


WORLDS: dict[str, tuple[Callable[[np.random.Generator, int], World], int]] = {
    "linear": (linear, 10_000),
    "logistic": (logistic, 10_000),
    "products": (products, 10_000),
    "exclusive_or": (exclusive_or, 10_000),
    "sparse": (sparse, 10_000),
    "many_actions": (many_actions, 5_000),
    "abrupt_change": (abrupt_change, 10_000),
    "new_actions": (new_actions, 10_000),
    "hub_modules": (hub_modules, 500),
}
"""Each world with its number of rounds."""


def build(name: str, rng: np.random.Generator) -> Stream:
    """Return the named world as a stream; another world each time that the generator differs."""
    draw, n = WORLDS[name]
    return stream(draw(rng, n))


def scenarios() -> list[Scenario]:
    """Return every synthetic stream."""
    return [Scenario(f"synthetic/{name}", "synthetic", "", partial(build, name)) for name in WORLDS]
