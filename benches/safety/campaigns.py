"""Every campaign by name, and how its parts are spread over processes."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from benches.learning.figure import Figure
from benches.pool import run_jobs
from benches.safety import adversarial, breach, breaker, conservative, cost, faults, models, never, share

Result = dict[str, Any]


class Campaign(NamedTuple):
    """`parts` gives what is played at a scale, `campaign` plays one part, `figures` makes rows of all results."""

    parts: Callable[[float], Sequence[Any]]
    campaign: Callable[[Any], Result]
    figures: Callable[[Sequence[Result]], list[Figure]]


CAMPAIGNS: Final[dict[str, Campaign]] = {
    module.CAMPAIGN: Campaign(module.parts, module.campaign, module.figures)
    for module in (adversarial, faults, breaker, share, breach, never, conservative, models, cost)
}


class Job(NamedTuple):
    """One part of one campaign."""

    campaign: str
    number: int
    part: Any


def jobs(names: Sequence[str], scale: float) -> list[Job]:
    """Return the parts of the named campaigns, those of one campaign together."""
    return [Job(name, *numbered) for name in names for numbered in enumerate(CAMPAIGNS[name].parts(scale))]


def run(job: Job) -> Result:
    """Play one part, in silence: each fault is one that the code under test would tell the operator."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        return CAMPAIGNS[job.campaign].campaign(job.part)
    finally:
        logging.disable(before)


def run_all(work: Sequence[Job], workers: int, done: Callable[[Job], None]) -> dict[str, list[Result]]:
    """Return the results by campaign, in the order of the parts; `done` hears of each job as it ends."""
    results = run_jobs(work, run, workers, lambda job, _: done(job))
    found: dict[str, list[Result]] = {}
    for job in work:
        found.setdefault(job.campaign, []).append(results[job])
    return found
