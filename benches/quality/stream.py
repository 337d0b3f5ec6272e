"""What a policy plays: rounds, what each module would have earned, and the order they come in."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Features: TypeAlias = Mapping[str, float | str]


class Arm(NamedTuple):
    """A module that a round offers."""

    name: str
    features: Features = {}  # noqa: RUF012  nobody writes to it
    capabilities: tuple[str, ...] = ()


class Round(NamedTuple):
    """What a policy sees before it decides; "" and {} where the scenario has none."""

    task_type: str
    features: Features
    text: str
    arms: Sequence[Arm]


class Outcome(NamedTuple):
    """What a policy sees of the module that it served.

    `reward` lies in [0, 1] and is all that the peers learn from. `signals` holds raw values by name: `quality` and
    `completion` in [0, 1], `latency` in the scenario's unit, and `censored`, 1 where the true latency is longer.
    """

    reward: float
    signals: Mapping[str, float]


class Step(NamedTuple):
    """A round together with what only the referee knows; arrays are float64 [K], in the order of the round's modules.

    `expected` is what regret is measured by: the mean reward where it is known, else the reward that was recorded.
    `cost` is the scenario's own measure (less is better), empty where it has none.
    """

    round: Round
    rewards: Floats
    expected: Floats
    signals: Mapping[str, Floats]
    cost: Floats

    def outcome(self, index: int) -> Outcome:
        """Return what the module at `index` brings."""
        return Outcome(
            float(self.rewards[index]), {name: float(values[index]) for name, values in self.signals.items()}
        )


class Stream(NamedTuple):
    """One permutation of a scenario. `steps` may be called again and yields the same rounds each time.

    `fixed_arms` is true where every round offers the same modules, which have no features: what peers without action
    features need.
    """

    length: int
    arm_count: int
    fixed_arms: bool
    steps: Callable[[], Iterator[Step]]


class Scenario(NamedTuple):
    """A stream for each permutation. `family` is the layout it was found by; `cost_unit` is "" without own measure."""

    name: str
    family: str
    cost_unit: str
    build: Callable[[np.random.Generator], Stream]


NO_COST = np.empty(0)


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator that belongs to these names: the same in every process and on every machine."""
    words = [name if isinstance(name, int) else zlib.crc32(name.encode()) for name in names]
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))


def shuffled_names(rng: np.random.Generator, count: int) -> list[str]:
    """Return `count` names without meaning in random order, so that neither name nor place is a hint."""
    return [f"module-{number:03d}" for number in rng.permutation(count)]


def shortened(stream: Stream, limit: int | None) -> Stream:
    """Return the stream's first `limit` rounds; all of them for None."""
    if limit is None or limit >= stream.length:
        return stream

    def steps() -> Iterator[Step]:
        for _, step in zip(range(limit), stream.steps(), strict=False):
            yield step

    return stream._replace(length=limit, steps=steps)
