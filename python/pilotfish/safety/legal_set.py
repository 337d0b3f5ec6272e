"""Which candidates may take a task at all. What is removed here never reaches the core."""

from collections.abc import Callable
from typing import Final

from pilotfish.codes import Reason
from pilotfish.request import Module, Request

Rule = Callable[[Request], Callable[[Module], bool] | None]
"""Looks at the request; returns a test that is true for a module that breaks the rule, or None if it does not apply."""


def _denied(request: Request) -> Callable[[Module], bool] | None:
    denied = frozenset(request.denied_modules)
    return (lambda module: module.name in denied) if denied else None


def _not_allowed(request: Request) -> Callable[[Module], bool] | None:
    allowed = frozenset(request.allowed_modules)
    return (lambda module: module.name not in allowed) if allowed else None


def _missing_capability(request: Request) -> Callable[[Module], bool] | None:
    required = request.task.required_capabilities
    return (lambda module: not all(name in module.capabilities for name in required)) if required else None


def _data_too_large(request: Request) -> Callable[[Module], bool] | None:
    size = request.task.data_size_bytes
    if size is None:
        return None
    return lambda module: module.max_data_size_bytes is not None and size > module.max_data_size_bytes


RULES: Final[tuple[tuple[Reason, Rule], ...]] = (
    (Reason.DENIED, _denied),
    (Reason.NOT_ALLOWED, _not_allowed),
    (Reason.MISSING_CAPABILITY, _missing_capability),
    (Reason.DATA_TOO_LARGE, _data_too_large),
)
"""In the order in which they are asked; a module is removed by the first rule that it breaks."""


def legal_set(request: Request) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Split the candidates into the legal and the removed.

    Returns:
        Indices of the legal candidates in declared order, and (index, reason code) of each removed one.
    """
    tests = [(reason, test) for reason, rule in RULES if (test := rule(request)) is not None]
    if not tests:  # most requests
        return tuple(range(len(request.candidates))), ()
    legal: list[int] = []
    removed: list[tuple[int, int]] = []
    for index, module in enumerate(request.candidates):
        reason = next((reason for reason, breaks in tests if breaks(module)), None)
        if reason is None:
            legal.append(index)
        else:
            removed.append((index, int(reason)))
    return tuple(legal), tuple(removed)
