"""From an exception to a gRPC status: one table. No exception's text leaves unless it is one of ours."""

import logging
import secrets
import sqlite3
from typing import Final

import grpc
from google.rpc import error_details_pb2, status_pb2

from pilotfish.exceptions import ConflictError, InvalidInputError, NotFoundError, PilotfishError, StateError
from pilotfish.v1 import error_reason_pb2

DOMAIN: Final = "pilotfish.dev"

logger = logging.getLogger(__name__)

STATUS_OF_ERROR: Final[tuple[tuple[type[PilotfishError], grpc.StatusCode, str], ...]] = (
    (InvalidInputError, grpc.StatusCode.INVALID_ARGUMENT, "VALUE_OUT_OF_RANGE"),
    (NotFoundError, grpc.StatusCode.NOT_FOUND, "DECISION_NOT_FOUND"),
    (ConflictError, grpc.StatusCode.ALREADY_EXISTS, "SIGNAL_CONFLICT"),
    (StateError, grpc.StatusCode.FAILED_PRECONDITION, "NO_LEGAL_MODULE"),
)
"""Class, code, and the reason of an error that names none itself."""

CODE_OF_REASON: Final = {
    "MESSAGE_TOO_LARGE": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "DRAINING": grpc.StatusCode.UNAVAILABLE,
    "LOG_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
}
"""Reasons whose code is not that of their class."""


def status_of(error: Exception) -> status_pb2.Status:
    """Return the status that tells a caller what went wrong; a bug is logged with its trace and named by an id only."""
    if isinstance(error, sqlite3.Error | OSError):
        logger.error("the log cannot be written: %s", error)
        return status(
            grpc.StatusCode.UNAVAILABLE,
            "LOG_UNAVAILABLE",
            "the log cannot be written, nothing was recorded; send it again",
            {"rule": "an outcome is acknowledged once it is on disk"},
        )
    for kind, code, default_reason in STATUS_OF_ERROR:
        if isinstance(error, kind):
            reason = error.reason or default_reason
            return status(CODE_OF_REASON.get(reason, code), reason, str(error), error.metadata)
    error_id = secrets.token_hex(8)
    logger.error("internal error %s", error_id, exc_info=error)
    return status(
        grpc.StatusCode.INTERNAL, "INTERNAL", f"internal error {error_id}, see the server's log", {"error_id": error_id}
    )


def status(code: grpc.StatusCode, reason: str, message: str, metadata: dict[str, str]) -> status_pb2.Status:
    """Return a status with one ErrorInfo.

    Raises:
        ValueError: The reason is not on the closed list.
    """
    error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{reason}")
    result = status_pb2.Status(code=code.value[0], message=message)
    result.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata))
    return result
