"""Change: three ways in which the world turns at once, on two streams; and what watching for it costs where none is."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, Final, NamedTuple

import numpy as np

from benches.learning.figure import Figure, mean_and_error, window_means
from benches.learning.passage import Watched, passage
from benches.quality.stream import Floats, generator
from benches.quality.synthetic import World, bernoulli, bounded_noise, linear, logistic, stream

STUDY: Final = "drift"


def swapped(expected: Floats) -> Floats:
    """Return the means after the module most often right and the one least often right have changed places."""
    right = np.bincount(expected.argmax(axis=1), minlength=expected.shape[1])
    order = np.arange(expected.shape[1])
    most, least = int(right.argmax()), int(right.argmin())
    order[[most, least]] = least, most
    return expected[:, order]


def rotated(expected: Floats) -> Floats:
    """Return the means after each module has taken the place of the next."""
    return np.roll(expected, 1, axis=1)


def reversed_(expected: Floats) -> Floats:
    """Return 1 − the means: every weight of both streams has changed its sign."""
    return 1.0 - expected


PATTERNS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "swap": swapped,
    "rotation": rotated,
    "reversal": reversed_,
}
STREAMS: Final[dict[str, tuple[Callable[[np.random.Generator, int], World], Callable[..., Floats]]]] = {
    "logistic": (logistic, bernoulli),
    "linear": (linear, bounded_noise),
}
CASES: Final = tuple(f"{base}, {pattern}" for base, pattern in product(STREAMS, PATTERNS))


class Sizes(NamedTuple):
    """Numbers of decisions."""

    change: int = 5_000
    after: int = 2_000
    window: int = 200


def world(rng: np.random.Generator, case: str, sizes: Sizes) -> World:
    """Return a stream of 8 modules that changes half-way."""
    base, pattern = case.split(", ")
    draw, noise = STREAMS[base]
    drawn = draw(rng, sizes.change + sizes.after)
    expected = np.concatenate((drawn.expected[: sizes.change], PATTERNS[pattern](drawn.expected)[sizes.change :]))
    return drawn._replace(expected=expected, rewards=noise(rng, expected))


def reach(share: Floats, wanted: float, width: int) -> int | None:
    """Return after how many decisions the first window with at least the wanted share ends; None if none has it."""
    enough = np.flatnonzero(share >= wanted)
    return int(enough[0]) + width if enough.size else None


def measure(case: str, seed: int, sizes: Sizes | None = None) -> dict[str, Any]:
    """Play one seed.

    Returns `before`, `at_once` and `at_1500`: shares of the optimum in the window before the change, in that after it,
    and in the one that ends 1,500 after; `reached`: decisions to 90 %, None if never; `delay`: decisions to the first
    alarm after the change, None if none; `alarms` after it and `false_alarms` before it.
    """
    sizes = sizes or Sizes()
    drawn = world(generator(seed, STUDY, case), case, sizes)
    track = passage(stream(drawn), Watched(generator(seed, STUDY, case, "policy")))
    share = window_means(track.earned, sizes.window) / window_means(track.best, sizes.window)
    after = share[sizes.change :]
    late = [alarm - sizes.change for alarm in track.alarms if alarm > sizes.change]
    return {
        "before": float(share[sizes.change - sizes.window]),
        "at_once": float(after[0]),
        "at_1500": float(after[min(1_500 - sizes.window, len(after) - 1)]),
        "reached": reach(after, 0.9, sizes.window),
        "delay": late[0] if late else None,
        "alarms": len(late),
        "false_alarms": len(track.alarms) - len(late),
        "stationary": sizes.change,
        "after": sizes.after,
    }


def steps_figure(what: str, per_seed: Sequence[Mapping[str, Any]], key: str, limit: int, note: str) -> Figure:
    """Return the mean number of decisions; where it never came to it, all that were played count: a lower bound."""
    steps = [each["after"] if each[key] is None else each[key] for each in per_seed]
    never = sum(each[key] is None for each in per_seed)
    late = sum(step > limit for step in steps)
    detail = f"{late} of {len(steps)} seeds later" + (f", {never} never" if never else "") + note
    return Figure(STUDY, what, *mean_and_error(steps), "<=", limit, detail)


def figures(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Figure]:
    """Return the rows of the table."""
    rows = []
    for case, per_seed in results.items():
        before, at_once, at_1500 = (
            mean_and_error([each[key] for each in per_seed])[0] for key in ("before", "at_once", "at_1500")
        )
        note = f"; share {before:.3f} before, {at_once:.3f} in the first 200, {at_1500:.3f} at 1,500"
        rows.append(steps_figure(f"{case}: decisions to 90 % of the optimum", per_seed, "reached", 1_500, note))
        rows.append(steps_figure(f"{case}: decisions to the alarm", per_seed, "delay", 500, ""))
    return rows
