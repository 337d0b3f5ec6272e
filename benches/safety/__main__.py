"""`python -m benches.safety`: plays the campaigns, prints the table, writes; fails if a figure is not as asked for."""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benches.figures import machine
from benches.learning.figure import Figure
from benches.quality.table import PASSED, markdown
from benches.safety.campaigns import CAMPAIGNS, Job, jobs, run_all

LINES: Final = 20
"""Lines of progress for each campaign."""


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benches.safety", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="file that gets every figure and every part's result")
    parser.add_argument("--campaigns", nargs="+", choices=CAMPAIGNS, default=list(CAMPAIGNS), help="all without")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="1: what is asked for; 0.01: a hundredth")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes at a time")
    read = parser.parse_args(words)
    if read.jobs < 1:
        parser.error(f"jobs == {read.jobs}, must be >= 1")
    if not 0.0 < read.scale <= 100.0:
        parser.error(f"scale == {read.scale}, must be in (0, 100]")
    return read


def lines(work: Sequence[Job]) -> Callable[[Job], None]:
    """Return what writes a line to stderr now and then, and when a campaign ends."""
    total, left = Counter(job.campaign for job in work), Counter(job.campaign for job in work)
    start = time.monotonic()

    def done(job: Job) -> None:
        name = job.campaign
        left[name] -= 1
        ended = total[name] - left[name]
        if not left[name] or ended % max(1, total[name] // LINES) == 0:
            print(f"{time.monotonic() - start:6.0f} s  {name}: {ended}/{total[name]}", file=sys.stderr, flush=True)

    return done


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = [
        [
            f"{figure.study}: {figure.what}",
            f"{figure.value:,.0f}" if float(figure.value).is_integer() else f"{figure.value:.4g}",
            "" if figure.limit is None else f"{figure.relation} {figure.limit:g}",
            "" if figure.is_met is None else PASSED[figure.is_met],
            figure.detail,
        ]
        for figure in figures
    ]
    return markdown(["what", "figure", "asked for", "met", "detail"], rows)


def main(words: list[str] | None = None) -> int:
    """Run the bench; return 1 if a figure is not as asked for."""
    read = arguments(words)
    work = jobs(read.campaigns, read.scale)
    results = run_all(work, read.jobs, lines(work))
    figures = [figure for name in read.campaigns for figure in CAMPAIGNS[name].figures(results[name])]
    print(table(figures))
    if read.json:
        rows = [figure._asdict() | {"is_met": figure.is_met} for figure in figures]
        settings = {"scale": read.scale, "campaigns": read.campaigns}
        report = {"machine": machine(), "settings": settings, "figures": rows, "results": results}
        read.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return int(any(figure.is_met is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
