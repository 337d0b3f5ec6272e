"""Tells how far a run is: a bar on a terminal, a line per permutation elsewhere."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benches.quality.extras import installed
from benches.quality.run import Job


@contextmanager
def told(work: list[Job]) -> Iterator[Callable[[Job], None]]:
    """Yield what is to be told of each job that ends."""
    if sys.stderr.isatty():
        rich = installed("rich.progress")
        columns = (*rich.Progress.get_default_columns(), rich.TimeElapsedColumn())
        with rich.Progress(*columns, console=installed("rich.console").Console(stderr=True)) as bar:
            task = bar.add_task("", total=len(work))
            yield lambda job: bar.update(task, advance=1, description=f"{job.scenario} {job.policy}")
    else:
        yield lines(work)


def lines(work: list[Job]) -> Callable[[Job], None]:
    """Return what writes a line to stderr whenever every policy has played a permutation."""
    left = Counter((job.scenario, job.permutation) for job in work)
    start, total = time.monotonic(), len(left)

    def done(job: Job) -> None:
        key = (job.scenario, job.permutation)
        left[key] -= 1
        if not left[key]:
            del left[key]
            passed = time.monotonic() - start
            print(f"[{total - len(left)}/{total}] {passed:6.0f} s  {key[0]} {key[1]}", file=sys.stderr, flush=True)

    return done
