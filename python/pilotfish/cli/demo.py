"""`pilotfish demo`: a hub routes real requests through a real sidecar, which learns."""

import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Final

import click

from pilotfish.exceptions import StateError

PLOT_FILE: Final = Path("pilotfish-demo.png")

IN_FLIGHT: Final = 1
"""Requests under way at once: with one, each decision knows all outcomes before it and the run can be repeated."""

DEADLINE_MS: Final = 1000.0
"""Far more than the client's 20 ms: on a machine that is busy with other things a fallback would tell of the machine.
How many decisions took longer than 20 ms is part of the report."""

PLAIN_WIDTH: Final = 120
"""Columns of the report where there is no terminal to ask."""

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--json", "json_file", type=_FILE, help="Write the figures to this file.")
@click.option("--seed", default=0, show_default=True, help="Draws the order of the requests and of the modules.")
@click.option(
    "--plot", "plot_file", type=_FILE, default=PLOT_FILE, show_default=True, help="Learning curve: .png, .svg or .pdf."
)
@click.option("--limit", type=click.IntRange(min=1), help="Send only this many requests.")
@click.option(
    "--in-flight", type=click.IntRange(1, 256), default=IN_FLIGHT, show_default=True, help="Requests at once."
)
@click.option("--deadline-ms", type=click.FloatRange(1.0), default=DEADLINE_MS, show_default=True, help="Per decision.")
def demo(
    *, json_file: Path | None, seed: int, plot_file: Path, limit: int | None, in_flight: int, deadline_ms: float
) -> None:
    """Route 3,591 real requests to nine language models through a sidecar of its own.

    Every model's answer to every request has been scored, so the end can show how good the choices were beside what
    chance, one fixed model or an oracle would have given. The sidecar sees the score of the model it chose, no other.
    """
    try:
        from rich.console import Console

        from pilotfish.simulate.demonstration import demonstrate
        from pilotfish.simulate.plot import write_learning_curve
    except ModuleNotFoundError as error:
        raise click.ClickException(f"the demo needs {error.name}: install pilotfish[demo]") from error

    signal.signal(signal.SIGTERM, _leave_in_order)
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    try:
        figures, served = demonstrate(console, seed=seed, limit=limit, in_flight=in_flight, deadline_ms=deadline_ms)
    except StateError as error:
        raise click.ClickException(str(error)) from error
    if json_file is not None:
        json_file.write_text(json.dumps(figures.as_json(), indent=2) + "\n")
        console.print(f"Figures: {json_file}", soft_wrap=True, highlight=False)
    write_learning_curve(plot_file, figures, [s.quality for s in served])
    console.print(f"Learning curve: {plot_file}", soft_wrap=True, highlight=False)


def _leave_in_order(number: int, _: FrameType | None) -> None:
    """Unwind, so that the sidecar is stopped too; it has a session of its own and would live on."""
    sys.exit(128 + number)
