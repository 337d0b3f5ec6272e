"""`python -m benches.quality`: finds, plays, prints, writes."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benches.figures import machine
from benches.quality.found import scenarios
from benches.quality.plots import draw
from benches.quality.progress import told
from benches.quality.report import overall, stream_report
from benches.quality.run import jobs, run_all
from benches.quality.table import overall_lines, stream_table, summary_table


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benches.quality", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder in which scenarios are found")
    parser.add_argument("--json", type=Path, metavar="OUT", help="file that gets every figure")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="folder that gets a picture per scenario")
    parser.add_argument("--permutations", type=int, default=5, metavar="N")
    parser.add_argument("--scenarios", nargs="+", default=[], metavar="GLOB", help="all without")
    parser.add_argument("--policies", nargs="+", default=[], metavar="GLOB", help="all without")
    parser.add_argument("--limit", type=int, metavar="N", help="play the first N rounds of each stream only")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="other seed, other worlds and permutations")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes at a time")
    parser.add_argument("--peers", type=Path, metavar="FILE", help="file that keeps what peers did, for the next run")
    read = parser.parse_args(words)
    for name in ("permutations", "limit", "jobs"):
        if getattr(read, name) is not None and getattr(read, name) < 1:
            parser.error(f"{name} == {getattr(read, name)}, must be >= 1")
    return read


def report(read: argparse.Namespace) -> dict[str, Any]:
    """Play what the command line asks for and return everything that was measured."""
    work = list(
        jobs(read.data, read.scenarios, read.policies, permutations=read.permutations, seed=read.seed, limit=read.limit)
    )
    with told(work) as done:
        results = run_all(work, read.jobs, done, read.peers)
    streams = [
        stream_report(scenario, [result for result in results if result.scenario == scenario.name])
        for scenario in scenarios(read.data, read.scenarios)
    ]
    settings = {
        name: getattr(read, name) for name in ("permutations", "limit", "seed", "jobs", "scenarios", "policies")
    }
    return {"machine": machine(), "settings": settings, "streams": streams, "overall": overall(streams)}


def main() -> None:
    """Run the bench."""
    read = arguments()
    try:
        measured = report(read)
    except ValueError as error:
        sys.exit(f"benches.quality: {error}")
    for stream in measured["streams"]:
        print(stream_table(stream), end="\n\n")
    print(summary_table(measured["streams"]))
    print("\n".join(overall_lines(measured["overall"])))
    if read.limit:
        print(f"only the first {read.limit} rounds of each stream were played, the bars are meant for whole passes")
    if read.json:
        read.json.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    if read.plots:
        draw(measured["streams"], read.plots)


if __name__ == "__main__":
    main()
