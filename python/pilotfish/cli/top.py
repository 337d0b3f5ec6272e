"""`pilotfish top`."""

import sys
import time
from pathlib import Path

import click

from pilotfish.cli.control import control_socket


@click.command()
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    help="The sidecar's control.socket_path. Default: as configured for `serve`.",
)
@click.option("--metrics", default="", help="Address of the metrics, host:port. Default: as configured for `serve`.")
@click.option(
    "--interval", type=click.FloatRange(0.1, 60.0), default=1.0, show_default=True, help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="Print one look and end, for logs and scripts.")
def top(socket: Path | None, metrics: str, interval: float, *, once: bool) -> None:
    """Watch a running sidecar: rates, latency, the rollout with its intervals, breakers, budgets, the model."""
    try:
        from rich.console import Console
        from rich.live import Live

        from pilotfish.cli.dashboard import Watch
    except ModuleNotFoundError as error:
        raise click.ClickException(f"top needs {error.name}: install pilotfish[cli]") from error
    watch = Watch(control_socket(socket), metrics)
    console = Console()
    if once:
        watch.look(console.width)
        time.sleep(interval)
        console.print(watch.look(console.width))
        return
    with Live(watch.look(console.width), console=console, screen=console.is_terminal, refresh_per_second=4) as live:
        try:
            while True:
                time.sleep(interval)
                live.update(watch.look(console.width))
        except KeyboardInterrupt:
            sys.exit(0)
