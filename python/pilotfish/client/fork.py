"""What a client must forget in a forked child, as with pre-forking servers."""

import os
from dataclasses import dataclass
from typing import Final, Protocol
from weakref import WeakSet


class Forgetful(Protocol):
    """Something that holds a channel."""

    def forget_inherited(self) -> object:
        """Start afresh in a forked child and return what belongs to the parent."""


@dataclass(slots=True)
class AsyncioChannels:
    """Whether asyncio channels can be used in this process.

    All of a process share one thread and one socket inside gRPC, and a forked child has no copy of its own: there its
    calls never end, and now and then it crashes. Channels for threads do not suffer from this.
    """

    in_use: bool = False
    lost: bool = False
    loss_announced: bool = False


ASYNCIO_CHANNELS: Final = AsyncioChannels()

_OWNERS: Final[WeakSet[Forgetful]] = WeakSet()
_INHERITED: Final[list[object]] = []
"""gRPC's threads do not exist in the child, so that even destroying a channel of the parent could hang: it is kept."""


def forget_in_child(owner: Forgetful) -> None:
    """Let an owner start afresh in every forked child, as long as it lives."""
    _OWNERS.add(owner)


def _forget_all() -> None:
    ASYNCIO_CHANNELS.lost = ASYNCIO_CHANNELS.in_use
    _INHERITED.extend(owner.forget_inherited() for owner in _OWNERS)


os.register_at_fork(after_in_child=_forget_all)
