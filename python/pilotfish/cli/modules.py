"""`pilotfish modules`."""

import sys
from pathlib import Path
from typing import Any

import click
import yaml

from pilotfish.cli.control import control, socket_option
from pilotfish.cli.output import as_json, table
from pilotfish.client.features import fill_features
from pilotfish.exceptions import InvalidInputError
from pilotfish.server.config import PlainLoader
from pilotfish.v1 import (
    ListModulesRequest,
    ListModulesResponse,
    Module,
    RegisterModulesRequest,
    RegisterModulesResponse,
)


@click.group()
def modules() -> None:
    """List or register modules."""


@modules.command("list")
@socket_option("control.socket_path")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def list_(socket: Path | None, *, json_: bool) -> None:
    """Print the registry in its declared order."""
    answer = control(socket, "ListModules", ListModulesRequest(), ListModulesResponse)
    if json_:
        click.echo(as_json(answer))
        return
    rows = [
        (
            module.name,
            ", ".join(module.capabilities),
            f"{module.max_data_size_bytes}" if module.HasField("max_data_size_bytes") else "",
            ", ".join(_names(module)),
        )
        for module in answer.modules
    ]
    click.echo(table(("MODULE", "CAPABILITIES", "MAX BYTES", "FEATURES"), rows))


@modules.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@socket_option("control.socket_path")
def register(file: Path, socket: Path | None) -> None:
    """Add the modules of a YAML file to the registry, or replace those of the same name; all or none.

    The file holds `modules:`, a list of entries with `name` and, if wanted, `capabilities`, `max_data_size_bytes` and
    `features` (numbers, texts, true or false, lists of numbers).
    """
    try:
        request = RegisterModulesRequest(modules=read_modules(file))
    except InvalidInputError as error:
        click.echo(f"pilotfish: {file}: {error}", err=True)
        sys.exit(1)
    answer = control(socket, "RegisterModules", request, RegisterModulesResponse)
    click.echo(f"{len(request.modules)} registered, {answer.module_count} in the registry")


def read_modules(file: Path) -> list[Module]:
    """Return the modules that a file describes.

    Raises:
        InvalidInputError: It is not YAML, or an entry is not of the stated form.
    """
    try:
        content = yaml.load(file.read_text("utf-8"), Loader=PlainLoader)  # noqa: S506  PlainLoader is a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"must be YAML: {' '.join(str(error).split())}") from error
    entries = content.get("modules") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InvalidInputError("must hold `modules:`, a list")
    return [_module(index, entry) for index, entry in enumerate(entries)]


def _module(index: int, entry: Any) -> Module:  # noqa: ANN401  as it was written
    known = {"name", "capabilities", "max_data_size_bytes", "features", "required_features"}
    if not isinstance(entry, dict) or not entry.get("name") or (unknown := sorted(set(entry) - known)):
        what = (
            f"has unknown keys {', '.join(unknown)}" if isinstance(entry, dict) and entry.get("name") else "has no name"
        )
        raise InvalidInputError(
            f"modules[{index}] {what}, must hold name and may hold {', '.join(sorted(known - {'name'}))}"
        )
    try:
        module = Module(
            name=entry["name"],
            capabilities=entry.get("capabilities") or (),
            max_data_size_bytes=entry.get("max_data_size_bytes"),
            required_features=entry.get("required_features") or (),
        )
        fill_features(module.features, entry.get("features") or {})
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError(f"modules[{index}] ({entry['name']}): {error}") from error
    return module


def _names(module: Module) -> list[str]:
    features = module.features
    return sorted([*features.numbers, *features.labels, *features.flags, *features.vectors])
