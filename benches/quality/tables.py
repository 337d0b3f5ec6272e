"""Reading of tables into columns, and of columns into features."""

import csv
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benches.quality.extras import installed
from benches.quality.stream import Features

Columns: TypeAlias = dict[str, NDArray[Any]]
"""A table: columns of one length by name, in their order; numbers as they are, everything else as objects."""


def parquet_columns(path: Path) -> Columns:
    """Return the columns of a parquet file; a missing text is None."""
    table = installed("pyarrow.parquet").read_table(path)
    return {name: column_values(table.column(name)) for name in table.column_names}


def parquet_names(path: Path) -> list[str]:
    """Return the column names of a parquet file without reading it."""
    names: list[str] = installed("pyarrow.parquet").read_schema(path).names
    return names


def column_values(column: Any) -> NDArray[Any]:  # noqa: ANN401  pyarrow has no types
    """Return an Arrow column as an array: numbers and flags in their own type, everything else as objects."""
    kind = str(column.type)
    if kind == "bool" or kind.startswith(("int", "uint", "float", "double", "halffloat")):
        return np.asarray(column.to_numpy())
    values = np.empty(len(column), dtype=object)
    values[:] = column.to_pylist()
    return values


def csv_columns(path: Path) -> Columns:
    """Return the columns of a CSV file, gzipped or not, as texts."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = list(csv.DictReader(content.decode().splitlines()))
    return {name: np.array([row[name] for row in rows], dtype=object) for name in rows[0]}


def is_number(values: NDArray[Any]) -> bool:
    """Say whether a column holds numbers; flags are none."""
    return bool(np.issubdtype(values.dtype, np.number))


def rows_of(columns: Mapping[str, NDArray[Any]]) -> Sequence[Features]:
    """Return one mapping per row: numbers as floats, texts as they are; what is missing (NaN, None) is left out."""
    if not columns:
        return []
    cells = [
        [None if value != value else float(value) for value in values.tolist()]  # noqa: PLR0124  NaN
        if is_number(values)
        else [None if value is None else str(value) for value in values.tolist()]
        for values in columns.values()
    ]
    names = list(columns)
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in zip(*cells, strict=True)
    ]
