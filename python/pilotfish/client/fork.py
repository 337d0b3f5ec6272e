"""What a client must forget in a forked child, as with pre-forking servers."""

import os
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakMethod

_FORGETTERS: Final[set[WeakMethod[Callable[[], Any]]]] = set()
_INHERITED: Final[list[object]] = []


def forget_in_child(forget: Callable[[], object]) -> None:
    """Call a bound method in every forked child, as long as its object lives.

    It returns what the child has inherited and must leave alone: gRPC's threads do not exist in the child, so that even
    destroying a channel of the parent could hang. It is therefore kept as long as the child lives.
    """
    _FORGETTERS.add(WeakMethod(forget, _FORGETTERS.discard))


def _forget_all() -> None:
    for reference in tuple(_FORGETTERS):
        forget = reference()
        if forget is not None:
            _INHERITED.append(forget())


os.register_at_fork(after_in_child=_forget_all)
