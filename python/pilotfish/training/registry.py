"""Model versions on disk, for pinning and rollback: each a snapshot that never changes, named by its SHA-256.

One directory, one file per snapshot: `<sequence>-<kept_us>-<sha256>.snapshot`. The name holds what is this directory's
own: the order in which snapshots came, which a clock that jumps cannot disturb, and when each came. All else is in the
file, under its checksum, and stays the same wherever the file is carried.

A file is written beside its place, flushed and renamed, so a reader sees the whole file or none. Changes take turns by
a lock of the operating system, between threads and processes alike; readers need none. Memory is bounded by about three
times the largest file.
"""

import fcntl
import logging
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from pilotfish._core import Model
from pilotfish.exceptions import ConflictError, InvalidInputError, NotFoundError, StateError
from pilotfish.training.entry import Entry, SnapshotInfo, read_bounded, size
from pilotfish.training.snapshot import HEADER_BYTES, Snapshot, check_time, restore, seal, take, unseal

BYTES_MAX: Final = 512 * 2**20
"""Largest file by default: 100 modules with 512 slots each have about 250 MB of state."""
KEEP_COUNT: Final = 10
KEEP_S: Final = 10 * 86_400.0

_PREFIX: Final = re.compile(r"[0-9a-f]{8,64}")

logger = logging.getLogger(__name__)


class LoadedModel(NamedTuple):
    """A model that has proved that it can decide, and where it came from."""

    model: Model
    info: SnapshotInfo


class Registry:
    """The snapshots of a directory, which is made if needed.

    Args:
        directory: Where they are. Nothing else should be there.
        keep_count: `prune` leaves at least this many of the newest, >= 1.
        keep_s: And all that were the newest at any time in the last `keep_s` seconds, >= 0.
        bytes_max: Largest file that is written or read.

    Raises:
        InvalidInputError: An argument breaks its rule.
        StateError: The directory cannot be used.
    """

    def __init__(
        self, directory: Path, *, keep_count: int = KEEP_COUNT, keep_s: float = KEEP_S, bytes_max: int = BYTES_MAX
    ) -> None:
        if keep_count < 1:
            raise InvalidInputError(f"keep_count == {keep_count}, must be >= 1")
        if not 0.0 <= keep_s < float("inf"):
            raise InvalidInputError(f"keep_s == {keep_s}, must be finite and >= 0")
        if bytes_max < HEADER_BYTES:
            raise InvalidInputError(f"bytes_max == {bytes_max}, must be >= {HEADER_BYTES}")
        self._directory = directory
        self._unfinished = directory / "unfinished.tmp"
        self._keep_count, self._keep_us, self._bytes_max = keep_count, round(keep_s * 1e6), bytes_max
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with self._alone():
                # What a crash has left.
                self._unfinished.unlink(missing_ok=True)
        except OSError as error:
            raise StateError(f"registry {directory} cannot be used: {error.strerror}") from error

    def keep(self, model: Model, *, birth: int, note: str, actor: str, now_us: int) -> SnapshotInfo:
        """Keep a model as it is now; what it learns later is not in the snapshot.

        If the newest snapshot holds the same learning of the same birth, it is returned and nothing is written; its
        note stands.

        Args:
            model: The model. It must pass the checks of `load`.
            birth: Its birth's sequence number in the log, >= 0.
            note: Why; at most 1,024 printable characters.
            actor: Who; 1 to 128 printable characters.
            now_us: The time, in microseconds since 1970.

        Raises:
            InvalidInputError: An argument breaks its rule.
            StateError: The model could not be loaded again, or is larger than `bytes_max`.
            OSError: The disk refuses; all that was kept stays.
        """
        snapshot = take(model, birth=birth, note=note, actor=actor, now_us=now_us)
        restore(snapshot)
        with self._alone():
            newest = next(self._entries(), None)
            if newest is not None:
                with suppress(StateError, OSError):
                    info, other = newest.read(self._bytes_max)
                    if (other.state_sha256, other.model_version, other.birth) == (
                        snapshot.state_sha256,
                        snapshot.model_version,
                        birth,
                    ):
                        return info
            return self._add(snapshot, now_us)

    def add_file(self, path: Path, *, now_us: int) -> SnapshotInfo:
        """Take in a snapshot file from elsewhere, under the id that it has; the file itself stays.

        One that is here already is returned as it stands, and made good if its file here is damaged.

        Args:
            path: A regular file; no symbolic link.
            now_us: The time, in microseconds since 1970.

        Raises:
            InvalidInputError: `now_us` breaks its rule.
            NotFoundError: There is no file.
            StateError: It is no regular file, cannot be read, is too large, or holds no model that could be served.
            OSError: The disk refuses; all that was kept stays.
        """
        check_time(now_us)
        try:
            content = read_bounded(path, self._bytes_max)
        except FileNotFoundError as error:
            raise NotFoundError(f"{path} does not exist") from error
        except OSError as error:
            raise StateError(f"{path} cannot be read: {error.strerror}") from error
        sha256, snapshot = unseal(content)
        del content
        restore(snapshot)
        with self._alone():
            for entry in self._entries():
                if entry.sha256 == sha256:
                    with suppress(StateError, OSError):
                        return entry.read(self._bytes_max)[0]
            return self._add(snapshot, now_us)

    def load(self, sha256: str) -> LoadedModel:
        """Return a kept model, restored to the bit and tried with a decision.

        Args:
            sha256: The snapshot's id, or its first 8 digits or more.

        Raises:
            InvalidInputError: It is no such prefix.
            NotFoundError: No snapshot begins with it.
            ConflictError: Several do.
            StateError: The file is damaged, or its model cannot be served here; the message says why.
        """
        if not _PREFIX.fullmatch(sha256):
            raise InvalidInputError(f"sha256 == {sha256[:80]!a}, must be 8 to 64 digits of 0-9, a-f")
        found: dict[str, Entry] = {}
        for entry in self._entries():
            if entry.sha256.startswith(sha256):
                # The newest file of an id: after a crash the damaged one that it replaced may still be there.
                found.setdefault(entry.sha256, entry)
        if len(found) > 1:
            raise ConflictError(f"sha256 == {sha256}, must name one snapshot: {', '.join(sorted(found))}")
        for entry in found.values():
            try:
                info, snapshot = entry.read(self._bytes_max)
                return LoadedModel(restore(snapshot), info)
            except FileNotFoundError:
                break
            except OSError as error:
                raise StateError(f"{entry.path.name} cannot be read: {error.strerror}") from error
        raise NotFoundError(f"sha256 == {sha256}, must name a kept snapshot")

    def prune(self, pinned: Collection[str], now_us: int) -> list[str]:
        """Delete what is neither among the newest, nor was the newest lately, nor pinned.

        A snapshot's age counts from when the next one came: until then it was the newest. With a clock that has jumped
        back nothing is old. Damaged files do not count and are left where they are, for somebody to look at.

        Args:
            pinned: Full ids that stay.
            now_us: The time, in microseconds since 1970.

        Returns:
            The ids that were deleted, newest first.

        Raises:
            InvalidInputError: An argument breaks its rule.
            OSError: The disk refuses.
        """
        check_time(now_us)
        for sha256 in pinned:
            if len(sha256) != 64 or not _PREFIX.fullmatch(sha256):  # noqa: PLR2004  digits of a SHA-256
                raise InvalidInputError(f"pinned holds {sha256[:80]!a}, must be full SHA-256 ids")
        deleted = []
        with self._alone():
            whole = [entry for entry in self._entries() if (info := self._info(entry)) and not info.damage]
            for newer, entry in zip(whole[self._keep_count - 1 :], whole[self._keep_count :], strict=False):
                if entry.sha256 not in pinned and now_us - max(entry.kept_us, newer.kept_us) >= self._keep_us:
                    entry.path.unlink(missing_ok=True)
                    deleted.append(entry.sha256)
            if deleted:
                self._flush_directory()
        return deleted

    def list(self) -> list[SnapshotInfo]:
        """Return all snapshots, newest first, then what only looks like one; `damage` says what is wrong with a file.

        Reads every file, one at a time; the models themselves are checked by `load`.
        """
        listed = [info for entry in self._entries() if (info := self._info(entry))]
        for path in sorted(self._directory.glob("*.snapshot")):
            if Entry.of(path) is None:
                damage = f"{path.name!a} is no snapshot's name"
                size_bytes = size(path)
                listed.append(SnapshotInfo(sha256="", sequence=0, kept_us=0, size_bytes=size_bytes, damage=damage))
        return listed

    def __len__(self) -> int:
        """Return how many files are named like snapshots; none is read."""
        return sum(1 for _ in self._entries())

    def _info(self, entry: Entry) -> SnapshotInfo | None:
        """Return what an entry is, or None if it has gone meanwhile."""
        try:
            return entry.read(self._bytes_max)[0]
        except FileNotFoundError:
            return None
        except (OSError, StateError) as error:
            logger.warning("snapshot %s: %s", entry.path.name, error)
            return SnapshotInfo(
                sha256=entry.sha256,
                sequence=entry.sequence,
                kept_us=entry.kept_us,
                size_bytes=size(entry.path),
                damage=str(error),
            )

    def _entries(self) -> Iterator[Entry]:
        """Yield the files that are named like snapshots, newest first."""
        found = (Entry.of(path) for path in self._directory.glob("*.snapshot"))
        yield from sorted((entry for entry in found if entry), reverse=True)

    def _add(self, snapshot: Snapshot, now_us: int) -> SnapshotInfo:
        """Write a file as the newest; the caller holds the lock and has checked the content."""
        sha256, content = seal(snapshot)
        if len(content) > self._bytes_max:
            raise StateError(f"snapshot has {len(content)} bytes, must be at most {self._bytes_max}")
        entries = list(self._entries())
        sequence = entries[0].sequence + 1 if entries else 1
        path = self._directory / f"{sequence:010d}-{now_us:018d}-{sha256}.snapshot"
        try:
            with self._unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self._unfinished.replace(path)
        except OSError:
            with suppress(OSError):
                self._unfinished.unlink(missing_ok=True)
            raise
        self._flush_directory()
        for damaged in entries:
            if damaged.sha256 == sha256:
                damaged.path.unlink(missing_ok=True)
        return Entry(sequence, now_us, sha256, path).describe(len(content), snapshot)

    def _flush_directory(self) -> None:
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the directory's lock; a descriptor of its own each time, so that threads take turns too."""
        with (self._directory / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
