"""A new module: five run, and after 3,000 decisions a sixth comes that is the best in a region of the contexts."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from benches.learning.figure import Figure, mean_and_error, window_means
from benches.learning.passage import Passage, Watched, passage
from benches.quality.stream import Floats, generator
from benches.quality.synthetic import World, bernoulli, numbered, plain_arms, sigmoid, stream

STUDY: Final = "new module"
CASES: Final = ("logistic",)


class Sizes(NamedTuple):
    """Numbers of decisions."""

    added: int = 3_000
    """Before the new module comes."""
    after: int = 2_000
    """With it."""
    judged: int = 500
    """The last of them, over which its share is taken."""
    before: int = 1_500
    """The last without it, from which the reward must not fall."""
    window: int = 300


def world(rng: np.random.Generator, sizes: Sizes) -> World:
    """Success probability sigmoid(W x), W ~ N(0, 4/10), of 5 modules; the sixth has a logit larger by 1."""
    n = sizes.added + sizes.after
    x, w = rng.normal(size=(n, 10)), rng.normal(size=(6, 10)) * np.sqrt(4 / 10)
    expected = sigmoid(x @ w.T + np.repeat([0.0, 1.0], [5, 1]))
    arms = plain_arms(rng, 6)
    return World(numbered(x), expected, bernoulli(rng, expected), arms, lambda row: 5 if row < sizes.added else 6)


def taken_up(track: Passage, expected: Floats, sizes: Sizes) -> dict[str, Any]:
    """Return what one pass shows.

    `region`: share of decisions in which the new module is the best. `share`: how often it is served there, at the end.
    `curve`: mean reward in each window after it came ÷ that before. `fair_curve`: the same, with rewards taken relative
    to the best of the old modules in the same windows, so that easy and hard tasks make no difference.
    """
    old_best = expected[:, :5].max(axis=1)
    right = (expected.argmax(axis=1) == 5) & (np.arange(len(expected)) >= sizes.added)
    last = slice(len(expected) - sizes.judged, None)
    before, after = slice(sizes.added - sizes.before, sizes.added), slice(sizes.added, None)
    earned = window_means(track.earned[after], sizes.window)
    relative = earned / window_means(old_best[after], sizes.window)
    return {
        "region": float(right[after].mean()),
        "share": float((track.served[last][right[last]] == 5).mean()),
        "curve": (earned / track.earned[before].mean()).tolist(),
        "fair_curve": (relative / (track.earned[before].sum() / old_best[before].sum())).tolist(),
    }


def measure(case: str, seed: int, sizes: Sizes | None = None) -> dict[str, Any]:
    """Play one seed, see `taken_up`."""
    sizes = sizes or Sizes()
    drawn = world(generator(seed, STUDY, case), sizes)
    track = passage(stream(drawn), Watched(generator(seed, STUDY, case, "policy")))
    return taken_up(track, drawn.expected, sizes)


def figures(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Figure]:
    """Return the rows of the table."""
    (per_seed,) = results.values()
    shares = [each["share"] for each in per_seed]
    region = mean_and_error([each["region"] for each in per_seed])[0]
    lowest = np.mean([each["curve"] for each in per_seed], axis=0).min()
    fair = [min(each["fair_curve"]) for each in per_seed]
    missed = sum(share <= 0.5 for share in shares)
    held = sum(low >= 0.97 for low in fair)
    detail = f"worst seed {min(shares):.2f}; its region holds {region:.0%} of tasks"
    return [
        Figure(STUDY, "share in its region, 1,500–2,000 after", *mean_and_error(shares), ">", 0.5, detail),
        Figure(
            STUDY, "share in its region, worst seed", min(shares), None, ">", 0.5,
            f"{missed} of {len(shares)} seeds not above",
        ),
        Figure(STUDY, "lowest window of 300 ÷ before, mean over seeds", float(lowest), None, ">=", 0.97),
        Figure(
            STUDY, "the same in the worst seed, tasks' difficulty removed", min(fair), None, ">=", 0.97,
            f"{held} of {len(fair)} seeds never lower",
        ),
    ]  # fmt: skip
