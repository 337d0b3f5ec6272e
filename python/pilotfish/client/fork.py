"""What a client must forget in a forked child, as with pre-forking servers."""

import os
from typing import Final, Protocol
from weakref import WeakSet


class Forgetful(Protocol):
    """Something that holds a channel."""

    def forget_inherited(self) -> object:
        """Start afresh in a forked child and return what belongs to the parent."""


_OWNERS: Final[WeakSet[Forgetful]] = WeakSet()
_INHERITED: Final[list[object]] = []
"""gRPC's threads do not exist in the child, so that even destroying a channel of the parent could hang: it is kept."""


def forget_in_child(owner: Forgetful) -> None:
    """Let an owner start afresh in every forked child, as long as it lives."""
    _OWNERS.add(owner)


def _forget_all() -> None:
    _INHERITED.extend(owner.forget_inherited() for owner in _OWNERS)


os.register_at_fork(after_in_child=_forget_all)
