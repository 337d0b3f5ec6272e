"""Imports point one way, and each part stays free of what it must not need."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.checkout import ROOT

PACKAGE = ROOT / "python/pilotfish"

NOUNS = {"codes", "exceptions", "request", "rewards"}
ENGINE = NOUNS | {"_core", "experience", "safety"}
ABOVE_ENGINE = ENGINE | {"engine", "experiments", "pipelines", "recovery", "training"}
SURFACE = ABOVE_ENGINE | {"client", "integrations", "simulate", "v1"}

MAY_IMPORT: dict[str, set[str]] = {
    "__init__": {"client", "exceptions"},
    "__main__": {"cli"},
    "exceptions": set(),
    "codes": {"exceptions"},
    "request": {"codes", "exceptions"},
    "rewards": {"codes", "exceptions", "request"},
    "safety": NOUNS | {"_core"},
    "experience": NOUNS,
    "engine": ENGINE,
    "experiments": ABOVE_ENGINE,
    "pipelines": ABOVE_ENGINE,
    "recovery": ABOVE_ENGINE,
    "training": ABOVE_ENGINE,
    "client": {"exceptions", "v1"},
    "integrations": {"client", "codes", "exceptions", "experience", "request", "rewards", "v1"},
    "simulate": ABOVE_ENGINE | {"client", "v1"},
    "server": ABOVE_ENGINE | {"client", "v1"},
    "cli": SURFACE | {"server"},
}
"""Which parts of the package each part may import; itself always."""

WIRE = {"grpc", "grpc_health", "grpc_reflection", "grpc_status", "google"}
OFFLINE = {"matplotlib", "numpy", "pandas", "pyarrow", "scipy"}

MUST_NOT_NEED: dict[str, set[str]] = dict.fromkeys(ABOVE_ENGINE, WIRE) | {
    "client": {"click", "msgspec", "opentelemetry", "prometheus_client", "rich", "structlog", "yaml"}
}
SERVING = ("client", "engine", "experience", "experiments", "request", "rewards", "safety", "server", "__init__")


def sources() -> Iterator[tuple[str, Path]]:
    """Yields each written source with the part of the package that it belongs to."""
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part != "v1":
            yield part, path


def imported(path: Path) -> Iterator[str]:
    """Yields the full name of everything that a source imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_parts(path: Path) -> set[str]:
    names = (name.split(".") for name in imported(path))
    return {name[1] for name in names if name[0] == "pilotfish"} - {"__version__"}


def test_every_part_of_the_package_has_its_place() -> None:
    assert sorted({part for part, _ in sources()} - MAY_IMPORT.keys()) == []


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_point_one_way(part: str) -> None:
    wrong = {
        str(path.relative_to(PACKAGE)): sorted(found)
        for owner, path in sources()
        if owner == part and (found := own_parts(path) - MAY_IMPORT[part] - {part})
    }

    assert wrong == {}


def test_no_part_needs_what_it_must_do_without() -> None:
    wrong = {
        str(path.relative_to(PACKAGE)): sorted(found)
        for part, path in sources()
        if (found := {name.split(".")[0] for name in imported(path)} & forbidden(part))
    }

    assert wrong == {}


def forbidden(part: str) -> set[str]:
    return MUST_NOT_NEED.get(part, set()) | (OFFLINE if part in SERVING else set())
