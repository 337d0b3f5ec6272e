"""Every study by name, and how its runs are spread over processes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from benches.learning import cold_start, drift, hub, new_module, stationary
from benches.learning.figure import Figure
from benches.pool import run_jobs

Results = Mapping[str, Sequence[Mapping[str, Any]]]


class Study(NamedTuple):
    """`measure` plays one seed of one case; `figures` makes rows of the results by case."""

    cases: Sequence[str]
    measure: Callable[[str, int], dict[str, Any]]
    figures: Callable[[Results], list[Figure]]
    seeds_times: int
    """Seeds for each that is asked for: short runs need, and can afford, more."""


STUDIES: Final[dict[str, Study]] = {
    cold_start.STUDY: Study(cold_start.CASES, cold_start.measure, cold_start.figures, 2),
    new_module.STUDY: Study(new_module.CASES, new_module.measure, new_module.figures, 2),
    drift.STUDY: Study(drift.CASES, drift.measure, drift.figures, 1),
    stationary.STUDY: Study(stationary.CASES, stationary.measure, stationary.figures, 1),
    hub.STUDY: Study(hub.CASES, hub.measure, hub.figures, 4),
}


class Job(NamedTuple):
    """One seed of one case."""

    study: str
    case: str
    seed: int


def jobs(names: Sequence[str], seeds: int) -> list[Job]:
    """Return the jobs of the named studies, those of one case together."""
    return [
        Job(name, case, seed)
        for name in names
        for case in STUDIES[name].cases
        for seed in range(seeds * STUDIES[name].seeds_times)
    ]


def run(job: Job) -> dict[str, Any]:
    """Play one job."""
    return STUDIES[job.study].measure(job.case, job.seed)


def run_all(work: Sequence[Job], workers: int, done: Callable[[Job], None]) -> dict[str, dict[str, list[Any]]]:
    """Return the results by study and case, in the order of the seeds; `done` hears of each job as it ends."""
    results = run_jobs(work, run, workers, lambda job, _: done(job))
    found: dict[str, dict[str, list[Any]]] = {}
    for job in work:
        found.setdefault(job.study, {}).setdefault(job.case, []).append(results[job])
    return found
