"""Which statuses are the caller's fault."""

from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from pilotfish import v1
from pilotfish.client.refusal import refusal_of_rpc, refusal_of_status
from pilotfish.exceptions import ConflictError, InvalidInputError, NotFoundError, PilotfishError, StateError


class FailedCall(grpc.RpcError):
    """As much of a failed call as is read."""

    def __init__(self, code: grpc.StatusCode, details: bytes | None = None) -> None:
        super().__init__()
        self._code = code
        self._details = details

    def code(self) -> grpc.StatusCode:
        return self._code

    def trailing_metadata(self) -> Any:  # noqa: ANN401 - grpcio returns None too, against its types
        return None if self._details is None else (("x", b""), ("grpc-status-details-bin", self._details))


def status(code: grpc.StatusCode, reason: str, domain: str = "pilotfish.dev") -> status_pb2.Status:
    detail = AnyMessage()
    detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata={"field": "f"}))
    return status_pb2.Status(code=code.value[0], message="f == 1, must be 2", details=[detail])


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidInputError),
        (grpc.StatusCode.NOT_FOUND, NotFoundError),
        (grpc.StatusCode.ALREADY_EXISTS, ConflictError),
        (grpc.StatusCode.FAILED_PRECONDITION, StateError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, InvalidInputError),
    ],
)
def test_a_refused_request_becomes_the_exception_of_its_code(code: grpc.StatusCode, kind: type[PilotfishError]) -> None:
    error, reason = refusal_of_status(status(code, "SOME_REASON"))
    assert type(error) is kind
    assert (str(error), reason) == ("f == 1, must be 2", "SOME_REASON")
    assert (error.reason, error.metadata) == ("SOME_REASON", {"field": "f"})


@pytest.mark.parametrize("code", [c for c in grpc.StatusCode if c.value[0] not in {0, 3, 5, 6, 8, 9}])
def test_every_other_code_refuses_nothing_but_keeps_its_reason(code: grpc.StatusCode) -> None:
    assert refusal_of_status(status(code, "DRAINING")) == (None, "DRAINING")


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_a_status_of_somebody_else_refuses_nothing(code: grpc.StatusCode) -> None:
    request = v1.SelectModuleRequest()
    assert refusal_of_status(status(code, "R", domain="proxy.example")) == (None, "")
    assert refusal_of_rpc(FailedCall(code), request) == (None, "")
    assert refusal_of_rpc(FailedCall(code, b"\xff\xff no status"), request) == (None, "")


def test_a_call_is_read_by_its_details() -> None:
    details = status(grpc.StatusCode.NOT_FOUND, "DECISION_NOT_FOUND").SerializeToString()
    error, reason = refusal_of_rpc(FailedCall(grpc.StatusCode.NOT_FOUND, details), v1.RecordOutcomeRequest())
    assert isinstance(error, NotFoundError)
    assert reason == "DECISION_NOT_FOUND"


def test_a_message_over_a_mebibyte_is_the_callers_fault_whoever_says_so() -> None:
    request = v1.SelectModuleRequest(request_id="x" * (1 << 20))
    error, _ = refusal_of_rpc(FailedCall(grpc.StatusCode.RESOURCE_EXHAUSTED), request)
    assert isinstance(error, InvalidInputError)
    assert error.reason == "MESSAGE_TOO_LARGE"
    assert str(error) == f"message has {request.ByteSize()} bytes, must have at most 1048576"
