"""Pilotfish: which module should take this task, learned from what happened."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("pilotfish")  # one version number, in Cargo.toml
except PackageNotFoundError:  # on the path without being installed
    __version__ = "unknown"

__all__: list[str] = []
