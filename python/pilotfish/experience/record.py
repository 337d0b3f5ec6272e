"""One decision as the log keeps it: everything that is needed to replay, explain, learn from and re-score it."""

from typing import Final

import msgspec

from pilotfish.request import Removal, Request

RECORD_FORMAT: Final = 2
"""Format 1 had no more than (candidate, reason) of a removal, and ended at `birth`; its rows are read as they are."""


class ServedBy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A model that took part, as the log names it."""

    version: str
    """SHA-256 of its specification."""
    birth: int
    """Which birth of that version; 0: grown from nothing."""
    learned_count: int
    """Signal values it had learned."""
    kept: str = ""
    """The kept version that it is, by its SHA-256; empty: the live model of then."""


class DecisionRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was asked and how each stage answered. Indices point into `request.candidates`."""

    record_format: int
    request: Request
    mode: int
    policy_share: float
    """Share of units that the policy was to serve, after all that holds it back."""
    in_policy_share: bool
    legal: tuple[int, ...]
    removed: tuple[Removal, ...]
    baseline: int
    reasons: tuple[int, ...]
    weights: tuple[float, ...]
    learned_count: int
    """Signal values the policy had learned from when it chose; -1 if it was not computed."""
    policy_pmf: bytes = b""
    """The policy's pmf over `legal`, float64; empty if the policy was not computed or failed."""
    scores: bytes = b""
    uncertainties: bytes = b""
    """Empty also where the policy's explorer does without, see `Choice.uncertainties`."""
    birth: int = 0
    """Which birth of its model version the policy was (`model_birth`); 0: the configured one, grown from nothing."""
    stage: int = 0
    """The change of exposure that began the stage (`exposure_change`); 0: the configured one of a fresh log."""
    constraints: int = 0
    """Number of the constraints in force (`constraint_set`); 0: none but those of the request."""
    asked_us: int = 0
    """When it was asked, microseconds since the epoch: what rules over the hour saw."""
    kept: str = ""
    """The kept version that served as the policy, by its SHA-256; empty: the live model."""
    control: ServedBy | None = None
    """The champion, if it was computed: it serves the units outside the policy's share, or stood in for the policy."""
    control_pmf: bytes = b""
    """The champion's pmf over `legal`, float64."""
    probing: tuple[int, ...] = ()
    """Legal candidates on probation; each side that a model decides serves one of them with `probe_share` first."""
    probe_share: float = 0.0
    greedy: bool = False
    """Whether the best by score was taken with certainty instead of the pmf, because the task is critical."""


class LoggedDecision(msgspec.Struct, frozen=True, gc=False):
    """A record with the columns that stand beside it in the log."""

    sequence: int
    decision_id: bytes
    time_us: int
    module: str
    propensity: float
    source: int
    model_version: str
    record: DecisionRecord


encode_record: Final = msgspec.msgpack.Encoder().encode
decode_record: Final = msgspec.msgpack.Decoder(DecisionRecord).decode
