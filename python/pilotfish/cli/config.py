"""`pilotfish config`."""

import sys
from pathlib import Path

import click
import msgspec

from pilotfish.server.config import Configuration, ConfigurationError, load


@click.group()
def config() -> None:
    """Check a configuration or show the effective one."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check a configuration file together with the environment; exit code 0 or 1."""
    _load(file, exit_code=1)
    click.echo(f"{file} is valid")


@config.command()
@click.option(
    "--config", "file", type=click.Path(path_type=Path), help="YAML file. Default: $PILOTFISH_CONFIG, if set."
)
@click.option("--origin", is_flag=True, help="Say where each value came from.")
def show(file: Path | None, *, origin: bool) -> None:
    """Print the settings that `serve` would have here."""
    configuration = _load(file, exit_code=64)
    for name, value in configuration.values().items():
        text = f"{name} = {msgspec.json.encode(value).decode()}"
        click.echo(f"{text}  # {configuration.origins[name]}" if origin else text)


def _load(file: Path | None, exit_code: int) -> Configuration:
    try:
        return load(file=file)
    except ConfigurationError as error:
        for fault in error.faults:
            click.echo(f"pilotfish: {fault}", err=True)
        sys.exit(exit_code)
