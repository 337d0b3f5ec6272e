"""Exact replay at size: one process makes decisions with outcomes and is restarted half-way, another replays them.

`python -m benches.replay 1000000` prints how many there were, how many differ, and how long each part took.
"""

import argparse
import json
import math
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from pilotfish.codes import Mode, Signal
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.replaying import replay
from pilotfish.experience.births import all_births
from pilotfish.experience.log import ExperienceLog
from pilotfish.request import Module, Outcome, Request, Task

MODULES: Final = tuple(Module(name) for name in ("grobid", "marker", "nougat", "pypdf"))
TYPES: Final = ("article", "book", "scan")
ALL: Final = (Mode.ON, Mode.ROLLOUT, Mode.SHADOW, Mode.OFF)


def write(state_dir: Path, first: int, last: int, total: int) -> None:
    """Make the decisions of [first, last) and report their outcomes; the world changes after two thirds of `total`."""
    engine = Engine(state_dir, EngineSettings(mode=Mode.ON, rollout_share=0.5, growth="inline"))
    for number in range(first, last):
        if number % 10_000 == 0:  # seven tenths of all are in mode on
            turn = number // 10_000 % 10
            engine.set_mode(ALL[max(0, turn - 6)], 0.5, "bench", "every mode must replay")
        rng = random.Random(number)
        pages, kind = math.exp(rng.gauss(2.0, 1.0)), rng.choice(TYPES)
        weights = tuple(rng.uniform(0.1, 1.0) for _ in Signal) if number % 7 == 0 else None
        task = Task(kind, features={"pages": pages, "kind": kind}, weights=weights)
        denied = (rng.choice(MODULES).name,) if number % 11 == 0 else ()
        request = Request(task, MODULES, unit_id=str(rng.randrange(1000)), denied_modules=denied)
        decision = engine.decide(request)
        if number % 20 == 0 or not decision.decision_id:  # nothing is heard of some, or the log was being folded
            continue
        place = [module.name for module in MODULES].index(decision.module)
        favourite = (TYPES.index(kind) + (number > total * 2 / 3) + (pages > 10)) % len(MODULES)
        quality = min(1.0, max(0.0, rng.gauss(0.8 if place == favourite else 0.4, 0.1)))
        _report(engine, Outcome({Signal.COMPLETION: 1.0, Signal.QUALITY: quality}, decision.decision_id))
    engine.close()


def _report(engine: Engine, outcome: Outcome) -> None:
    while True:
        try:
            engine.record_outcome(outcome)
        except sqlite3.OperationalError:  # the log is being folded; a hub would try again too
            continue
        return


def compare(state_dir: Path) -> dict[str, float]:
    """Replay the log and return the figures."""
    log = ExperienceLog(state_dir)
    began = time.perf_counter()
    differing = count = 0
    for one in replay(log):
        count += 1
        differing += bool(one.differs)
    known = [birth for _, birth in all_births(log)]
    figures = {
        "decisions": count,
        "differing": differing,
        "signal_values": log.signal_value_count,
        "births": len(known),
        "changes": sum(birth.change is not None for birth in known),
        "replay_s": round(time.perf_counter() - began, 3),
        "log_bytes": log.path.stat().st_size,
    }
    log.close()
    return figures


def main() -> int:
    """Write in two processes, replay in a third, print the figures; 1 if any decision differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, help="decisions to make")
    parser.add_argument("--part", nargs=3, metavar=("FOLDER", "FIRST", "LAST"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where the log goes; default: a temporary folder")
    arguments = parser.parse_args()
    count = arguments.count
    if arguments.part:
        folder, first, last = arguments.part
        if first == last:
            print(json.dumps(compare(Path(folder))))
        else:
            write(Path(folder), int(first), int(last), count)
        return 0

    folder = arguments.folder or Path(mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    for first, last in ((0, count // 2), (count // 2, count)):
        _part(count, folder, first, last)
    written_s = round(time.perf_counter() - began, 3)
    figures = json.loads(_part(count, folder, 0, 0)) | {"write_s": written_s}
    print(json.dumps(figures))
    if arguments.folder is None:
        shutil.rmtree(folder)
    return 1 if figures["differing"] else 0


def _part(count: int, folder: Path, first: int, last: int) -> str:
    command = [sys.executable, "-m", "benches.replay", str(count), "--part", str(folder), str(first), str(last)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
