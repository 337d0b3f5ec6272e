"""What all contenders of one size are given: the same contexts, modules and history."""

import random
from array import array
from typing import NamedTuple

N_CONTEXTS = 64  # distinct contexts, so that no contender can live on one; 64 KiB at d = 128, which stays in L2
N_LEARNED = 2_000  # each matrix is dense by then
UTILITY_LIKELY = 0.5


class Event(NamedTuple):
    """One outcome: the place of its context, the module that ran, its utility (0 or 1, which all libraries take)."""

    context: int
    module: int
    utility: float


class World(NamedTuple):
    """K modules, contexts of length d whose first element is the bias 1, and what has happened."""

    n_modules: int
    n_features: int
    names: list[str]
    contexts: "list[array[float]]"
    history: list[Event]
    to_learn: list[Event]


def make_world(n_modules: int, n_features: int, seed: int = 1) -> World:
    """Draws a world; contexts are standard normal, modules take turns so that each has been learned.

    Args:
        n_modules: K, >= 1.
        n_features: d, >= 1.
        seed: Same seed, same world.
    """
    random_ = random.Random(seed)
    contexts = [array("d", [1.0, *(random_.gauss(0.0, 1.0) for _ in range(n_features - 1))]) for _ in range(N_CONTEXTS)]

    def events(count: int) -> list[Event]:
        order = random_.sample(range(n_modules), n_modules)
        utilities = [float(random_.random() < UTILITY_LIKELY) for _ in range(count)]
        draws = [random_.randrange(N_CONTEXTS) for _ in range(count)]
        return [Event(draws[i], order[i % n_modules], utilities[i]) for i in range(count)]

    names = [f"module-{index}" for index in range(n_modules)]
    # As many events to learn as let every module be touched, so that learning at K = 200 is not all in cache.
    return World(n_modules, n_features, names, contexts, events(N_LEARNED), events(max(N_CONTEXTS, n_modules)))
