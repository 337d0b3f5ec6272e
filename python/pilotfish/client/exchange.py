"""The four calls: how each one's reply is read, and what stands in for a reply that does not come."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

from google.rpc import status_pb2

from pilotfish import v1
from pilotfish.client.channel import Wire
from pilotfish.client.decision import Decision, read_decision
from pilotfish.client.local_default import SIDECAR_UNAVAILABLE, local_default
from pilotfish.client.receipt import Receipt, read_receipt
from pilotfish.client.refusal import refusal_of_status
from pilotfish.exceptions import PilotfishError

LOCAL_FALLBACK: Final = "local_fallback"

DecisionResult: TypeAlias = Decision | PilotfishError
ReceiptResult: TypeAlias = Receipt | PilotfishError

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)  # slots and Generic do not go together on Python 3.11
class Exchange(Generic[RequestT, ReplyT, ResultT]):
    """One method of the contract, without the waiting.

    Args:
        method: Which method of the wire it is.
        settled: From the request to the result where there is nothing to ask, else None.
        read: From the request and its reply to the result.
        locally: From the request and the reason why there is no reply to the result.
        is_outcome: Whether it belongs to the outcome service.
    """

    method: Callable[[Wire], Callable[..., Any]]
    settled: Callable[[RequestT], ResultT | None]
    read: Callable[[RequestT, ReplyT], ResultT]
    locally: Callable[[RequestT, str], ResultT]
    is_outcome: bool = False


def _decide_locally(request: v1.SelectModuleRequest, why: str) -> DecisionResult:
    try:
        return local_default(request, why)
    except PilotfishError as error:
        return error


def _decisions_locally(batch: v1.BatchSelectModulesRequest, why: str) -> list[DecisionResult]:
    return [_decide_locally(request, why) for request in batch.requests]


def _read_decision_result(request: v1.SelectModuleRequest, result: v1.SelectModuleResult) -> DecisionResult:
    if result.HasField("response"):
        return read_decision(result.response)
    refusal, why = _read_error(result.error)
    return refusal or _decide_locally(request, why)


def _read_decisions(batch: v1.BatchSelectModulesRequest, reply: v1.BatchSelectModulesResponse) -> list[DecisionResult]:
    if len(reply.results) != len(batch.requests):  # no way to tell which result belongs to which request
        return _decisions_locally(batch, SIDECAR_UNAVAILABLE)
    return list(map(_read_decision_result, batch.requests, reply.results))


def _receipt_locally(request: v1.RecordOutcomeRequest, why: str) -> Receipt:
    return Receipt(acknowledged=False, reason=why if _names_decision(request) else LOCAL_FALLBACK)


def _receipts_locally(batch: v1.BatchRecordOutcomesRequest, why: str) -> list[ReceiptResult]:
    return [_receipt_locally(request, why) for request in batch.requests]


def _read_receipt_result(request: v1.RecordOutcomeRequest, result: v1.RecordOutcomeResult) -> ReceiptResult:
    if result.HasField("response"):
        return read_receipt(result.response)
    refusal, why = _read_error(result.error)
    # The sidecar refuses an outcome without an id; the hub only did not look whether its decision was a local one.
    return refusal if refusal and _names_decision(request) else _receipt_locally(request, why)


def _read_receipts(batch: v1.BatchRecordOutcomesRequest, reply: v1.BatchRecordOutcomesResponse) -> list[ReceiptResult]:
    if len(reply.results) != len(batch.requests):
        return _receipts_locally(batch, SIDECAR_UNAVAILABLE)
    return list(map(_read_receipt_result, batch.requests, reply.results))


def _names_decision(request: v1.RecordOutcomeRequest) -> bool:
    return bool(request.decision_id or request.request_id)


def _read_error(status: status_pb2.Status) -> tuple[PilotfishError | None, str]:
    refusal, reason = refusal_of_status(status)
    return refusal, reason.lower() or SIDECAR_UNAVAILABLE


SELECT_MODULE: Final = Exchange[v1.SelectModuleRequest, v1.SelectModuleResponse, Decision](
    method=lambda wire: wire.select_module,
    settled=lambda _: None,
    read=lambda _, reply: read_decision(reply),
    locally=local_default,
)
SELECT_MODULES: Final = Exchange[v1.BatchSelectModulesRequest, v1.BatchSelectModulesResponse, list[DecisionResult]](
    method=lambda wire: wire.select_modules,
    settled=lambda batch: None if batch.requests else [],
    read=_read_decisions,
    locally=_decisions_locally,
)
RECORD_OUTCOME: Final = Exchange[v1.RecordOutcomeRequest, v1.RecordOutcomeResponse, Receipt](
    method=lambda wire: wire.record_outcome,
    settled=lambda request: None if _names_decision(request) else _receipt_locally(request, LOCAL_FALLBACK),
    read=lambda _, reply: read_receipt(reply),
    locally=_receipt_locally,
    is_outcome=True,
)
RECORD_OUTCOMES: Final = Exchange[v1.BatchRecordOutcomesRequest, v1.BatchRecordOutcomesResponse, list[ReceiptResult]](
    method=lambda wire: wire.record_outcomes,
    settled=lambda batch: (
        None if any(map(_names_decision, batch.requests)) else _receipts_locally(batch, LOCAL_FALLBACK)
    ),
    read=_read_receipts,
    locally=_receipts_locally,
    is_outcome=True,
)
