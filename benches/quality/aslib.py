"""Algorithm selection: which solver to run on an instance.

Layout: `DIR/aslib/*/` with `runs.parquet` (instance, algorithm, runtime, solved, par10), `features.parquet` (instance
and numbers) and `meta.json` (cutoff_seconds, in the unit of the runtimes). Instances that nobody solves are left out,
as in Run2Survive (Tornede et al., ACML 2020).
"""

import json
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benches.quality.recorded import Recorded, permuted
from benches.quality.stream import Floats, Scenario, Stream
from benches.quality.tables import is_number, parquet_columns, rows_of

FILES = ("runs.parquet", "features.parquet", "meta.json")


def par10_reward(par10: Floats, cutoff: float) -> Floats:
    """Return 1 − log(1 + 20 PAR10 / cutoff) / log(201), in [0, 1].

    The log because runtimes span decades, relative to the cutoff because what counts is whether it is met: an answer
    within a twentieth of the time is worth more than 0.87, one at the last moment 0.43, none 0.
    """
    return np.asarray(np.clip(1.0 - np.log1p(20.0 * par10 / cutoff) / np.log1p(200.0), 0.0, 1.0))


def recorded(runs: Mapping[str, NDArray[Any]], features: Mapping[str, NDArray[Any]], cutoff: float) -> Recorded:
    """Return the scenario as a table: one row per instance that some algorithm solves.

    Signals: `completion`; `latency`, the time until the run ended; `censored`, 1 where it ended without a solution.

    Raises:
        ValueError: An algorithm was not run on every instance.
    """
    instances, row = np.unique(runs["instance"].astype(str), return_inverse=True)
    algorithms, column = np.unique(runs["algorithm"].astype(str), return_inverse=True)
    shape = (len(instances), len(algorithms))

    def table(name: str) -> Floats:
        values = np.full(shape, np.nan)
        values[row, column] = runs[name]
        return values

    par10, runtime, solved = table("par10"), table("runtime"), table("solved")
    if np.isnan(par10).any():
        raise ValueError(f"runs has {np.isnan(par10).sum()} instances without a run, must hold every pair")
    solvable = solved.any(axis=1)
    numbers = {name: values for name, values in features.items() if is_number(values)}
    described = dict(zip(features["instance"].astype(str).tolist(), rows_of(numbers), strict=True))
    return Recorded(
        features=[described.get(name, {}) for name in instances[solvable].tolist()],
        rewards=par10_reward(par10, cutoff)[solvable],
        signals={"completion": solved[solvable], "latency": runtime[solvable], "censored": 1.0 - solved[solvable]},
        cost=par10[solvable],
    )


@lru_cache(maxsize=1)
def load(folder: Path) -> Recorded:
    """Read a scenario."""
    cutoff = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["cutoff_seconds"]
    runs, features = parquet_columns(folder / "runs.parquet"), parquet_columns(folder / "features.parquet")
    return recorded(runs, features, float(cutoff))


def build(folder: Path, rng: np.random.Generator) -> Stream:
    """Return one permutation of a scenario."""
    return permuted(load(folder), rng)


def scenarios(data: Path) -> list[Scenario]:
    """Return every scenario found under `data`."""
    folders = [path for path in sorted(data.glob("aslib/*")) if all((path / name).is_file() for name in FILES)]
    return [Scenario(f"aslib/{path.name}", "aslib", "PAR10", partial(build, path)) for path in folders]
