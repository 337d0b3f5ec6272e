"""Runs every policy on every permutation of every scenario, several at a time; the same figures whatever the order."""

import json
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from benches.pool import run_jobs
from benches.quality.found import scenarios
from benches.quality.play import play, references
from benches.quality.policies import ENTRIES, Entry
from benches.quality.stream import Stream, generator, shortened

REFERENCES = "references"
"""The job that plays nothing: random, best fixed and oracle."""


OURS: Final = frozenset(entry.name for entry in ENTRIES if entry.group == "ours")
"""What changes with every commit, and is played anew."""


class Job(NamedTuple):
    """One policy on one permutation; everything that a worker needs."""

    data: Path
    scenario: str
    policy: str
    permutation: int
    seed: int
    limit: int | None


class Result(NamedTuple):
    """The figures of one policy on one permutation, see `play.play`."""

    scenario: str
    policy: str
    permutation: int
    figures: dict[str, Any]


def chosen(patterns: list[str]) -> list[Entry]:
    """Return the policies whose name matches one of the patterns; all without any.

    Raises:
        ValueError: A pattern matches nothing.
    """
    for pattern in patterns:
        if not any(fnmatch(entry.name, pattern) for entry in ENTRIES):
            names = ", ".join(entry.name for entry in ENTRIES)
            raise ValueError(f"policies == {pattern}, must match one of {names}")
    return [entry for entry in ENTRIES if not patterns or any(fnmatch(entry.name, each) for each in patterns)]


@lru_cache(maxsize=1)
def permutation(data: Path, scenario: str, number: int, seed: int, limit: int | None) -> Stream:
    """Return one permutation. Held until the next is asked for: its policies play it one after the other."""
    (found,) = (each for each in scenarios(data, []) if each.name == scenario)
    return shortened(found.build(generator(seed, scenario, number)), limit)


def run(job: Job) -> list[Result]:
    """Play one job."""
    stream = permutation(job.data, job.scenario, job.permutation, job.seed, job.limit)
    if job.policy == REFERENCES:
        known = references(stream)
        return [Result(job.scenario, name, job.permutation, figures) for name, figures in known.items()]
    (entry,) = (each for each in ENTRIES if each.name == job.policy)
    policy = entry.make(generator(job.seed, job.scenario, job.permutation, job.policy), stream)
    return [Result(job.scenario, job.policy, job.permutation, play(stream, policy))]


def jobs(
    data: Path, patterns: list[str], policies: list[str], *, permutations: int, seed: int, limit: int | None
) -> Iterator[Job]:
    """Yield every job, those of one permutation together.

    Raises:
        ValueError: A pattern matches nothing.
    """
    entries = chosen(policies)
    for scenario in scenarios(data, patterns):
        for number in range(permutations):
            stream = permutation(data, scenario.name, number, seed, limit)
            fitting = [entry.name for entry in entries if stream.fixed_arms or not entry.needs_fixed_arms]
            for policy in (REFERENCES, *fitting):
                yield Job(data, scenario.name, policy, number, seed, limit)


def run_all(work: list[Job], workers: int, done: Callable[[Job], None], peers: Path | None = None) -> list[Result]:
    """Return the results of every job, in the jobs' order; `done` hears of each as it ends.

    With a file, what peers did is read from it, and added to it as they play.
    """
    results = kept(peers) if peers else {}
    left = []
    for job in work:
        if named(job) in results:
            done(job)
        else:
            left.append(job)

    def ended(job: Job, played: list[Result]) -> None:
        results[named(job)] = played
        if peers and job.policy not in OURS:
            with peers.open("a", encoding="utf-8") as file:
                file.write(json.dumps([named(job), played]) + "\n")
        done(job)

    run_jobs(left, run, workers, ended)
    return [result for job in work for result in results[named(job)]]


def named(job: Job) -> tuple[Any, ...]:
    """Return the job without the folder of its data."""
    return job[1:]


def kept(peers: Path) -> dict[tuple[Any, ...], list[Result]]:
    """Return what is in the file, which need not be there.

    Raises:
        ValueError: It is something else.
    """
    if not peers.exists():
        return {}
    try:
        lines = [json.loads(line) for line in peers.read_text(encoding="utf-8").splitlines()]
        return {tuple(name): [Result(*result) for result in results] for name, results in lines}
    except (ValueError, TypeError) as error:
        raise ValueError(f"peers == {peers}, must be a file that `--peers` has written: {error}") from error
