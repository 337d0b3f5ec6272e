"""Classification sets as bandits: a module per class, reward 1 for the right one.

Layout: `DIR/cb_classification/*.parquet` with a column `label`. scikit-learn's digits, wine and breast_cancer as well.
"""

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benches.quality.extras import installed
from benches.quality.recorded import Recorded, permuted
from benches.quality.stream import Scenario, Stream
from benches.quality.tables import parquet_columns, parquet_names, rows_of

BUNDLED: Final = ("digits", "wine", "breast_cancer")
BUNDLED_ROUNDS: Final = 20_000


def recorded(columns: Mapping[str, NDArray[Any]]) -> Recorded:
    """Return the set as a table of rewards; every column but `label` is a feature."""
    _, classes = np.unique(columns["label"].astype(str), return_inverse=True)
    rewards = np.eye(int(classes.max()) + 1)[classes]
    features = rows_of({name: values for name, values in columns.items() if name != "label"})
    return Recorded(features, rewards, {"quality": rewards})


@lru_cache(maxsize=1)
def load(path: Path) -> Recorded:
    """Read a set."""
    return recorded(parquet_columns(path))


@lru_cache(maxsize=1)
def load_bundled(name: str) -> Recorded:
    """Return a set that scikit-learn brings along."""
    bunch = getattr(installed("sklearn.datasets"), f"load_{name}")()
    columns = {f"x{column}": values for column, values in enumerate(np.asarray(bunch.data, dtype=np.float64).T)}
    return recorded({**columns, "label": np.asarray(bunch.target)})


def build(path: Path, rng: np.random.Generator) -> Stream:
    """Return one permutation of a set."""
    return permuted(load(path), rng)


def build_bundled(name: str, rng: np.random.Generator) -> Stream:
    """Return shuffled passes over a small set, 20,000 rounds in all."""
    return permuted(load_bundled(name), rng, BUNDLED_ROUNDS)


def scenarios(data: Path) -> list[Scenario]:
    """Return every set found under `data`, and scikit-learn's."""
    paths = [path for path in sorted(data.glob("cb_classification/*.parquet")) if "label" in parquet_names(path)]
    found = [Scenario(f"cb_classification/{path.stem}", "classification", "", partial(build, path)) for path in paths]
    bundled = [Scenario(f"sklearn/{name}", "classification", "", partial(build_bundled, name)) for name in BUNDLED]
    return [*found, *bundled]
