"""Pilotfish: which module should take this task, learned from what happened.

A hub needs what is exported here, and nothing else of the package.
"""

from importlib.metadata import PackageNotFoundError, version

from pilotfish.client import (
    AsyncClient,
    CircuitSettings,
    Client,
    Decision,
    Explanation,
    Module,
    RankedModule,
    Receipt,
    RemovedModule,
    outcome_request,
    select_request,
)
from pilotfish.exceptions import ConflictError, InvalidInputError, NotFoundError, PilotfishError, StateError

try:
    __version__ = version("pilotfish")  # one version number, in Cargo.toml
except PackageNotFoundError:  # on the path without being installed
    __version__ = "unknown"

__all__ = [
    "AsyncClient",
    "CircuitSettings",
    "Client",
    "ConflictError",
    "Decision",
    "Explanation",
    "InvalidInputError",
    "Module",
    "NotFoundError",
    "PilotfishError",
    "RankedModule",
    "Receipt",
    "RemovedModule",
    "StateError",
    "outcome_request",
    "select_request",
]
