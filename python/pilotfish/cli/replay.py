"""`pilotfish replay`."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import click

from pilotfish.engine.replaying import Replayed
from pilotfish.engine.replaying import replay as replayed
from pilotfish.exceptions import StateError
from pilotfish.experience.log import DATABASE_NAME, ExperienceLog
from pilotfish.server.config import ConfigurationError, load

SHOWN: Final = 10
"""Decisions that differ which are named."""


@click.command()
@click.option("--state-dir", type=click.Path(path_type=Path), help="Default: the configured state.directory.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N decisions.")
def replay(state_dir: Path | None, limit: int | None) -> None:
    """Make the log's decisions again and compare them with their records, bit for bit.

    The exit code is 1 if any differs. The sidecar may go on meanwhile.
    """
    log = _open(state_dir)
    try:
        total = log.decision_count if limit is None else min(limit, log.decision_count)
        count, differing = 0, 0
        for one in _with_progress(replayed(log, islice(log.decisions(), limit)), total):
            count += 1
            if one.differs:
                differing += 1
                if differing <= SHOWN:
                    click.echo(f"{one.decision_id.hex()} differs in {', '.join(one.differs)}")
    except StateError as error:
        click.echo(f"pilotfish: {error}", err=True)
        sys.exit(1)
    finally:
        log.close()
    click.echo(f"{count} decisions replayed, {differing} differ")
    sys.exit(1 if differing else 0)


def _open(state_dir: Path | None) -> ExperienceLog:
    try:
        directory = load().settings.state.directory if state_dir is None else state_dir
        if (directory / DATABASE_NAME).exists():
            return ExperienceLog(directory)
        fault = f"state directory == {directory}, must hold {DATABASE_NAME}"
    except (ConfigurationError, StateError) as error:
        fault = str(error)
    click.echo(f"pilotfish: {fault}", err=True)
    sys.exit(1)


def _with_progress(decisions: Iterator[Replayed], total: int) -> Iterator[Replayed]:
    if not sys.stderr.isatty():
        yield from decisions
        return
    with click.progressbar(decisions, total, label="replaying", file=sys.stderr, update_min_steps=1000) as drawn:
        yield from drawn
