"""The command line: one command per file, imported when it is called."""

from importlib import import_module
from typing import Final

import click

COMMANDS: Final = {
    "serve": "Answer decisions until stopped.",
    "demo": "See a decision, its outcome and what was learned.",
    "demo-rollout": "See a policy go from 5 % to everybody on evidence, and what stops it.",
    "info": "Say what a running sidecar runs.",
    "mode": "Show or set how far the policy may act.",
    "rollout": "See how the rollout stands; promote, hold and roll back.",
    "top": "Watch a running sidecar.",
    "models": "List and keep model versions.",
    "modules": "List or register modules.",
    "explain": "Explain a logged decision.",
    "replay": "Make the log's decisions again and compare them bit for bit.",
    "health": "Ask for health; the exit code is the answer.",
    "config": "Check a configuration or show the effective one.",
    "version": "Print the version.",
}
"""Each command with its line of help. Command `x-y` is `x_y` in `pilotfish/cli/x_y.py`; nothing else is needed to add
one."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"pilotfish.cli.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Pilotfish: which module should take this task, learned from what happened."""
