"""Which language model to send a request to.

Layout: `DIR/llm_routing/*.parquet` with `qid`, a text (`query` or `prompt`), perhaps a label (`task` or `subject`), and
a column of numbers in [0, 1] per model. Rows with `contaminated` are left out.
"""

from collections.abc import Collection, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benches.quality.recorded import Recorded, permuted
from benches.quality.stream import Scenario, Stream
from benches.quality.tables import is_number, parquet_columns, parquet_names

TEXTS: Final = ("query", "prompt")
LABELS: Final = ("task", "subject")


def first_of(wanted: tuple[str, ...], names: Collection[str]) -> str | None:
    """Return the first wanted name that is there."""
    return next((name for name in wanted if name in names), None)


def recorded(columns: Mapping[str, NDArray[Any]]) -> Recorded:
    """Return the table: the label is the task's type, the text its text, each column of numbers a module.

    Raises:
        ValueError: There is no text, or no model.
    """
    text, label = first_of(TEXTS, columns), first_of(LABELS, columns)
    models = [name for name, values in columns.items() if is_number(values) and name != "qid"]
    if text is None or not models:
        raise ValueError(f"columns == {', '.join(columns)}, must hold {' or '.join(TEXTS)} and a number per model")
    kept = ~np.asarray(columns.get("contaminated", np.zeros(len(columns[text]))), dtype=bool)
    rewards = np.stack([columns[name][kept] for name in models], axis=1).astype(np.float64)
    return Recorded(
        features=[{}] * len(rewards),
        rewards=rewards,
        signals={"quality": rewards},
        task_types=[str(value) for value in columns[label][kept]] if label else None,
        texts=[value or "" for value in columns[text][kept]],
    )


@lru_cache(maxsize=1)
def load(path: Path) -> Recorded:
    """Read a table."""
    return recorded(parquet_columns(path))


def build(path: Path, rng: np.random.Generator) -> Stream:
    """Return one permutation of a table."""
    return permuted(load(path), rng)


def scenarios(data: Path) -> list[Scenario]:
    """Return every table found under `data`."""
    paths = [(path, parquet_names(path)) for path in sorted(data.glob("llm_routing/*.parquet"))]
    fitting = [path for path, names in paths if "qid" in names and first_of(TEXTS, names)]
    return [Scenario(f"llm_routing/{path.stem}", "llm_routing", "", partial(build, path)) for path in fitting]
