"""`pilotfish info`."""

from pathlib import Path

import click

from pilotfish.cli.control import control, socket_option
from pilotfish.cli.output import as_json, lines
from pilotfish.v1 import GetInfoRequest, GetInfoResponse, Mode


@click.command()
@socket_option("control.socket_path")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def info(socket: Path | None, *, json_: bool) -> None:
    """Say what a running sidecar runs."""
    answer = control(socket, "GetInfo", GetInfoRequest(), GetInfoResponse)
    if json_:
        click.echo(as_json(answer))
        return
    click.echo(
        lines(
            {
                "version": answer.version,
                "mode": Mode.Name(answer.mode).removeprefix("MODE_").lower(),
                "rollout share": f"{answer.rollout_share:g}",
                "explorer": answer.explorer,
                "model version": answer.model_version,
                "reward version": answer.reward_version,
                "decisions": answer.decision_count,
                "signal values": answer.signal_value_count,
                "learned": answer.learned_count,
                "births": answer.birth_count,
                "last change": answer.last_change or "none",
                "fallbacks since start": answer.fallback_count,
                "serving since": answer.start_time.ToDatetime().isoformat(sep=" ", timespec="seconds") + " UTC",
                "state": answer.state_sha256,
            }
        )
    )
    for warning in answer.range_warnings:
        click.echo(f"warning: {warning}")
