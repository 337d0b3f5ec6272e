"""From a status to an exception: which answers are refusals of a bad request, and which mean that nobody decided."""

from collections.abc import Iterable
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from pilotfish.client.channel import MAX_MESSAGE_BYTES
from pilotfish.exceptions import ConflictError, InvalidInputError, NotFoundError, PilotfishError, StateError

DOMAIN: Final = "pilotfish.dev"
_DETAILS_KEY: Final = "grpc-status-details-bin"

_ERROR_OF_CODE: Final[dict[int, type[PilotfishError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT.value[0]: InvalidInputError,
    grpc.StatusCode.NOT_FOUND.value[0]: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS.value[0]: ConflictError,
    grpc.StatusCode.FAILED_PRECONDITION.value[0]: StateError,
    grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]: InvalidInputError,
}


def refusal_of_rpc(error: grpc.RpcError, request: Message) -> tuple[PilotfishError | None, str]:
    """Tell a refusal from a failure.

    Returns:
        The exception that a refused request deserves, or None; and the reason that the sidecar itself gave, or "".
        A status without the sidecar's own ErrorInfo comes from something else on the way and refuses nothing.
    """
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and request.ByteSize() > MAX_MESSAGE_BYTES:
        return _too_large(request.ByteSize()), "MESSAGE_TOO_LARGE"
    status = _status_in(error.trailing_metadata() or ())
    return (None, "") if status is None else refusal_of_status(status)


def refusal_of_status(status: status_pb2.Status) -> tuple[PilotfishError | None, str]:
    """Do the same for one result of a batch."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info) and info.domain == DOMAIN:
            kind = _ERROR_OF_CODE.get(status.code)
            refusal = kind(status.message, reason=info.reason, metadata=info.metadata) if kind else None
            return refusal, info.reason
    return None, ""


def _status_in(metadata: Iterable[Any]) -> status_pb2.Status | None:  # pairs; each twin has its own type for them
    for key, value in metadata:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None


def _too_large(n_bytes: int) -> InvalidInputError:
    return InvalidInputError(
        f"message has {n_bytes} bytes, must have at most {MAX_MESSAGE_BYTES}",
        reason="MESSAGE_TOO_LARGE",
        metadata={"value": str(n_bytes), "rule": f"at most {MAX_MESSAGE_BYTES} bytes"},
    )
