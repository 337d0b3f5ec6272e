"""One process per state directory, enforced by the operating system and gone with the process."""

import fcntl
import os
from pathlib import Path

from pilotfish.exceptions import StateError


class DirectoryLock:
    """Takes the directory's lock, creating the directory if needed.

    Raises:
        StateError: Another process holds it, or the directory cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+")
        except OSError as error:
            raise StateError(f"state directory {directory} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise StateError(
                f"state directory {directory} is in use by process {holder}; stop it or choose another directory"
            ) from error
        self._file.seek(0)
        self._file.truncate()
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Give the directory back. The file stays: deleting it would let two processes lock two files of one name."""
        self._file.close()
