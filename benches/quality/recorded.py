"""Streams of recorded tables in which every module's result on every row is known (full information)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benches.quality.stream import NO_COST, Arm, Features, Floats, Round, Step, Stream, shuffled_names


class Recorded(NamedTuple):
    """Rows of a table: what is known of each task, and float64 [n, K] of what each module did.

    `cost` (less is better) and `task_types` and `texts` are None where the table has none.
    """

    features: Sequence[Features]
    rewards: Floats
    signals: Mapping[str, Floats]
    cost: Floats | None = None
    task_types: Sequence[str] | None = None
    texts: Sequence[str] | None = None


def permuted(recorded: Recorded, rng: np.random.Generator, length: int | None = None) -> Stream:
    """Return the rows in random order, modules renamed and shuffled.

    Args:
        recorded: The table.
        rng: Makes the permutation.
        length: Number of rounds; longer than the table: it is shuffled and passed through again. None: one pass.
    """
    n, arm_count = recorded.rewards.shape
    order, arms = rng.permutation(arm_count), [Arm(name) for name in shuffled_names(rng, arm_count)]
    rounds = n if length is None else length
    rows = np.concatenate([rng.permutation(n) for _ in range(-(-rounds // n))])[:rounds].tolist()

    def steps() -> Iterator[Step]:
        for row in rows:
            task_type = recorded.task_types[row] if recorded.task_types else ""
            text = recorded.texts[row] if recorded.texts else ""
            rewards = recorded.rewards[row][order]
            signals = {name: values[row][order] for name, values in recorded.signals.items()}
            cost = NO_COST if recorded.cost is None else recorded.cost[row][order]
            yield Step(Round(task_type, recorded.features[row], text, arms), rewards, rewards, signals, cost)

    return Stream(rounds, arm_count, fixed_arms=True, steps=steps)
