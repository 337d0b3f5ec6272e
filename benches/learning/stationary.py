"""Nothing changes: how often an alarm is given all the same, and what that costs."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from benches.learning.drift import STREAMS
from benches.learning.figure import Figure, ratio_and_error
from benches.learning.passage import Passage, Watched, passage
from benches.quality.stream import generator
from benches.quality.synthetic import stream

STUDY: Final = "stationary"
CASES: Final = tuple(STREAMS)


class Sizes(NamedTuple):
    """Numbers of decisions."""

    n: int = 10_000


def measure(case: str, seed: int, sizes: Sizes | None = None) -> dict[str, Any]:
    """Play one seed, and if there was an alarm once more with the same draws and a blinded detector.

    Without an alarm both passes are the same (`tests/benches/test_learning.py`), so the second is spared.
    """
    sizes = sizes or Sizes()
    played = stream(STREAMS[case][0](generator(seed, STUDY, case), sizes.n))

    def once(*, detects: bool) -> Passage:
        return passage(played, Watched(generator(seed, STUDY, case, "policy"), detects=detects))

    seeing = once(detects=True)
    blind = once(detects=False) if seeing.alarms else seeing
    return {
        "alarms": len(seeing.alarms),
        "decisions": sizes.n,
        "regret": float(seeing.regret.mean()),
        "blind_regret": float(blind.regret.mean()),
    }


def figures(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Figure]:
    """Return the rows of the table."""
    rows = []
    for case, per_seed in results.items():
        alarms, decisions = (sum(each[key] for each in per_seed) for key in ("alarms", "decisions"))
        what = f"{case}: false alarms per 100,000 decisions"
        rows.append(
            Figure(STUDY, what, alarms * 1e5 / decisions, None, "<=", 1.0, f"{alarms} in {decisions:,} decisions")
        )
        regret, blind = ([each[key] for each in per_seed] for key in ("regret", "blind_regret"))
        hit = sum(each["alarms"] > 0 for each in per_seed)
        what = f"{case}: regret ÷ regret without detection"
        rows.append(
            Figure(
                STUDY, what, *ratio_and_error(regret, blind), "<=", 1.1, f"{hit} of {len(regret)} seeds had an alarm"
            )
        )
    return rows
