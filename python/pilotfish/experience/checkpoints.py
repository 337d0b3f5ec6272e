"""Learned states on disk, so that a start folds only the tail of the log. A cache: losing all of it is harmless."""

import hashlib
import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from pilotfish.exceptions import StateError

MAGIC: Final = b"PFCKPT01"
KEEP: Final = 3
"""Newest files kept: one may be damaged by a power cut, one may come from a release that was rolled back."""

logger = logging.getLogger(__name__)


class Checkpoint(msgspec.Struct, frozen=True):
    """The learned state after a signal value."""

    sequence: int
    """Sequence number of the last signal value that is in it."""
    model_version: str
    model: bytes
    health: bytes
    birth: int = 0
    """The model's birth, by its sequence number in the log."""
    detectors: tuple[bytes, ...] = ()
    """States of the change detectors, one per head."""
    change: bytes | None = None
    """An alarm that no birth has answered yet (msgspec, engine/change.py)."""


class Checkpoints:
    """The checkpoint files of a state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / "checkpoints"
        self._directory.mkdir(exist_ok=True)

    def write(self, checkpoint: Checkpoint) -> None:
        """Write atomically: a reader, or a start after a crash, sees the whole file or none.

        Raises:
            OSError: The disk refuses; the older files stay.
        """
        body = msgspec.msgpack.encode(checkpoint)
        path = self._directory / f"{checkpoint.sequence:016d}.ckpt"
        unfinished = path.with_suffix(".tmp")
        with unfinished.open("wb") as file:
            file.write(MAGIC + hashlib.sha256(body).digest() + body)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        for old in sorted(self._directory.glob("*.ckpt"), reverse=True)[KEEP:]:
            old.unlink(missing_ok=True)

    def newest(self, model_version: str, birth: int, up_to: int) -> list[Checkpoint]:
        """Return the usable checkpoints of a model version, newest first; damaged ones are named in the log.

        Args:
            model_version: Only states of this version.
            birth: And of this birth.
            up_to: Last sequence number of the log; a state from beyond it belongs to another log.
        """
        usable = []
        for path in sorted(self._directory.glob("*.ckpt"), reverse=True):
            try:
                checkpoint = _read(path)
            except (OSError, StateError) as error:
                logger.warning("checkpoint ignored: %s", error)
                continue
            if (checkpoint.model_version, checkpoint.birth) == (model_version, birth) and checkpoint.sequence <= up_to:
                usable.append(checkpoint)
        return usable


def _read(path: Path) -> Checkpoint:
    content = path.read_bytes()
    header = len(MAGIC) + hashlib.sha256().digest_size
    body = content[header:]
    if content[: len(MAGIC)] != MAGIC or content[len(MAGIC) : header] != hashlib.sha256(body).digest():
        raise StateError(f"{path.name} is truncated, altered or of another format")
    try:
        return msgspec.msgpack.decode(body, type=Checkpoint)
    except msgspec.DecodeError as error:
        raise StateError(f"{path.name} does not hold a checkpoint ({error})") from error
