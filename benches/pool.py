"""Jobs on several processes."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    work: Sequence[Job], run: Callable[[Job], Result], workers: int, done: Callable[[Job, Result], None]
) -> dict[Job, Result]:
    """Return the result of every job; `done` hears of each with its result. `run` is a function of a module."""
    results: dict[Job, Result] = {}
    if workers == 1:
        for job in work:
            results[job] = run(job)
            done(job, results[job])
        return results
    # Spawned, because a fork would copy the threads of the libraries that the parent has loaded.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run, job): job for job in work}
        for future in as_completed(running):
            results[running[future]] = future.result()
            done(running[future], future.result())
    return results
