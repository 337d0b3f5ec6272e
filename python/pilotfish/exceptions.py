"""Every error that Pilotfish raises.

PilotfishError
├── InvalidInputError (also ValueError)   an argument breaks a stated rule
├── NotFoundError                         what was named does not exist
├── ConflictError                         it contradicts what is on record
└── StateError                            not possible in the present state
"""

from collections.abc import Mapping


class PilotfishError(Exception):
    """Root of the tree.

    Args:
        message: Names the field, the value and the rule: `epsilon == 1.5, must be in [0, 1]`.
        reason: A name from the closed list in `error_reason.proto`, without its prefix; "" where the class says enough.
        metadata: The variable parts of the message, such as `field`, `value` and `rule`.
    """

    def __init__(self, message: str = "", *, reason: str = "", metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.metadata = dict(metadata or {})


class InvalidInputError(PilotfishError, ValueError):
    """An argument breaks a stated rule; nothing was changed."""


class NotFoundError(PilotfishError):
    """What was named does not exist here."""


class ConflictError(PilotfishError):
    """The call contradicts what is on record; the record stays."""


class StateError(PilotfishError):
    """The call is not possible in the present state."""
