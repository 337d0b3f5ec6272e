"""One file of the registry: what its name says, and how it is read."""

import os
import re
import stat
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from pilotfish.exceptions import StateError
from pilotfish.training.snapshot import Snapshot, unseal

_NAME: Final = re.compile(r"([0-9]{10,18})-([0-9]{18})-([0-9a-f]{64})\.snapshot")


class SnapshotInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a snapshot without its model; of a damaged file what its name says."""

    sha256: str
    """The snapshot's id; "" for a file that is not named like one."""
    sequence: int
    """Place in the order in which this registry took snapshots in, from 1; 0 for a file not named like one."""
    kept_us: int
    """When this registry took it in, in microseconds since 1970."""
    size_bytes: int
    created_us: int = 0
    model_version: str = ""
    birth: int = 0
    learned_count: int = 0
    state_sha256: str = ""
    note: str = ""
    actor: str = ""
    damage: str = ""
    """What is wrong with the file; "" if it is whole."""


class Entry(NamedTuple):
    """A file whose name is a snapshot's."""

    sequence: int
    kept_us: int
    sha256: str
    path: Path

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Return the entry of a path, None if its name is not a snapshot's."""
        found = _NAME.fullmatch(path.name)
        return cls(int(found[1]), int(found[2]), found[3], path) if found else None

    def read(self, bytes_max: int) -> tuple[SnapshotInfo, Snapshot]:
        """Return the snapshot.

        Raises:
            StateError: The file is damaged, or is not what its name says.
            OSError: It cannot be read; `FileNotFoundError` if it has gone.
        """
        content = read_bounded(self.path, bytes_max)
        sha256, snapshot = unseal(content)
        if sha256 != self.sha256:
            raise StateError(f"snapshot's SHA-256 == {sha256}, must be {self.sha256}, its name")
        return self.describe(len(content), snapshot), snapshot

    def describe(self, size_bytes: int, snapshot: Snapshot) -> SnapshotInfo:
        """Return what its name and its content say."""
        return SnapshotInfo(
            sha256=self.sha256,
            sequence=self.sequence,
            kept_us=self.kept_us,
            size_bytes=size_bytes,
            created_us=snapshot.created_us,
            model_version=snapshot.model_version,
            birth=snapshot.birth,
            learned_count=snapshot.learned_count,
            state_sha256=snapshot.state_sha256,
            note=snapshot.note,
            actor=snapshot.actor,
        )


def read_bounded(path: Path, bytes_max: int) -> bytes:
    """Return a regular file's content, without following a link and without waiting for a pipe.

    Raises:
        StateError: It is no regular file, or larger than `bytes_max`.
        OSError: It cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise StateError(f"{path.name} is a symbolic link, must be a regular file") from error
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StateError(f"{path.name} is no regular file")
        if status.st_size > bytes_max:
            raise StateError(f"{path.name} has {status.st_size} bytes, must be at most {bytes_max}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(status.st_size + 1)
    finally:
        os.close(descriptor)
    if len(content) != status.st_size:
        raise StateError(f"{path.name} has changed while it was read")
    return content


def size(path: Path) -> int:
    """Return a file's size in bytes, 0 if it has gone."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0
