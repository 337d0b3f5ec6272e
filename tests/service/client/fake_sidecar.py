"""A sidecar that does as it is told; run as a script it serves a socket until it is killed."""

import sys
from collections import deque
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import NamedTuple, cast

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from pilotfish import v1

DECISION_ID = "0123456789abcdef" * 2
MODEL_VERSION = "a" * 64


class FakeSidecar(v1.DecisionServiceServicer, v1.OutcomeServiceServicer):
    """Chooses the last candidate, so that its answer differs from the local default.

    `statuses` are returned first, one per call; None lets a call pass. In a batch an entry with the request_id or
    decision_id "bad" is refused, and one with "draining" is not served.
    """

    def __init__(self) -> None:
        self.statuses: deque[status_pb2.Status | None] = deque()
        self.decision_requests: list[v1.SelectModuleRequest] = []
        self.outcome_requests: list[v1.RecordOutcomeRequest] = []

    def SelectModule(self, request: v1.SelectModuleRequest, context: grpc.ServicerContext) -> v1.SelectModuleResponse:
        self.decision_requests.append(request)
        self._abort_if_told(context)
        return answer(request)

    def BatchSelectModules(
        self, request: v1.BatchSelectModulesRequest, context: grpc.ServicerContext
    ) -> v1.BatchSelectModulesResponse:
        self._abort_if_told(context)
        results = []
        for entry in request.requests:
            error = error_of(entry.request_id)
            results.append(
                v1.SelectModuleResult(error=error) if error else v1.SelectModuleResult(response=answer(entry))
            )
        return v1.BatchSelectModulesResponse(results=results)

    def RecordOutcome(
        self, request: v1.RecordOutcomeRequest, context: grpc.ServicerContext
    ) -> v1.RecordOutcomeResponse:
        self.outcome_requests.append(request)
        self._abort_if_told(context)
        return v1.RecordOutcomeResponse(recorded_count=len(request.signals), joined=True)

    def BatchRecordOutcomes(
        self, request: v1.BatchRecordOutcomesRequest, context: grpc.ServicerContext
    ) -> v1.BatchRecordOutcomesResponse:
        self._abort_if_told(context)
        results = []
        for entry in request.requests:
            error = error_of(entry.decision_id or "bad")
            acknowledged = v1.RecordOutcomeResponse(recorded_count=len(entry.signals), joined=True)
            results.append(
                v1.RecordOutcomeResult(error=error) if error else v1.RecordOutcomeResult(response=acknowledged)
            )
        return v1.BatchRecordOutcomesResponse(results=results)

    def _abort_if_told(self, context: grpc.ServicerContext) -> None:
        if self.statuses and (status := self.statuses.popleft()) is not None:
            context.abort_with_status(_as_grpc(status))


class _GrpcStatus(NamedTuple):
    """What grpcio wants of a status."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, bytes], ...]


def _as_grpc(status: status_pb2.Status) -> grpc.Status:
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    result = _GrpcStatus(code, status.message, (("grpc-status-details-bin", status.SerializeToString()),))
    return cast("grpc.Status", result)


def answer(request: v1.SelectModuleRequest) -> v1.SelectModuleResponse:
    response = v1.SelectModuleResponse(
        decision=v1.Decision(
            decision_id=DECISION_ID,
            module=request.candidates[-1].name,
            propensity=0.5,
            source=v1.DECISION_SOURCE_POLICY,
            model_version=MODEL_VERSION,
        )
    )
    if request.explain:
        response.explanation.baseline_module = request.candidates[0].name
    return response


def error_of(name: str) -> status_pb2.Status | None:
    if name == "bad":
        return status(grpc.StatusCode.INVALID_ARGUMENT, "VALUE_OUT_OF_RANGE", "task.priority == 11, must be 0 to 10")
    if name == "draining":
        return status(grpc.StatusCode.UNAVAILABLE, "DRAINING")
    return None


def status(code: grpc.StatusCode, reason: str = "", message: str = "") -> status_pb2.Status:
    """Return a status as the sidecar makes it, or without ErrorInfo if the reason is empty."""
    result = status_pb2.Status(code=code.value[0], message=message)
    if reason:
        detail = AnyMessage()
        detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="pilotfish.dev", metadata={"rule": "a rule"}))
        result.details.append(detail)
    return result


@contextmanager
def serving(socket: str, sidecar: FakeSidecar) -> Iterator[None]:
    """Serve a fake on a socket in this process."""
    server = start(socket, sidecar)
    try:
        yield
    finally:
        server.stop(grace=None).wait()


def start(socket: str, sidecar: FakeSidecar) -> grpc.Server:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    v1.add_DecisionServiceServicer_to_server(sidecar, server)
    v1.add_OutcomeServiceServicer_to_server(sidecar, server)
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    return server


if __name__ == "__main__":
    running = start(sys.argv[1], FakeSidecar())
    print("serving", flush=True)  # noqa: T201 - the parent waits for this line
    running.wait_for_termination()
