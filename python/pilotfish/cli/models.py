"""`pilotfish models`."""

import getpass
from pathlib import Path

import click

from pilotfish.cli.control import control, socket_option
from pilotfish.cli.output import as_json, table
from pilotfish.v1 import (
    KeepModelVersionRequest,
    KeepModelVersionResponse,
    ListModelVersionsRequest,
    ListModelVersionsResponse,
)


@click.group()
def models() -> None:
    """List and keep model versions; `pilotfish rollout` puts them in service."""


@models.command("list")
@socket_option("control.socket_path")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def list_(socket: Path | None, *, json_: bool) -> None:
    """Print the kept versions, newest first."""
    answer = control(socket, "ListModelVersions", ListModelVersionsRequest(), ListModelVersionsResponse)
    if json_:
        click.echo(as_json(answer))
        return
    rows = [
        (
            version.version[:16],
            version.create_time.ToDatetime().isoformat(sep=" ", timespec="seconds"),
            f"{version.learned_count}",
            f"{version.size_bytes}",
            version.actor,
            version.note,
        )
        for version in answer.versions
    ]
    click.echo(table(("VERSION", "KEPT (UTC)", "LEARNED", "BYTES", "ACTOR", "NOTE"), rows))
    for fault in answer.faults:
        click.echo(f"warning: {fault}", err=True)


@models.command()
@click.option(
    "--file", type=click.Path(path_type=Path, dir_okay=False), help="Take in this file of the sidecar's machine."
)
@click.option("--note", default="", help="Why, for the list.")
@click.option("--actor", default=getpass.getuser, show_default="your user name", help="Who.")
@socket_option("control.socket_path")
def keep(file: Path | None, note: str, actor: str, socket: Path | None) -> None:
    """Keep the live model as it is now, or take in a file after full validation; print the version's name."""
    path = "" if file is None else str(file.absolute())
    request = KeepModelVersionRequest(actor=actor, note=note, path=path)
    click.echo(control(socket, "KeepModelVersion", request, KeepModelVersionResponse).version.version)
