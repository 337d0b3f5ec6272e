"""What the data and control sockets answer, on both back ends."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from pilotfish.v1 import (
    BatchSelectModulesRequest,
    GetInfoRequest,
    Module,
    RecordOutcomeRequest,
    SelectModuleRequest,
    Signal,
    SignalValue,
    Task,
)
from tests.service.running_server import Server, free_ports, raw, running_server

REQUEST = SelectModuleRequest(task=Task(type="extract"), candidates=[Module(name="a"), Module(name="b")])


@pytest.fixture(scope="module", params=["inline", "threads"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running_server(server__backend=request.param) as running:
        yield running


def test_a_decision_and_its_outcome_are_answered(server: Server) -> None:
    decision = server.decisions.SelectModule(REQUEST, timeout=5).decision
    outcome = RecordOutcomeRequest(
        decision_id=decision.decision_id, signals=[SignalValue(signal=Signal.SIGNAL_COMPLETION, value=1.0)]
    )

    receipt = server.outcomes.RecordOutcome(outcome, timeout=5)

    assert decision.module in {"a", "b"}
    assert (receipt.recorded_count, receipt.joined) == (1, True)


def test_a_batch_is_answered_in_order(server: Server) -> None:
    requests = [SelectModuleRequest(task=Task(type="t"), candidates=[Module(name=f"m{i}")]) for i in range(256)]

    response = server.decisions.BatchSelectModules(BatchSelectModulesRequest(requests=requests), timeout=10)

    assert [each.response.decision.module for each in response.results] == [f"m{i}" for i in range(256)]


def test_many_callers_at_once_are_all_answered(server: Server) -> None:
    stub = server.decisions
    with ThreadPoolExecutor(16) as pool:
        ids = set(pool.map(lambda _: stub.SelectModule(REQUEST, timeout=20).decision.decision_id, range(500)))

    assert len(ids) == 500


def test_control_methods_are_not_on_the_data_socket(server: Server) -> None:
    call = raw(server.channel(), "pilotfish.v1.ControlService/GetInfo")

    with pytest.raises(grpc.RpcError) as raised:
        call(b"", timeout=5)

    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("content", "code", "reason"),
    [
        (b"\xff\xff\xff", grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE"),
        (bytes(2**20 + 1), grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE"),
        (b"", grpc.StatusCode.INVALID_ARGUMENT, "FIELD_REQUIRED"),
    ],
)
def test_bad_bytes_are_refused_with_our_reason(
    server: Server, content: bytes, code: grpc.StatusCode, reason: str
) -> None:
    call = raw(server.channel(), "pilotfish.v1.DecisionService/SelectModule")

    with pytest.raises(grpc.RpcError) as raised:
        call(content, timeout=5)

    assert raised.value.code() is code
    assert reason_of(raised.value) == reason


def reason_of(error: grpc.RpcError) -> str:
    (status,) = [each.value for each in error.trailing_metadata() if each.key == "grpc-status-details-bin"]
    assert isinstance(status, bytes)
    detail = error_details_pb2.ErrorInfo()
    status_pb2.Status.FromString(status).details[0].Unpack(detail)
    return str(detail.reason)


def test_decisions_go_on_while_streams_are_open(server: Server) -> None:
    # Run inline, a stream that waits for its caller would hold up every call after it.
    watch_call: grpc.UnaryStreamMultiCallable[HealthCheckRequest, HealthCheckResponse] = server.channel().unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    watches = [watch_call(HealthCheckRequest(), timeout=30) for _ in range(3)]
    first = [next(watch).status for watch in watches]

    decision = server.decisions.SelectModule(REQUEST, timeout=5).decision

    assert first == [HealthCheckResponse.SERVING] * 3
    assert decision.module in {"a", "b"}
    for watch in watches:
        watch.cancel()


def test_reflection_lists_what_each_socket_serves(server: Server) -> None:
    def services(target: str) -> set[str]:
        requests = iter([ServerReflectionRequest(list_services="")])
        call: grpc.StreamStreamMultiCallable[ServerReflectionRequest, ServerReflectionResponse]
        call = server.channel(target).stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            request_serializer=ServerReflectionRequest.SerializeToString,
            response_deserializer=ServerReflectionResponse.FromString,
        )
        answers = call(requests, timeout=10)
        return {each.name for each in next(answers).list_services_response.service}

    standard = {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}

    assert services("") == standard | {"pilotfish.v1.DecisionService", "pilotfish.v1.OutcomeService"}
    assert services(f"unix:{server.control_socket}") == standard | {"pilotfish.v1.ControlService"}


def test_loopback_tcp_serves_as_well() -> None:
    (port,) = free_ports(1)
    with running_server(data__tcp_address=f"127.0.0.1:{port}") as server:
        assert server.health("pilotfish.v1.DecisionService", f"127.0.0.1:{port}") == "SERVING"


def test_requests_are_logged_by_method_and_code_if_asked_for() -> None:
    with running_server(logging__log_requests="true") as server:
        server.decisions.SelectModule(REQUEST, timeout=5)
        server.control.GetInfo(GetInfoRequest(), timeout=5)
        server.terminate()

        assert "SelectModule OK" in server.log
        assert "extract" not in server.log


def test_serving_imports_no_numerical_library() -> None:
    heavy = "numpy", "scipy", "pandas", "pyarrow", "matplotlib"
    program = (
        f"import sys, pilotfish.cli.serve, pilotfish.server.__main__; print(sorted(set({heavy}) & set(sys.modules)))"
    )

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert found.stdout.strip() == "[]"
