"""Cold start: does a model that has never seen these modules use what their descriptors say of them?

Eight modules, four types of task; each module suits one type, and carries that type's tag with probability 0.9 and any
other tag with 0.1. What a tag means is nowhere written: a fresh model must learn it from these tasks. One that has
worked with eight other modules knows it; if the tags are permuted meanwhile, what it knows is wrong.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benches.learning.figure import Figure, mean_and_error, ratio_and_error
from benches.learning.passage import Watched, passage
from benches.quality.stream import Arm, Floats, generator, shuffled_names
from benches.quality.synthetic import KINDS, World, bernoulli, stream

STUDY: Final = "cold start"
FRESH_PERMUTED: Final = "fresh, tags permuted"
CASES: Final = ("fresh, tags", "fresh, no tags", "transfer", "wrong prior", FRESH_PERMUTED)

WITH_DESCRIPTORS: Final = ("fresh, tags", "transfer")
"""Cases held against half of uniform's regret: descriptors that tell the truth, new to the model or known to it."""

STUCK: Final = 0.03
"""Regret per step of a model that serves an unsuited module in a third of the tasks of one type: 0.4 ÷ 4 ÷ 3."""


class Sizes(NamedTuple):
    """Numbers of decisions."""

    before: int = 2_000
    """With other modules."""
    first: int = 200
    """After which regret is compared with that of uniform choice."""
    overcome: int = 1_000
    """Within which a wrong prior must be overcome."""
    n: int = 1_500
    """With the modules of the comparison."""


class Team(NamedTuple):
    """Eight modules: which type of task each suits, int [8], and the means, float64 [4 types, 8 modules]."""

    suited: NDArray[np.int64]
    means: Floats


def team(rng: np.random.Generator) -> Team:
    """Return modules, two for each type: mean 0.75 on what they suit and 0.35 elsewhere, each ± 0.1."""
    suited = rng.permutation(np.repeat(np.arange(len(KINDS)), 2))
    means = np.where(suited == np.arange(len(KINDS))[:, None], 0.75, 0.35) + rng.uniform(-0.1, 0.1, (4, 8))
    return Team(suited, means)


def world(rng: np.random.Generator, n: int, prefix: str, shift: int = 0) -> World:
    """Return tasks for a team of its own. `shift` turns the tags: type t's tag is then what t + shift's was."""
    suited, means = team(rng)
    carried = rng.random((8, 4)) < np.where(np.arange(4) == suited[:, None], 0.9, 0.1)
    names = shuffled_names(rng, 8)
    arms = [
        Arm(f"{prefix}-{name}", {}, tuple(KINDS[(tag + shift) % 4] for tag in range(4) if carried[place, tag]))
        for place, name in enumerate(names)
    ]
    types = rng.integers(0, 4, n)
    expected = means[types]
    return World(lambda _: {}, expected, bernoulli(rng, expected), arms, task_type=lambda row: KINDS[types[row]])


def measure(case: str, seed: int, sizes: Sizes | None = None) -> dict[str, float]:
    """Return regret over the first decisions and after the time to overcome, per decision, and uniform's.

    Every case of a seed plays the same tasks, rewards and modules, but for their tags.
    """
    sizes = sizes or Sizes()
    shift = 1 if case in {"wrong prior", FRESH_PERMUTED} else 0
    policy = Watched(generator(seed, STUDY, "policy"))
    if case in {"transfer", "wrong prior"}:
        passage(stream(world(generator(seed, STUDY, "others"), sizes.before, "old")), policy)
    met = world(generator(seed, STUDY, "met"), sizes.n, "new", shift)
    if case == "fresh, no tags":
        met = met._replace(arms=[Arm(arm.name) for arm in met.arms])
    track = passage(stream(met), policy)
    first, later = slice(sizes.first), slice(sizes.overcome, None)
    uniform = met.expected.max(axis=1) - met.expected.mean(axis=1)
    return {
        "first": float(track.regret[first].mean()),
        "later": float(track.regret[later].mean()),
        "uniform": float(uniform[first].mean()),
        "alarms": float(len(track.alarms)),
    }


def figures(results: Mapping[str, Sequence[Mapping[str, float]]]) -> list[Figure]:
    """Return the rows of the table, from a list of `measure`'s results, by seed, for each case."""
    rows = []
    for case, per_seed in results.items():
        first, uniform = [each["first"] for each in per_seed], [each["uniform"] for each in per_seed]
        worst = max(a / b for a, b in zip(first, uniform, strict=True))
        row = Figure(STUDY, f"{case}: regret in the first 200 ÷ uniform's", *ratio_and_error(first, uniform))
        row = row._replace(detail=f"worst seed {worst:.2f}")
        rows.append(row._replace(relation="<=", limit=0.5) if case in WITH_DESCRIPTORS else row)
    for case, per_seed in results.items():
        later = [each["later"] for each in per_seed]
        stuck = sum(each > STUCK for each in later)
        detail = f"{stuck} of {len(later)} seeds above {STUCK}"
        rows.append(Figure(STUDY, f"{case}: regret/step from 1,000 on", *mean_and_error(later), detail=detail))
    fresh, wrong = ([each["later"] for each in results[case]] for case in (FRESH_PERMUTED, "wrong prior"))
    alarms = sum(each["alarms"] for each in results["wrong prior"])
    detail = f"{alarms:g} alarms in {len(wrong)} seeds"
    what = "wrong prior: regret from 1,000 on ÷ fresh model's"
    rows.append(Figure(STUDY, what, *ratio_and_error(wrong, fresh), "<=", 1.1, detail))
    return rows
