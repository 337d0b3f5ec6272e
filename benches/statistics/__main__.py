"""`python -m benches.statistics`: plays rollouts, prints the table, writes."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benches.figures import machine
from benches.learning.__main__ import table
from benches.learning.figure import Figure
from benches.statistics import power, ratio, validity

STUDIES: Final[dict[str, Callable[[int], list[Figure]]]] = {
    validity.STUDY: validity.figures,
    # A sample to a decision takes fewer runs than a rate of 5 % does.
    power.STUDY: lambda runs: power.figures(max(1, runs * 2 // 5)),
    ratio.STUDY: ratio.figures,
}


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benches.statistics", description=__doc__)
    parser.add_argument(
        "--repetitions", type=int, default=1_000, metavar="N", help="of each case; power plays 2/5 of it"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="file that gets every figure")
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES), help="all without")
    read = parser.parse_args(words)
    if read.repetitions < 1:
        parser.error(f"repetitions == {read.repetitions}, must be >= 1")
    return read


def main(words: list[str] | None = None) -> None:
    """Run the bench."""
    read, start = arguments(words), time.monotonic()
    figures: list[Figure] = []
    for name in read.studies:
        figures += STUDIES[name](read.repetitions)
        print(f"{time.monotonic() - start:6.0f} s  {name}", file=sys.stderr, flush=True)
    print(table(figures))
    if read.json:
        rows = [figure._asdict() | {"is_met": figure.is_met} for figure in figures]
        settings = {"repetitions": read.repetitions, "studies": read.studies}
        report = {"machine": machine(), "settings": settings, "figures": rows}
        read.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
