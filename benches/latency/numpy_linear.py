"""LinUCB and LinTS in NumPy, as fast as we can write them: the inverses are kept and take rank-one steps.

Sources: Li, Chu, Langford, Schapire 2010, algorithm 1 (LinUCB); Agrawal and Goyal, "Thompson sampling for contextual
bandits with linear payoffs", 2013 (LinTS); Sherman and Morrison 1950 for the step.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dger  # type: ignore[import-untyped]

from benches.latency.contender import Contender, Work
from benches.latency.world import World

Vector = NDArray[np.float64]
WIDTH = 1.0


class NumpyLinear:
    """Per module P = (λI + Σ x xᵀ)⁻¹ and θ = P Σ x r, with λ = 1.

    All P lie in one `[K · d, d]` array, so that one matrix product serves all modules.
    """

    def __init__(self, n_modules: int, n_features: int) -> None:
        self.inverses = np.tile(np.eye(n_features), (n_modules, 1))
        self.theta = np.zeros((n_modules, n_features))
        self._projected = np.empty(n_modules * n_features)
        self._by_module = self._projected.reshape(n_modules, n_features)
        self._step = np.empty(n_features)
        blocks = self.inverses.reshape(n_modules, n_features, n_features)
        self._blocks = list(blocks)
        self._transposed = [block.T for block in blocks]  # symmetric; Fortran order lets BLAS write in place
        self._rows = list(self.theta)
        self._random = np.random.default_rng(1)

    def moments(self, x: Vector) -> tuple[Vector, Vector]:
        """Return mean θᵀx and deviation √(xᵀPx) of each module, `[K]` each."""
        self.inverses.dot(x, self._projected)
        variances = self._by_module.dot(x)
        return self.theta.dot(x), np.sqrt(variances, variances)

    def upper_bound(self, x: Vector) -> int:
        """Return the module with the largest mean + width · deviation (LinUCB)."""
        means, deviations = self.moments(x)
        return int((means + WIDTH * deviations).argmax())

    def thompson(self, x: Vector) -> int:
        """Return the module with the largest draw of N(mean, deviation²): as if each θ were drawn."""
        means, deviations = self.moments(x)
        return int((means + self._random.standard_normal(len(means)) * deviations).argmax())

    def learn(self, x: Vector, module: int, utility: float) -> None:
        """Take in one outcome: P −= v vᵀ / (1 + s), θ += v (r − θᵀx) / (1 + s) with v = Px and s = xᵀv."""
        v, theta = self._step, self._rows[module]
        self._blocks[module].dot(x, v)
        grown = 1.0 + x.dot(v)
        dger(-1.0 / grown, v, v, 1, 1, self._transposed[module], 1, 1, 1)
        np.add(theta, v * ((utility - x.dot(theta)) / grown), theta)


def trained(world: World) -> NumpyLinear:
    """Return a policy that has learned the world's history."""
    policy = NumpyLinear(world.n_modules, world.n_features)
    for event in world.history:
        policy.learn(np.array(world.contexts[event.context]), event.module, event.utility)
    return policy


def contenders(world: World) -> list[Contender]:
    """Return LinUCB and LinTS."""

    def make(name: str, family: str, rule: Callable[[NumpyLinear], Callable[[Vector], int]]) -> Contender:
        policy = trained(world)
        contexts = [np.array(context) for context in world.contexts]
        outcomes = [(contexts[event.context], event.module, event.utility) for event in world.to_learn]
        decide = Work(rule(policy), [(context,) for context in contexts])
        return Contender(name, family, "action", decide, Work(policy.learn, outcomes))

    return [
        make("NumPy LinUCB", "LinUCB", lambda policy: policy.upper_bound),
        make("NumPy LinTS", "LinTS", lambda policy: policy.thompson),
    ]
