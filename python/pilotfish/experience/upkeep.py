"""What the log needs now and then, on a thread of its own so that no request pays for a disk flush."""

import logging
import sqlite3
import threading
from pathlib import Path
from typing import Final, Protocol

from pilotfish.experience.log import FOLD_WAL_BYTES, PAGE_BYTES, now_us

INTERVAL_S: Final = 0.5
BREATH_S: Final = 0.001
"""Between two batches of defaults, so that an outcome never waits for more than one."""
RESTART_WAL_BYTES: Final = 256 * 2**20
"""WAL size from which writers must let a fold finish, so that the file cannot grow for ever under a load without gaps.
Any gap of a few milliseconds lets it start over by itself. A decision that meets the lock waits `BUSY_TIMEOUT_S`, then
is answered by the baseline, unlogged; that is why the size is 50,000 decisions and not less."""

logger = logging.getLogger(__name__)


class Kept(Protocol):
    """Something whose state is written now and then, and that learns what silence means."""

    @property
    def checkpoint_due(self) -> bool:
        """Whether it is time."""

    def checkpoint(self) -> None:
        """Write it."""

    def bear(self) -> None:
        """Let another model take over, if it is time."""

    def expire(self, now_us: int) -> bool:
        """Log and learn a few defaults of what is overdue; return whether there may be more to do at once."""


class Upkeep:
    """Folds the WAL, writes checkpoints and expires windows until stopped. A failure is logged and tried again."""

    def __init__(self, database: Path, learner: Kept) -> None:
        self._database = database
        self._wal = database.with_name(database.name + "-wal")
        self._learner = learner
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pilotfish-upkeep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop and wait for a write under way."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        connection = sqlite3.connect(self._database, timeout=1.0, isolation_level=None)
        while not self._stopping.wait(INTERVAL_S):
            try:
                if self._learner.checkpoint_due:
                    self._learner.checkpoint()
                self._fold_wal(connection)
                self._learner.bear()
                # Last, so that defaults that cannot be written never keep the log from being folded.
                while self._learner.expire(now_us()) and not self._stopping.wait(BREATH_S):
                    pass
            except (OSError, sqlite3.Error) as error:
                logger.warning("upkeep failed, will try again: %s", error)
        connection.close()

    def _fold_wal(self, connection: sqlite3.Connection) -> None:
        size = self._wal.stat().st_size if self._wal.exists() else 0
        if size <= FOLD_WAL_BYTES:  # the file is cut back to this size each time it starts over
            return
        _, n_frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if n_frames * PAGE_BYTES >= RESTART_WAL_BYTES:
            connection.execute("PRAGMA wal_checkpoint(RESTART)")
