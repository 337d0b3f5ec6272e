"""The command: builds the contenders of each size, times them, prints and writes what came out."""

import argparse
import importlib
import json
import os
import platform
import re
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benches.figures import machine
from benches.latency.contender import OPERATIONS, Contender
from benches.latency.table import conclusion, tables
from benches.latency.timing import Timing, clock_ns, time_contenders
from benches.latency.verdict import Figure, verdicts
from benches.latency.world import World, make_world

# By the name that --peers takes: the module, and the package whose version is reported.
SOURCES = {
    "vw": ("benches.latency.peers.vowpal_wabbit", "vowpalwabbit"),
    "mabwiser": ("benches.latency.peers.mab_wiser", "mabwiser"),
    "contextualbandits": ("benches.latency.peers.contextual_bandits", "contextualbandits"),
    "river": ("benches.latency.peers.river_bandit", "river"),
    "numpy": ("benches.latency.numpy_linear", "numpy"),
    "floor": ("benches.latency.c_floor", None),
}
L2_FILE = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
L2_BYTES_ELSEWHERE = 1 << 20
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}


def size_of_l2() -> int:
    """Return the bytes of one core's second-level cache; 1 MiB where the system does not say."""
    text = L2_FILE.read_text().strip() if L2_FILE.exists() else ""
    found = re.fullmatch(r"(\d+)([KM]?)", text)
    return int(found[1]) * UNITS[found[2]] if found else L2_BYTES_ELSEWHERE


def build(world: World, peers: Sequence[str]) -> list[Contender]:
    """Return ours and the named peers, trained; imports only what is named."""
    names = ["benches.latency.ours", *(SOURCES[peer][0] for peer in peers)]
    return [contender for name in names for contender in importlib.import_module(name).contenders(world)]


def measure(arguments: argparse.Namespace) -> list[Figure]:
    """Time every size that was asked for."""
    figures: list[Figure] = []
    for n_modules in arguments.k:
        for n_features in arguments.d:
            contenders = build(make_world(n_modules, n_features), arguments.peers)
            timings = time_contenders(contenders, arguments.repeat, arguments.budget_ms)
            for contender in contenders:
                for operation in OPERATIONS:
                    timing: Timing = timings[contender.name, operation]
                    figures.append(
                        Figure(
                            n_modules, n_features, contender.name, contender.family, contender.gives, operation, *timing
                        )
                    )
            print(f"measured {n_modules} × {n_features}: {len(contenders)} contenders", flush=True)
    return figures


def versions(peers: Sequence[str]) -> dict[str, str]:
    """Return the version of each peer's package."""
    found = {}
    for package in (SOURCES[peer][1] for peer in peers):
        if package is not None:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                found[package] = "not installed"
    return found


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(prog="benches.latency", description="Compare the core's speed with its peers'.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where every figure goes, with its unit")
    parser.add_argument("--repeat", type=int, default=30, metavar="N", help="blocks per operation (30)")
    parser.add_argument("--k", type=int, nargs="+", default=[3, 10, 50, 200], metavar="K", help="modules")
    parser.add_argument("--d", type=int, nargs="+", default=[20, 64, 128], metavar="D", help="length of the context")
    parser.add_argument("--peers", nargs="*", choices=SOURCES, default=list(SOURCES), help="all, if not given")
    parser.add_argument("--budget-ms", type=float, default=100.0, metavar="MS", help="slower calls are skipped (100)")
    parser.add_argument("--l2-bytes", type=int, default=size_of_l2(), metavar="N", help="second-level cache of a core")
    arguments = parser.parse_args(words)
    if min(*arguments.k, *arguments.d, arguments.repeat) < 1:
        parser.error(f"--k {arguments.k} --d {arguments.d} --repeat {arguments.repeat}: each must be >= 1")
    return arguments


def main(words: Sequence[str] | None = None) -> None:
    """Run the bench."""
    arguments = parse(words)
    warnings.simplefilter("ignore")  # the peers warn of each other's versions
    overhead_ns = clock_ns()
    print(
        f"{platform.processor() or platform.machine()}, one thread; the clock's {overhead_ns:.0f} ns are in each figure"
    )
    figures = measure(arguments)
    judged = verdicts(figures, arguments.l2_bytes)
    print("\n".join([*tables(figures, arguments.l2_bytes), *conclusion(judged)]))
    if arguments.json:
        report: dict[str, Any] = {
            "machine": machine() | {"l2_bytes": arguments.l2_bytes},
            "versions": versions(arguments.peers),
            "threads": {name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS")},
            "settings": {"repeat": arguments.repeat, "budget_ms": arguments.budget_ms, "clock_ns": overhead_ns},
            "figures": [figure._asdict() for figure in figures],
            "verdicts": [verdict._asdict() for verdict in judged],
            "is_met": all(verdict.is_met for verdict in judged),
        }
        arguments.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
