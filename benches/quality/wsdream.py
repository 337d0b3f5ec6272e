"""Which web service to call, over time: WS-DREAM dataset#2, selection (problem 1 of its README).

Layout: `DIR/wsdream*/response_ms.parquet` (slot, user, a column of milliseconds per service; 20000 = timed out,
−1 = not offered) and `groups.csv.gz` (service, and a column `group_*` per way to cut the services into groups).
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benches.quality.stream import Arm, Floats, Round, Scenario, Step, Stream, shuffled_names
from benches.quality.tables import csv_columns, parquet_columns

FILES: Final = ("response_ms.parquet", "groups.csv.gz")
TIMEOUT_MS: Final = 20_000.0
MIN_OFFERED: Final = 5
"""Rounds that offer fewer services are skipped, as in the data's README."""


class Calls(NamedTuple):
    """`slots` and `users` [n], `response_ms` [n, services], and the columns of each group's services."""

    slots: NDArray[np.int64]
    users: list[str]
    response_ms: Floats
    groups: dict[str, NDArray[np.int64]]


def calls(responses: Mapping[str, NDArray[Any]], groups: Mapping[str, NDArray[Any]], grouping: str) -> Calls:
    """Return the calls under one grouping."""
    services = [name for name in responses if name not in ("slot", "user")]
    place = {name: column for column, name in enumerate(services)}
    members: dict[str, list[int]] = {}
    for service, group in zip(groups["service"].tolist(), groups[grouping].tolist(), strict=True):
        members.setdefault(str(group), []).append(place[service])
    return Calls(
        responses["slot"].astype(np.int64),
        [f"u{user}" for user in responses["user"].tolist()],
        np.stack([responses[name] for name in services], axis=1).astype(np.float64),
        {group: np.array(columns) for group, columns in sorted(members.items())},
    )


def reward(response_ms: Floats) -> Floats:
    """Return 1 − response / 20 s, in [0, 1].

    Linear, because the score is mean seconds: under a logarithm a learner gives up seconds for milliseconds.
    """
    return np.asarray(np.clip(1.0 - response_ms / TIMEOUT_MS, 0.0, 1.0))


def stream(called: Calls, rng: np.random.Generator) -> Stream:
    """Return one permutation: slots in order, users and groups shuffled within each, services renamed and shuffled."""
    names = shuffled_names(rng, called.response_ms.shape[1])
    members = {group: rng.permutation(columns) for group, columns in called.groups.items()}
    arms = {group: [Arm(names[column]) for column in columns] for group, columns in members.items()}
    pairs = [(row, group) for row in range(len(called.users)) for group in members]
    offered = np.stack([(called.response_ms[:, columns] >= 0).sum(axis=1) for columns in members.values()], axis=1)
    kept = np.flatnonzero(offered.ravel() >= MIN_OFFERED)
    kept = rng.permutation(kept)
    slot_of = called.slots[kept // len(members)]
    order = kept[np.argsort(slot_of, kind="stable")].tolist()

    def steps() -> Iterator[Step]:
        for place in order:
            row, group = pairs[place]
            response_ms = called.response_ms[row, members[group]]
            there = np.flatnonzero(response_ms >= 0)
            features = {"user": called.users[row], "slot": float(called.slots[row])}
            shown = Round(f"group{group}", features, "", [arms[group][index] for index in there])
            yield step(shown, np.minimum(response_ms[there], TIMEOUT_MS))

    return Stream(len(order), called.response_ms.shape[1], fixed_arms=False, steps=steps)


def step(shown: Round, response_ms: Floats) -> Step:
    """Return a round with its results; the cost is in seconds."""
    answered = (response_ms < TIMEOUT_MS).astype(np.float64)
    signals = {"completion": answered, "latency": response_ms, "censored": 1.0 - answered}
    rewards = reward(response_ms)
    return Step(shown, rewards, rewards, signals, response_ms / 1000.0)


@lru_cache(maxsize=1)
def load(folder: Path, grouping: str) -> Calls:
    """Read the calls under one grouping."""
    return calls(parquet_columns(folder / FILES[0]), csv_columns(folder / FILES[1]), grouping)


def build(folder: Path, grouping: str, rng: np.random.Generator) -> Stream:
    """Return one permutation under one grouping."""
    return stream(load(folder, grouping), rng)


def scenarios(data: Path) -> list[Scenario]:
    """Return every grouping found under `data`."""
    folders = [path for path in sorted(data.glob("wsdream*")) if all((path / name).is_file() for name in FILES)]
    return [
        Scenario(f"{path.name}/{grouping}", "wsdream", "seconds", partial(build, path, grouping))
        for path in folders
        for grouping in csv_columns(path / FILES[1])
        if grouping.startswith("group")
    ]
