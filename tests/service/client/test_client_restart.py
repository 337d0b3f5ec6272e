"""A sidecar that comes back is found again within 600 ms of serving."""

from time import perf_counter

import pytest

from pilotfish.client import Decision
from tests.service.client.conftest import OpenTwin
from tests.service.client.fake_sidecar import DECISION_ID
from tests.service.client.sidecar_process import SidecarProcess
from tests.service.client.twin import Twin

FOUND_WITHIN_S = 0.6
PATIENCE_S = 10.0


def ask(hub: Twin) -> Decision:
    decision: Decision = hub.select_module("t", candidates=["a", "b"])
    return decision


def until_policy_s(hub: Twin) -> float:
    """Ask without a pause until the sidecar decides; return how long that took."""
    began = perf_counter()
    while ask(hub).source != "policy":
        assert perf_counter() - began < PATIENCE_S
    return perf_counter() - began


def spend_outage(hub: Twin, seconds: float) -> None:
    """Ask through an outage that is long enough for the pauses to have grown to their longest."""
    began = perf_counter()
    while perf_counter() - began < seconds:
        assert ask(hub).is_fallback


@pytest.mark.parametrize("outage_s", [0.05, 0.5, 2.0])
def test_after_a_kill_and_a_restart(open_twin: OpenTwin, sidecar_process: SidecarProcess, outage_s: float) -> None:
    hub = open_twin()
    until_policy_s(hub)
    sidecar_process.kill()
    spend_outage(hub, outage_s)
    sidecar_process.start()
    assert until_policy_s(hub) <= FOUND_WITHIN_S


@pytest.mark.parametrize("outage_s", [0.05, 2.0])
def test_after_it_was_stopped_and_continued(
    open_twin: OpenTwin, sidecar_process: SidecarProcess, outage_s: float
) -> None:
    hub = open_twin()
    until_policy_s(hub)
    sidecar_process.stop()
    spend_outage(hub, outage_s)
    sidecar_process.resume()
    assert until_policy_s(hub) <= FOUND_WITHIN_S


def test_a_hub_that_was_there_first_finds_it_too(open_twin: OpenTwin, socket: str) -> None:
    hub = open_twin()
    spend_outage(hub, 2.0)
    with SidecarProcess(socket):
        assert until_policy_s(hub) <= FOUND_WITHIN_S


def test_an_idle_hub_finds_it_with_its_first_calls(open_twin: OpenTwin, sidecar_process: SidecarProcess) -> None:
    hub = open_twin()
    until_policy_s(hub)
    sidecar_process.kill()
    sidecar_process.start()
    assert until_policy_s(hub) <= FOUND_WITHIN_S


def test_an_outcome_outlives_a_quick_restart(open_twin: OpenTwin, sidecar_process: SidecarProcess) -> None:
    hub = open_twin(outcome_deadline_ms=5000.0)
    until_policy_s(hub)
    sidecar_process.kill()
    sidecar_process.start()
    assert hub.record_outcome(DECISION_ID, quality=1.0).acknowledged
