"""`python -m benches.learning`: plays, prints the table, writes."""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from benches.figures import machine
from benches.learning.figure import Figure
from benches.learning.studies import STUDIES, Job, jobs, run_all
from benches.quality.table import PASSED, markdown


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benches.learning", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="short studies play several times as many")
    parser.add_argument("--json", type=Path, metavar="OUT", help="file that gets every figure and every seed's result")
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES), help="all without")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes at a time")
    read = parser.parse_args(words)
    for name in ("seeds", "jobs"):
        if getattr(read, name) < 1:
            parser.error(f"{name} == {getattr(read, name)}, must be >= 1")
    return read


def lines(work: Sequence[Job]) -> Callable[[Job], None]:
    """Return what writes a line to stderr whenever all seeds of a case have been played."""
    left = Counter((job.study, job.case) for job in work)
    start, total = time.monotonic(), len(left)

    def done(job: Job) -> None:
        left[job.study, job.case] -= 1
        if not left[job.study, job.case]:
            ended = sum(not count for count in left.values())
            passed = time.monotonic() - start
            print(f"[{ended}/{total}] {passed:6.0f} s  {job.study}: {job.case}", file=sys.stderr, flush=True)

    return done


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = [
        [
            f"{figure.study}: {figure.what}",
            f"{figure.value:.4g}" + ("" if figure.error is None else f" ± {figure.error:.2g}"),
            "" if figure.limit is None else f"{figure.relation} {figure.limit:g}",
            "" if figure.is_met is None else PASSED[figure.is_met],
            figure.detail,
        ]
        for figure in figures
    ]
    return markdown(["what", "figure", "asked for", "", "seeds"], rows)


def main(words: list[str] | None = None) -> None:
    """Run the bench."""
    read = arguments(words)
    work = jobs(read.studies, read.seeds)
    results = run_all(work, read.jobs, lines(work))
    figures = [figure for name in read.studies for figure in STUDIES[name].figures(results[name])]
    print(table(figures))
    if read.json:
        rows = [figure._asdict() | {"is_met": figure.is_met} for figure in figures]
        settings = {"seeds": read.seeds, "studies": read.studies}
        report = {"machine": machine(), "settings": settings, "figures": rows, "results": results}
        read.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
