"""Make the package's data slice from its published tables; see `data/ORIGIN.md`.

Run once when the slice changes: `python -m pilotfish.simulate.make_nine_llms --data DIRECTORY`. It needs the extra
`offline`.
"""

import csv
import gzip
import json
import struct
from pathlib import Path

import click

from pilotfish.simulate.table import DATA_FILE


@click.command()
@click.option(
    "--data",
    "directory",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Holds nine_llms.parquet and nine_llms_prices.csv.",
)
@click.option("--out", default=DATA_FILE, type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
def main(directory: Path, out: Path) -> None:
    """Write the slice as compressed JSON lines, the same bytes for the same input."""
    import pyarrow.parquet  # type: ignore[import-untyped]  # noqa: PLC0415  only this script needs pyarrow

    with (directory / "nine_llms_prices.csv").open(newline="") as file:
        prices = list(csv.DictReader(file))
    models = [
        {
            "name": row["model"],
            "size": row["size"],
            "input_price_per_mtok": float(row["input_price_per_mtok"]),
            "output_price_per_mtok": float(row["output_price_per_mtok"]),
        }
        for row in prices
    ]
    rows = pyarrow.parquet.read_table(directory / "nine_llms.parquet").to_pylist()
    lines = [json.dumps({"models": models})]
    lines.extend(
        json.dumps([row["task"], row["query"], [_shortest(row[model["name"]]) for model in models]], ensure_ascii=False)
        for row in rows
    )
    # No time stamp and no file name in the archive, so that equal input gives equal bytes.
    packed = gzip.compress(("\n".join(lines) + "\n").encode(), compresslevel=9, mtime=0)
    out.write_bytes(packed)
    click.echo(f"{out}: {len(rows)} requests, {len(models)} models, {len(packed)} bytes")


def _shortest(score: float) -> float:
    """Return the number with the fewest decimals that is the same 32-bit float, as an int where it is whole."""
    as_stored = struct.pack("f", score)
    for digits in range(1, 10):
        candidate = float(f"{score:.{digits}g}")
        if struct.pack("f", candidate) == as_stored:
            return int(candidate) if candidate.is_integer() else candidate
    return score


if __name__ == "__main__":
    main()
