"""A Unix socket's place in the file system: its lock, its directory and its permissions.

gRPC itself would take over the path of a running server without a word and delete the file when it stops, which leaves
the first server running and unreachable. A lock beside the socket, gone with the process, tells "stale" from "in use".
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pilotfish.exceptions import StateError

LOCK_SUFFIX: Final = ".lock"


class SocketFile:
    """Claims a socket's path, creating its directory for this user alone if it is missing.

    Args:
        path: The socket.
        mode: Its permissions.

    Raises:
        StateError: Another process serves this socket, or the path cannot be used.
    """

    def __init__(self, path: Path, mode: int) -> None:
        self.path = path
        self._mode = mode
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = path.parent.stat().st_uid
            if owner not in (os.getuid(), 0):
                # Somebody else made the directory first, perhaps in a shared temporary one, and could swap the socket.
                raise StateError(f"directory {path.parent} belongs to uid {owner}, must belong to this user or root")
            self._lock = path.with_name(path.name + LOCK_SUFFIX).open("a+")
        except OSError as error:
            raise StateError(f"socket {path} cannot be made: {error.strerror} ({error.filename})") from error
        try:
            self._take()
        except BaseException:
            self._lock.close()
            raise

    def _take(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            raise StateError(
                f"socket {self.path} is served by process {holder}; stop it or choose another socket"
            ) from error
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        try:
            if not stat.S_ISSOCK(self.path.lstat().st_mode):
                raise StateError(f"{self.path} is there already and not a socket; move it away or choose another path")
            self.path.unlink()
        except FileNotFoundError:
            pass

    @contextmanager
    def binding(self) -> Iterator[str]:
        """Yield the address to bind; what is bound inside has its permissions from the first moment."""
        previous = os.umask(0o777 & ~self._mode)
        try:
            yield f"unix:{self.path}"
        finally:
            os.umask(previous)

    def release(self) -> None:
        """Give the path back. The lock's file stays: deleting it would let two processes lock two files of one name."""
        self.path.unlink(missing_ok=True)  # gRPC removes it when it stops a server, but not one that never started
        self._lock.close()
