"""The hub's own task: three types of document, three modules, 500 tasks."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from benches.learning.figure import Figure, mean_and_error
from benches.learning.passage import Watched, passage
from benches.quality.stream import generator
from benches.quality.synthetic import hub_modules, stream

STUDY: Final = "hub"
CASES: Final = ("three modules",)


class Sizes(NamedTuple):
    """Numbers of decisions."""

    n: int = 500


def measure(case: str, seed: int, sizes: Sizes | None = None) -> dict[str, float]:
    """Return the expected reward over the last third ÷ the best possible there."""
    sizes = sizes or Sizes()
    played = stream(hub_modules(generator(seed, STUDY, case), sizes.n))
    track = passage(played, Watched(generator(seed, STUDY, case, "policy")))
    last = slice(sizes.n * 2 // 3, None)
    return {"share": float(track.earned[last].sum() / track.best[last].sum())}


def figures(results: Mapping[str, Sequence[Mapping[str, float]]]) -> list[Figure]:
    """Return the row of the table."""
    (per_seed,) = results.values()
    shares = [each["share"] for each in per_seed]
    detail = f"{len(shares)} seeds, worst {min(shares):.3f}"
    return [Figure(STUDY, "last third of 500 tasks ÷ optimum", *mean_and_error(shares), ">=", 0.97, detail)]
