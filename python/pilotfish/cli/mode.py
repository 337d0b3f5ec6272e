"""`pilotfish mode`."""

import getpass
from pathlib import Path

import click

from pilotfish.cli.control import control, socket_option
from pilotfish.v1 import GetInfoRequest, GetInfoResponse, Mode, SetModeRequest, SetModeResponse


@click.group()
def mode() -> None:
    """Show or set how far the policy may act."""


@mode.command()
@socket_option("control.socket_path")
def show(socket: Path | None) -> None:
    """Print the mode in force."""
    _print(control(socket, "GetInfo", GetInfoRequest(), GetInfoResponse))


@mode.command("set")
@click.argument("name", metavar="MODE", type=click.Choice(["off", "shadow", "rollout", "on"]))
@click.option(
    "--share", type=click.FloatRange(0.0, 1.0), help="Share of units, [0, 1]; for rollout only. Default: as it was."
)
@click.option("--actor", default=getpass.getuser, show_default="your user name", help="Who, for the audit log.")
@click.option("--reason", default="", help="Why, for the audit log.")
@socket_option("control.socket_path")
def set_(name: str, share: float | None, actor: str, reason: str, socket: Path | None) -> None:
    """Set the mode from the next decision on; it survives restarts.

    off: the baseline answers. shadow: it answers, and the policy is computed for comparison. rollout: the policy
    answers a share of units. on: it answers all.
    """
    request = SetModeRequest(mode=Mode.Value(f"MODE_{name.upper()}"), actor=actor, reason=reason, rollout_share=share)
    _print(control(socket, "SetMode", request, SetModeResponse))


def _print(answer: GetInfoResponse | SetModeResponse) -> None:
    name = Mode.Name(answer.mode).removeprefix("MODE_").lower()
    click.echo(f"{name} {answer.rollout_share:g}" if name == "rollout" else name)
