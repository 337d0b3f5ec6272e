"""`pilotfish rollout`."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pilotfish.cli.control import control, socket_option
from pilotfish.cli.output import as_json, lines, table
from pilotfish.v1 import (
    Exposure,
    GetRolloutRequest,
    GetRolloutResponse,
    HoldRolloutRequest,
    HoldRolloutResponse,
    ListChangesRequest,
    ListChangesResponse,
    Mode,
    PauseLearningRequest,
    PauseLearningResponse,
    PromoteRequest,
    PromoteResponse,
    ResetBreakerRequest,
    ResetBreakerResponse,
    RollbackRequest,
    RollbackResponse,
)


@click.group()
def rollout() -> None:
    """See how the rollout stands; promote, hold and roll back."""


def _by(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of whoever changes something."""
    for option in (
        click.option("--actor", default=getpass.getuser, show_default="your user name", help="Who, for the audit log."),
        click.option("--reason", default="", help="Why, for the audit log."),
        socket_option("control.socket_path"),
    ):
        command = option(command)
    return command


@rollout.command()
@socket_option("control.socket_path")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def status(socket: Path | None, *, json_: bool) -> None:
    """Print what is in force and what the stage has shown: the numbers that decide."""
    answer = control(socket, "GetRollout", GetRolloutRequest(), GetRolloutResponse)
    if json_:
        click.echo(as_json(answer))
        return
    following = f"{answer.next_share:.0%}" if answer.next_share else "none"
    click.echo(
        lines(
            {
                "exposure": described(answer.exposure),
                "policy": answer.exposure.policy_version or "live",
                "control": answer.exposure.control_version or "baseline",
                "next stage": following,
                "held": "yes" if answer.exposure.is_held else "no",
                "learning": "paused" if answer.exposure.is_learning_paused else "on",
                "units": f"{answer.policy_unit_count} of {answer.unit_count} with the policy",
                "verdict": answer.verdict,
            }
        )
    )
    for reason in answer.verdict_reasons:
        click.echo(f"  {reason}")
    if answer.guardrails:
        click.echo()
        rows = [
            (
                g.metric,
                f"{g.policy_mean:.3f}",
                f"{g.control_mean:.3f}",
                f"{g.difference:+.3f}",
                f"{g.lower_bound:+.3f} … {g.upper_bound:+.3f}",
                f"{-g.margin:+.3f}",
                f"{g.observation_count}",
                g.state,
            )
            for g in answer.guardrails
        ]
        click.echo(
            table(("GUARDRAIL", "POLICY", "CONTROL", "DIFFERENCE", "INTERVAL", "MARGIN", "OUTCOMES", "STATE"), rows)
        )
    troubled = [breaker for breaker in answer.breakers if breaker.state != "closed"]
    if troubled:
        click.echo()
        states = [
            (b.module, b.state, f"{b.failure_rate:.0%}", f"{b.call_count}", f"{b.remaining_s:.1f} s") for b in troubled
        ]
        click.echo(table(("BREAKER", "STATE", "FAILURES", "CALLS", "OPEN FOR"), states))


@rollout.command()
@click.option(
    "--version", "version", default="", help="Kept version whose rollout begins, or `live`. Default: the present."
)
@click.option("--share", type=click.FloatRange(0.0, 1.0, min_open=True), help="Where to go, (0, 1]; with --force only.")
@click.option("--force", is_flag=True, help="Past the gate; it is on record.")
@_by
def promote(version: str, share: float | None, actor: str, reason: str, socket: Path | None, *, force: bool) -> None:
    """Raise exposure by one stage, or begin the rollout of a version, from the next decision on."""
    request = PromoteRequest(actor=actor, reason=reason, policy_version=version, rollout_share=share, force=force)
    click.echo(described(control(socket, "Promote", request, PromoteResponse).exposure))


@rollout.command()
@click.option("--to", "version", default="", help="Kept version that takes the policy's place. Default: none does.")
@_by
def rollback(version: str, actor: str, reason: str, socket: Path | None) -> None:
    """Take exposure away from the next decision on: the control serves everybody, or a kept version the units."""
    request = RollbackRequest(actor=actor, reason=reason, policy_version=version)
    click.echo(described(control(socket, "Rollback", request, RollbackResponse).exposure))


@rollout.command()
@_by
def hold(actor: str, reason: str, socket: Path | None) -> None:
    """Stop the automatic promotion; rollback stays automatic."""
    request = HoldRolloutRequest(hold=True, actor=actor, reason=reason)
    click.echo(described(control(socket, "HoldRollout", request, HoldRolloutResponse).exposure))


@rollout.command()
@_by
def resume(actor: str, reason: str, socket: Path | None) -> None:
    """Let the automatic promotion go on."""
    request = HoldRolloutRequest(hold=False, actor=actor, reason=reason)
    click.echo(described(control(socket, "HoldRollout", request, HoldRolloutResponse).exposure))


@rollout.command("pause-learning")
@click.option("--off", is_flag=True, help="Let learning go on.")
@_by
def pause_learning(actor: str, reason: str, socket: Path | None, *, off: bool) -> None:
    """Keep outcomes without learning them, from the next one on."""
    request = PauseLearningRequest(pause=not off, actor=actor, reason=reason)
    click.echo(described(control(socket, "PauseLearning", request, PauseLearningResponse).exposure))


@rollout.command("reset-breaker")
@click.argument("module")
@click.option("--actor", default=getpass.getuser, show_default="your user name", help="Who.")
@socket_option("control.socket_path")
def reset_breaker(module: str, actor: str, socket: Path | None) -> None:
    """Close a module's breaker."""
    control(socket, "ResetBreaker", ResetBreakerRequest(module=module, actor=actor), ResetBreakerResponse)
    click.echo(f"{module} closed")


@rollout.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Changes to show.")
@click.option("--json", "json_", is_flag=True, help="Print JSON, evidence included.")
@socket_option("control.socket_path")
def changes(limit: int, socket: Path | None, *, json_: bool) -> None:
    """Print the audit log, newest first."""
    answer = control(socket, "ListChanges", ListChangesRequest(page_size=limit), ListChangesResponse)
    if json_:
        click.echo(as_json(answer))
        return
    rows = [
        (
            f"{change.number}",
            change.change_time.ToDatetime().isoformat(sep=" ", timespec="seconds"),
            change.action,
            described(change),
            change.actor,
            change.reason,
        )
        for change in answer.changes
    ]
    click.echo(table(("NUMBER", "TIME (UTC)", "ACTION", "EXPOSURE", "ACTOR", "REASON"), rows))


def described(exposure: Exposure) -> str:
    """Return what is in force in a few words."""
    mode = Mode.Name(exposure.mode).removeprefix("MODE_").lower()
    words = f"{mode} {exposure.rollout_share:.4g}" if mode == "rollout" else mode
    if exposure.policy_version:
        words += f", policy {exposure.policy_version[:12]}"
    if exposure.control_version:
        words += f", control {exposure.control_version[:12]}"
    return words + (", held" if exposure.is_held else "") + (", learning paused" if exposure.is_learning_paused else "")
