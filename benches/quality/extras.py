"""Imports of what only the bench environment has, with a message that says so where it is missing."""

import importlib
from types import ModuleType


def installed(name: str) -> ModuleType:
    """Return the module of this name.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{name} is not installed, must be: the quality bench needs the bench group"
        ) from error
