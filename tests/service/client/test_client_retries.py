"""What is asked again, and what is not."""

import grpc
import pytest

from pilotfish.client import Receipt
from pilotfish.client.circuit import CircuitSettings
from pilotfish.exceptions import StateError
from tests.service.client.conftest import OpenTwin
from tests.service.client.fake_sidecar import DECISION_ID, FakeSidecar, status

UNAVAILABLE = status(grpc.StatusCode.UNAVAILABLE, "DRAINING")


def test_a_decision_is_asked_three_times_while_unavailable(open_twin: OpenTwin, sidecar: FakeSidecar) -> None:
    sidecar.statuses.extend([UNAVAILABLE, UNAVAILABLE])
    decision = open_twin(deadline_ms=5000.0).select_module("t", candidates=["a", "b"])
    assert decision.source == "policy"
    assert len(sidecar.decision_requests) == 3


def test_every_attempt_carries_the_same_request_id(open_twin: OpenTwin, sidecar: FakeSidecar) -> None:
    sidecar.statuses.extend([UNAVAILABLE, UNAVAILABLE])
    open_twin(deadline_ms=5000.0).select_module("t", candidates=["a", "b"])
    assert len({request.request_id for request in sidecar.decision_requests}) == 1


def test_after_the_last_attempt_the_local_default_stands_in(open_twin: OpenTwin, sidecar: FakeSidecar) -> None:
    sidecar.statuses.extend([UNAVAILABLE] * 3)
    decision = open_twin(deadline_ms=5000.0).select_module("t", candidates=["a", "b"])
    assert (decision.module, decision.reasons) == ("a", ("sidecar_unavailable",))
    assert len(sidecar.decision_requests) == 3


def test_an_outcome_is_sent_four_times_while_unavailable(open_twin: OpenTwin, sidecar: FakeSidecar) -> None:
    hub = open_twin(outcome_deadline_ms=5000.0)
    sidecar.statuses.extend([UNAVAILABLE] * 3)
    assert hub.record_outcome(DECISION_ID, quality=1.0).acknowledged
    sidecar.statuses.extend([UNAVAILABLE] * 4)
    assert hub.record_outcome(DECISION_ID, quality=1.0) == Receipt(acknowledged=False, reason="draining")
    assert len(sidecar.outcome_requests) == 8


@pytest.mark.parametrize(
    "code",
    [
        code
        for code in grpc.StatusCode
        if code not in {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    ],
)
def test_nothing_else_is_asked_again(open_twin: OpenTwin, sidecar: FakeSidecar, code: grpc.StatusCode) -> None:
    hub = open_twin(deadline_ms=5000.0)
    sidecar.statuses.extend([status(code)] * 2)
    assert hub.select_module("t", candidates=["a", "b"]).is_fallback
    assert not hub.record_outcome(DECISION_ID, quality=1.0).acknowledged
    assert (len(sidecar.decision_requests), len(sidecar.outcome_requests)) == (1, 1)


def test_a_broken_log_does_not_keep_the_hub_from_decisions(open_twin: OpenTwin, sidecar: FakeSidecar) -> None:
    hub = open_twin(
        deadline_ms=5000.0, circuit=CircuitSettings(failure_threshold=1, first_pause_ms=6e4, max_pause_ms=6e4)
    )
    sidecar.statuses.append(status(grpc.StatusCode.INTERNAL, "INTERNAL"))
    assert hub.record_outcome(DECISION_ID, quality=1.0).reason == "internal"
    assert hub.record_outcome(DECISION_ID, quality=1.0).reason == "circuit_open"
    assert hub.select_module("t", candidates=["a", "b"]).source == "policy"


def test_a_hub_that_asks_for_it_is_told_by_an_exception(open_twin: OpenTwin, sidecar: FakeSidecar) -> None:
    settings = CircuitSettings(failure_threshold=1, first_pause_ms=6e4, max_pause_ms=6e4)
    hub = open_twin(deadline_ms=5000.0, raise_on_fallback=True, circuit=settings)
    sidecar.statuses.append(status(grpc.StatusCode.INTERNAL))
    for reason in ("SIDECAR_UNAVAILABLE", "CIRCUIT_OPEN"):
        with pytest.raises(StateError, match="no answer from the sidecar") as raised:
            hub.select_module("t", candidates=["a", "b"])
        assert raised.value.reason == reason
