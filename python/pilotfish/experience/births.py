"""When models took each other's place: facts, because what has been learned depends on them."""

from typing import Final

import msgspec

from pilotfish.experience.log import ExperienceLog, now_us

_SELECT: Final = (
    "SELECT b.base_version, b.sequence, v.version, v.specification, b.model_version, b.signal_sequence, b.change"
    " FROM model_birth AS b JOIN model_version AS v ON v.number = b.model_version ORDER BY b.sequence"
)


class Birth(msgspec.Struct, frozen=True, gc=False):
    """One birth."""

    sequence: int
    version: str
    specification: bytes
    model_number: int
    signal_sequence: int
    """Last signal value that was learned at birth."""
    change: bytes | None
    """What made it necessary, as it was logged; None: the log had only grown."""


def births(log: ExperienceLog, base_version: str) -> list[Birth]:
    """Return the births of models that grew from a configured specification, oldest first."""
    return [birth for base, birth in all_births(log) if base == base_version]


def all_births(log: ExperienceLog) -> list[tuple[str, Birth]]:
    """Return every birth with the version of the configured specification that it grew from, oldest first."""
    with log.reading() as connection:
        return [(base, Birth(*row)) for base, *row in connection.execute(_SELECT).fetchall()]


def last_birth_time_us(log: ExperienceLog) -> int:
    """Return when the last model took over, or the first was made if none did, in microseconds since the epoch."""
    query = "SELECT COALESCE((SELECT MAX(time_us) FROM model_birth), (SELECT MIN(time_us) FROM model_version), 0)"
    with log.reading() as connection:
        return int(connection.execute(query).fetchone()[0])


def specifications(log: ExperienceLog) -> dict[str, bytes]:
    """Return the specification of every model version."""
    with log.reading() as connection:
        return dict(connection.execute("SELECT version, specification FROM model_version").fetchall())


def append_birth(
    log: ExperienceLog, model: tuple[str, bytes], base_version: str, signal_sequence: int, change: bytes | None
) -> Birth:
    """Append the birth of a model, given by its version and specification; durable against a kill on return.

    Raises:
        sqlite3.Error: The log cannot be written; nothing was.
    """
    version, specification = model
    number = log.register_model(version, specification)
    with log.transaction() as connection:
        cursor = connection.execute(
            "INSERT INTO model_birth (time_us, model_version, base_version, signal_sequence, change)"
            " VALUES (?, ?, ?, ?, ?)",
            (now_us(), number, base_version, signal_sequence, change),
        )
        sequence = cursor.lastrowid or 0
    return Birth(sequence, version, specification, number, signal_sequence, change)


def place_of_change(log: ExperienceLog, signal: int, up_to: int, n_after: int) -> tuple[int, int]:
    """Return where a change came that the newest `n_after` learned values of a signal lie after.

    Args:
        log: The truth.
        signal: Number of the signal.
        up_to: Sequence number of the last value looked at.
        n_after: How many of its learned values come after the change.

    Returns:
        Sequence number of the first decision after it, and the number of learned values before it.
    """
    of_signal = "FROM signal_value WHERE signal = ? AND learned = 1 AND sequence <= ?"
    with log.reading() as connection:
        (count,) = connection.execute(f"SELECT COUNT(*) {of_signal}", (signal, up_to)).fetchone()
        found = connection.execute(
            f"SELECT decision_sequence {of_signal} ORDER BY sequence DESC LIMIT 1 OFFSET ?",
            (signal, up_to, n_after - 1),
        ).fetchone()
    return (0, 0) if found is None else (found[0], count - n_after)
