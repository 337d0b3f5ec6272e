"""What becomes of an outcome."""

from dataclasses import dataclass

from pilotfish import v1


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to an outcome.

    Args:
        acknowledged: True: it is on the sidecar's log and survives a process kill. False: it is not; send it again,
            unless the reason is `local_fallback`.
        reason: Why not, else empty: `local_fallback` (the decision is on no log, there is nothing to join),
            `circuit_open`, `sidecar_unavailable`, or what the sidecar said, such as `draining`.
        recorded_count: Signals that were new to the log.
        joined: Whether it has met its decision.
    """

    acknowledged: bool
    reason: str = ""
    recorded_count: int = 0
    joined: bool = False


def read_receipt(response: v1.RecordOutcomeResponse) -> Receipt:
    """Return a sidecar's acknowledgement as the hub sees it."""
    return Receipt(acknowledged=True, recorded_count=response.recorded_count, joined=response.joined)
