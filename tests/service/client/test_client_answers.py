"""What a hub gets from a sidecar that answers: decisions, receipts, refusals."""

from collections.abc import Callable

import grpc
import pytest

from pilotfish.client import Decision, Module, Receipt, outcome_request, select_request
from pilotfish.exceptions import ConflictError, InvalidInputError, NotFoundError, PilotfishError, StateError
from tests.service.client.conftest import OpenTwin
from tests.service.client.fake_sidecar import DECISION_ID, MODEL_VERSION, FakeSidecar, status
from tests.service.client.twin import Twin

PATIENT_MS = 5000.0  # these tests are about what is said, not how fast


@pytest.fixture
def hub(open_twin: OpenTwin, sidecar: FakeSidecar) -> Twin:
    del sidecar
    return open_twin(deadline_ms=PATIENT_MS, outcome_deadline_ms=PATIENT_MS)


def test_a_decision_is_the_sidecars(hub: Twin) -> None:
    decision = hub.select_module("extract_pdf", candidates=["marker", Module("pypdf")], features={"pages": 12})
    assert decision == Decision(DECISION_ID, "pypdf", 0.5, "policy", (), MODEL_VERSION)


def test_an_explanation_comes_if_asked_for(hub: Twin) -> None:
    assert hub.select_module("t", candidates=["a", "b"]).explanation is None
    assert hub.select_module("t", candidates=["a", "b"], explain=True).explanation.baseline_module == "a"


def test_a_request_arrives_as_it_was_built(hub: Twin, sidecar: FakeSidecar) -> None:
    request = select_request("t", candidates=["a", "b"], features={"pages": 3.0, "scan": True}, unit_id="u")
    hub.select(request)
    assert sidecar.decision_requests == [request]


def test_an_outcome_is_acknowledged(hub: Twin, sidecar: FakeSidecar) -> None:
    decision = hub.select_module("t", candidates=["a"])
    receipt = hub.record_outcome(decision, completion=1.0, latency_ms=840, served_module="a")
    assert receipt == Receipt(acknowledged=True, recorded_count=2, joined=True)
    assert sidecar.outcome_requests == [outcome_request(DECISION_ID, completion=1.0, latency_ms=840, served_module="a")]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidInputError),
        (grpc.StatusCode.FAILED_PRECONDITION, StateError),
        (grpc.StatusCode.ALREADY_EXISTS, ConflictError),
        (grpc.StatusCode.NOT_FOUND, NotFoundError),
    ],
)
def test_a_refusal_is_raised_with_its_reason(
    hub: Twin, sidecar: FakeSidecar, code: grpc.StatusCode, kind: type[PilotfishError]
) -> None:
    sidecar.statuses.extend(
        [status(code, "SOME_REASON", "what, must be"), status(code, "SOME_REASON", "what, must be")]
    )
    calls: list[Callable[[], object]] = [
        lambda: hub.select_module("t", candidates=["a"]),
        lambda: hub.record_outcome(DECISION_ID, quality=1.0),
    ]
    for call in calls:
        with pytest.raises(kind, match="what, must be") as raised:
            call()
        assert type(raised.value) is kind
        assert (raised.value.reason, raised.value.metadata) == ("SOME_REASON", {"rule": "a rule"})


def test_refusals_do_not_open_the_circuit(hub: Twin, sidecar: FakeSidecar) -> None:
    sidecar.statuses.extend([status(grpc.StatusCode.INVALID_ARGUMENT, "SOME_REASON")] * 20)
    for _ in range(20):
        with pytest.raises(InvalidInputError):
            hub.select_module("t", candidates=["a"])
    assert hub.select_module("t", candidates=["a"]).source == "policy"


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED])
def test_a_broken_sidecar_means_the_local_default(hub: Twin, sidecar: FakeSidecar, code: grpc.StatusCode) -> None:
    sidecar.statuses.extend([status(code, "INTERNAL"), status(code)])
    decision = hub.select_module("t", candidates=["a", "b"])
    assert (decision.module, decision.reasons) == ("a", ("sidecar_unavailable",))
    assert hub.record_outcome(DECISION_ID, quality=1.0) == Receipt(acknowledged=False, reason="sidecar_unavailable")


def test_an_illegal_status_from_a_stranger_means_the_local_default(hub: Twin, sidecar: FakeSidecar) -> None:
    sidecar.statuses.append(status(grpc.StatusCode.INVALID_ARGUMENT))
    assert hub.select_module("t", candidates=["a", "b"]).is_fallback


def test_a_message_that_is_too_large_is_refused_before_it_is_sent(hub: Twin, sidecar: FakeSidecar) -> None:
    with pytest.raises(InvalidInputError, match="must have at most 1048576") as raised:
        hub.select_module("t", candidates=["a"], description="x" * (1 << 20))
    assert raised.value.reason == "MESSAGE_TOO_LARGE"
    assert sidecar.decision_requests == []


def test_one_bad_request_of_a_batch_does_not_spoil_the_others(hub: Twin) -> None:
    results = hub.select_modules(
        [
            select_request("t", candidates=["a", "b"]),
            select_request("t", candidates=["a", "b"], request_id="bad"),
            select_request("t", candidates=["a", "b"], request_id="draining"),
            select_request("t", candidates=["a"], request_id="draining", denied_modules=["a"]),
        ]
    )
    assert results[0] == Decision(DECISION_ID, "b", 0.5, "policy", (), MODEL_VERSION)
    assert isinstance(results[1], InvalidInputError)
    assert str(results[1]) == "task.priority == 11, must be 0 to 10"
    assert (results[2].module, results[2].reasons) == ("a", ("sidecar_unavailable",))
    assert isinstance(results[3], StateError)
    assert results[3].reason == "NO_LEGAL_MODULE"


def test_one_bad_outcome_of_a_batch_does_not_spoil_the_others(hub: Twin) -> None:
    local = Decision("", "a", 1.0, "fallback", ("circuit_open",))
    results = hub.record_outcomes(
        [outcome_request(decision, quality=1.0) for decision in (DECISION_ID, "bad", "draining", local)]
    )
    assert results[0] == Receipt(acknowledged=True, recorded_count=1, joined=True)
    assert isinstance(results[1], InvalidInputError)
    assert results[2] == Receipt(acknowledged=False, reason="draining")
    assert results[3] == Receipt(acknowledged=False, reason="local_fallback")


def test_an_empty_batch_has_no_results(hub: Twin) -> None:
    assert hub.select_modules([]) == []
    assert hub.record_outcomes([]) == []


def test_a_refused_batch_is_raised(hub: Twin, sidecar: FakeSidecar) -> None:
    sidecar.statuses.append(status(grpc.StatusCode.INVALID_ARGUMENT, "COUNT_OUT_OF_RANGE"))
    with pytest.raises(InvalidInputError) as raised:
        hub.select_modules([select_request("t", candidates=["a"])])
    assert raised.value.reason == "COUNT_OUT_OF_RANGE"


@pytest.mark.parametrize("deadline_ms", [0.0, -1.0, float("nan"), float("inf")])
def test_a_deadline_that_is_none_is_refused(hub: Twin, deadline_ms: float) -> None:
    with pytest.raises(InvalidInputError, match="must be a number of milliseconds above 0"):
        hub.select_module("t", candidates=["a"], deadline_ms=deadline_ms)
