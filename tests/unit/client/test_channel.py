"""Settings that keep a sidecar's answers quick and its restarts short."""

import json

import pytest

from pilotfish.client.channel import channel_options, rpc_timeout_s
from pilotfish.client.circuit import CircuitSettings


def service_config() -> str:
    return str(dict(channel_options("unix:/a"))["grpc.service_config"])


def test_no_timeout_stands_in_the_service_config() -> None:
    assert '"timeout"' not in service_config()


def test_only_unavailable_is_retried() -> None:
    methods = json.loads(service_config())["methodConfig"]
    assert [method["retryPolicy"]["retryableStatusCodes"] for method in methods] == [["UNAVAILABLE"]] * 2


@pytest.mark.parametrize(("service", "deadline_ms"), [("DecisionService", 20.0), ("OutcomeService", 1000.0)])
def test_all_waits_between_attempts_fit_into_half_the_deadline(service: str, deadline_ms: float) -> None:
    methods = json.loads(service_config())["methodConfig"]
    policy = next(m["retryPolicy"] for m in methods if m["name"] == [{"service": f"pilotfish.v1.{service}"}])
    first_ms, longest_ms = (float(policy[key].removesuffix("s")) * 1e3 for key in ("initialBackoff", "maxBackoff"))
    waits = [min(first_ms * 2**attempt, longest_ms) for attempt in range(policy["maxAttempts"] - 1)]
    assert 1.2 * sum(waits) <= deadline_ms / 2  # gRPC draws each wait up to a fifth longer


def test_a_restarted_sidecar_is_found_within_600_ms_by_arithmetic() -> None:
    options = dict(channel_options("unix:/a"))
    longest_reconnect_ms = 1.2 * float(options["grpc.max_reconnect_backoff_ms"])
    longest_pause_ms = CircuitSettings().max_pause_ms
    assert longest_reconnect_ms + longest_pause_ms * 1.5 <= 500.0  # and 100 ms for the machine


def test_the_authority_is_a_name_that_strict_servers_take() -> None:
    assert dict(channel_options("unix:/a"))["grpc.default_authority"] == "localhost"


def test_a_socket_is_not_pinged_and_a_host_is() -> None:
    assert "grpc.keepalive_time_ms" not in dict(channel_options("unix:/a"))
    assert dict(channel_options("localhost:1"))["grpc.keepalive_time_ms"] == 30_000


@pytest.mark.parametrize(
    ("deadline_ms", "spent_s", "timeout_s"),
    [(20.0, 0.0, 0.015), (20.0, 0.004, 0.011), (1000.0, 0.0, 0.995), (8.0, 0.0, 0.006), (20.0, 0.5, 0.0)],
)
def test_grpc_gets_the_deadline_less_a_margin_and_what_is_spent(
    deadline_ms: float, spent_s: float, timeout_s: float
) -> None:
    assert rpc_timeout_s(deadline_ms, spent_s) == pytest.approx(timeout_s)
