"""`pilotfish version`."""

import click

from pilotfish import __version__


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)
