"""One decision as the log keeps it: everything that is needed to replay, explain, learn from and re-score it."""

from typing import Final

import msgspec

from pilotfish.request import Request

RECORD_FORMAT: Final = 1


class DecisionRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was asked and how each stage answered. Indices point into `request.candidates`."""

    record_format: int
    request: Request
    mode: int
    policy_share: float
    in_policy_share: bool
    legal: tuple[int, ...]
    removed: tuple[tuple[int, int], ...]
    """(candidate, reason code) of each candidate that was taken out."""
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
