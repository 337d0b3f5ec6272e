"""Who may decide for whom: every change is a fact of the log, and the last one is in force."""

from typing import Final

import msgspec

from pilotfish.codes import Mode
from pilotfish.experience.log import ExperienceLog, now_us

LIVE: Final = "live"
"""The live model where a kept version could stand."""


class Exposure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is in force, and how it came about. In the order of the table's columns."""

    number: int = 0
    """Number of the change; 0: the configured exposure of a fresh log."""
    time_us: int = 0
    action: str = "begin"
    actor: str = ""
    reason: str = ""
    mode: Mode = Mode.OFF
    rollout_share: float = 0.0
    """Share of units that the policy serves in mode rollout, [0, 1]."""
    policy: str = ""
    """What serves them: empty for the live model, else a kept version."""
    control: str = ""
    """What the others get: empty for the baseline, `live`, or a kept version."""
    held: bool = False
    """Whether nothing is promoted automatically."""
    paused: bool = False
    """Whether outcomes are kept and not learned."""
    stage: int = 0
    """The change that began the stage: evidence is of decisions since then."""
    decision_sequence: int = 0
    """The last decision before the change."""
    signal_sequence: int = 0
    """The last signal value before the change."""
    evidence: str = ""
    """JSON: what the change rests on; empty: on nothing but its actor's word."""

    @property
    def share(self) -> float:
        """Share of units, [0, 1], that the policy serves in this mode."""
        return {Mode.OFF: 0.0, Mode.SHADOW: 0.0, Mode.ROLLOUT: self.rollout_share, Mode.ON: 1.0}[self.mode]


_COLUMNS: Final = (
    "sequence, time_us, action, actor, reason, mode, rollout_share, policy, control, held, paused, stage,"
    " decision_sequence, signal_sequence, evidence"
)
_INSERT: Final = (
    f"INSERT INTO exposure_change ({_COLUMNS}) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"  # noqa: S608  the columns above
    " (SELECT COALESCE(MAX(sequence), 0) FROM decision), (SELECT COALESCE(MAX(sequence), 0) FROM signal_value), ?"
    f" RETURNING {_COLUMNS}"
)
_STAGE: Final = ("mode", "rollout_share", "policy", "control")
"""What evidence is of: a change of any of these begins a stage."""


def append_exposure(log: ExperienceLog, before: Exposure, after: Exposure, *, begins_stage: bool = False) -> Exposure:
    """Append a change, durable on return, and return it with its number, time, stage and place in the log.

    Args:
        log: Where.
        before: What has been in force; only the holder of the engine's steering lock knows.
        after: What shall be; its number, time, stage and places are not read.
        begins_stage: Whether a stage begins although the same models serve the same shares.

    Raises:
        sqlite3.Error: The log cannot be written; nothing was.
    """
    begins_stage = begins_stage or any(getattr(before, name) != getattr(after, name) for name in _STAGE)
    with log.transaction() as connection:
        (number,) = connection.execute("SELECT COALESCE(MAX(sequence), 0) + 1 FROM exposure_change").fetchone()
        row = (
            *(number, now_us(), after.action, after.actor, after.reason, int(after.mode), after.rollout_share),
            *(after.policy, after.control, after.held, after.paused, number if begins_stage else before.stage),
            after.evidence,
        )
        return _read(connection.execute(_INSERT, row).fetchone())


def exposures(log: ExperienceLog, limit: int) -> list[Exposure]:
    """Return the newest changes, newest first."""
    query = f"SELECT {_COLUMNS} FROM exposure_change ORDER BY sequence DESC LIMIT ?"  # noqa: S608  the columns above
    with log.reading() as connection:
        return [_read(row) for row in connection.execute(query, (limit,)).fetchall()]


def stage_begin(log: ExperienceLog, exposure: Exposure) -> tuple[int, int]:
    """Return the last decision and the last signal value before the stage of an exposure, by sequence number.

    They are those of the change that began the stage: a hold in its middle has places of its own.
    """
    query = "SELECT decision_sequence, signal_sequence FROM exposure_change WHERE sequence = ?"
    with log.reading() as connection:
        found = connection.execute(query, (exposure.stage,)).fetchone()
    return (0, 0) if found is None else (int(found[0]), int(found[1]))


def _read(row: tuple[object, ...]) -> Exposure:
    return msgspec.convert(dict(zip(Exposure.__struct_fields__, row, strict=True)), Exposure, strict=False)
