"""The constraints that were configured, under the numbers that decisions name them by."""

import hashlib

from pilotfish.experience.log import ExperienceLog, now_us


def register_constraints(log: ExperienceLog, content: bytes) -> int:
    """Return the number under which the log names a set of constraints, adding it if it is new.

    Args:
        log: Where.
        content: Canonical JSON; empty: no constraints, number 0.

    Raises:
        sqlite3.Error: The log cannot be written; nothing was.
    """
    if not content:
        return 0
    sha256 = hashlib.sha256(content).hexdigest()
    with log.transaction() as connection:
        connection.execute(
            "INSERT OR IGNORE INTO constraint_set (sha256, time_us, content) VALUES (?, ?, ?)",
            (sha256, now_us(), content),
        )
        (number,) = connection.execute("SELECT number FROM constraint_set WHERE sha256 = ?", (sha256,)).fetchone()
    return int(number)


def constraint_sets(log: ExperienceLog) -> dict[int, bytes]:
    """Return every set of constraints by its number; 0, none, is empty."""
    with log.reading() as connection:
        return {0: b"", **dict(connection.execute("SELECT number, content FROM constraint_set").fetchall())}
