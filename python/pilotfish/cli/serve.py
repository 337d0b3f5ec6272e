"""`pilotfish serve`."""

import sys
from pathlib import Path
from typing import Any

import click

from pilotfish.server.config import FIELDS, flag_name


class _SettingOption(click.Option):
    """A flag that takes a setting's text. What it means is read from the settings' docstrings when somebody asks."""

    def __init__(self, name: str) -> None:
        super().__init__([flag_name(name), name.replace(".", "__")], metavar="VALUE")
        self._name = name

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:  # noqa: ARG002  click's
        from pilotfish.server.descriptions import descriptions

        return f"{flag_name(self._name)} VALUE", descriptions()[self._name]


def _with_settings(command: click.Command) -> click.Command:
    command.params.extend(_SettingOption(name) for name in FIELDS)
    return command


@_with_settings
@click.command()
@click.option(
    "--config", "file", type=click.Path(path_type=Path), help="YAML file. Default: $PILOTFISH_CONFIG, if set."
)
def serve(file: Path | None, **flags: Any) -> None:  # noqa: ANN401  texts or None, by click
    """Answer decisions until SIGTERM or Ctrl-C.

    Every setting can be given as a flag, as PILOTFISH_SECTION__KEY in the environment, or in the file; the first that
    names it wins. `pilotfish config show --origin` says which did.
    """
    from pilotfish.server.__main__ import main

    sys.exit(main({name.replace("__", "."): text for name, text in flags.items() if text is not None}, file))
