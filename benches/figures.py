"""Gathers the figures of a bench run, from criterion and pytest-benchmark, each with its unit. Called by `make bench`.

A Python bench adds figures of its own through `benchmark.extra_info["throughput"] = {"value": 4000.0, "unit": "1/s"}`.
"""

import argparse
import json
import os
import platform
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

NS_PER_US = 1e3
US_PER_S = 1e6
MIN_ROUNDS_FOR_P99 = 1_000


class Figure(NamedTuple):
    """One number that was measured."""

    name: str
    statistic: str
    value: float
    unit: str
    source: str


def criterion_figures(folder: Path) -> Iterator[Figure]:
    """Yields the median of each kernel bench that ran last."""
    for path in sorted(folder.glob("**/new/estimates.json")):
        name = json.loads(path.with_name("benchmark.json").read_text())["full_id"]
        median_ns = json.loads(path.read_text())["median"]["point_estimate"]
        yield Figure(name, "p50", median_ns / NS_PER_US, "us", "criterion")


def pytest_figures(report: Path) -> Iterator[Figure]:
    """Yields p50 of each Python bench, p99 where single calls were timed often enough, and its own figures."""
    for bench in json.loads(report.read_text())["benchmarks"]:
        name, stats = bench["fullname"].removeprefix("benches/python/"), bench["stats"]
        yield Figure(name, "p50", stats["median"] * US_PER_S, "us", "pytest-benchmark")
        # A round of several calls hides the slow one among them, so its p99 would flatter.
        if stats["iterations"] == 1 and stats["rounds"] >= MIN_ROUNDS_FOR_P99:
            p99 = statistics.quantiles(stats["data"], n=100, method="inclusive")[98]
            yield Figure(name, "p99", p99 * US_PER_S, "us", "pytest-benchmark")
        for key, extra in bench["extra_info"].items():
            if isinstance(extra, dict) and {"value", "unit"} <= extra.keys():
                yield Figure(name, key, float(extra["value"]), str(extra["unit"]), "pytest-benchmark")


def machine() -> dict[str, str | float]:
    """Says where this was measured; a figure without its machine means nothing."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "load_1min": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def main() -> None:
    """Reads the command line, prints the table, and writes the JSON file if asked."""
    parser = argparse.ArgumentParser(description="Gather the figures of a bench run.")
    parser.add_argument("--criterion", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--pytest", type=Path, required=True, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    figures = [*criterion_figures(arguments.criterion), *pytest_figures(arguments.pytest)]
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        print(f"{figure.name:<{width}}  {figure.statistic:<12} {figure.value:>14.3f} {figure.unit}")
    if arguments.json:
        report = {"machine": machine(), "figures": [figure._asdict() for figure in figures]}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
