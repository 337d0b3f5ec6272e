"""How the server starts, refuses to start, stops and comes back."""

import json
import signal
import socket
import stat
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from pilotfish.client import Client
from pilotfish.v1 import ExplainDecisionRequest, Module, SelectModuleRequest, Task
from tests.service.running_server import Server, running_server

REQUEST = SelectModuleRequest(task=Task(type="extract"), candidates=[Module(name="a"), Module(name="b")])


def test_without_arguments_it_serves_where_the_client_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server() as placed:  # only for its short directory
        placed.terminate()
        placed.settings = {}
        placed.data_socket = placed.directory / "run" / "pilotfish" / "pilotfish.sock"
        placed.start()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(placed.directory / "run"))
        monkeypatch.delenv("PILOTFISH_TARGET", raising=False)
        with Client(deadline_ms=5000) as client:
            decision = client.select_module("extract", candidates=["a", "b"])

        assert decision.id
        assert decision.source in {"policy", "baseline"}  # five of a hundred units get the policy
        assert (placed.directory / ".local/state/pilotfish/experience.sqlite3").exists()


def test_the_first_line_says_what_runs_and_how(server: Server) -> None:
    first = json.loads(server.log.splitlines()[0])

    assert first["event"] == "starting"
    assert first["data.socket_path"] == str(server.data_socket)
    assert {"version", "python", "grpcio", "policy.mode"} <= first.keys()


def test_sockets_are_for_user_and_group_only(server: Server) -> None:
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (server.data_socket, server.control_socket)]

    assert modes == [0o660, 0o660]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"state.directory": "other"}, "data.sock is served by process {pid}; stop it or choose another socket"),
        (
            {"data.socket_path": "other/data.sock"},
            "state is in use by process {pid}; stop it or choose another directory",
        ),
    ],
)
def test_a_second_server_on_the_same_paths_refuses(server: Server, changed: dict[str, str], message: str) -> None:
    assert server.process is not None
    placed = {name: str(server.directory / path) for name, path in changed.items()}

    refused = server.refused_start({**placed, "management.health_port": "0", "management.metrics_port": "0"})

    assert refused.returncode == 69
    assert refused.stderr.strip().endswith(message.format(pid=server.process.pid))
    assert server.health("") == "SERVING"
    assert server.decisions.SelectModule(REQUEST, timeout=5).decision.module in {"a", "b"}


def test_a_management_port_in_use_stops_a_start_that_asked_for_it(server: Server) -> None:
    refused = server.refused_start(
        {"state.directory": str(server.directory / "s2"), "data.socket_path": str(server.directory / "d2/data.sock")}
    )

    assert refused.returncode == 69
    assert f"management.health_port == {server.health_port}: 127.0.0.1:{server.health_port} cannot" in refused.stderr
    assert not (server.directory / "d2/data.sock").exists()


def test_wrong_settings_are_all_named_and_nothing_is_opened(server: Server) -> None:
    refused = server.refused_start(
        {
            "state.directory": str(server.directory / "s3"),
            "data.socket_mode": "9",
            "server.thread_count": "0",
            "policy.explorer": "{kind: bogus}",
            "policy.modes": "on",
        }
    )

    assert refused.returncode == 64
    assert refused.stdout == ""
    for name in ("data.socket_mode", "server.thread_count", "policy.explorer", "PILOTFISH_POLICY__MODES"):
        assert name in refused.stderr
    assert not (server.directory / "s3").exists()


def test_a_file_in_the_socket_s_place_is_not_deleted(server: Server) -> None:
    precious = server.directory / "precious.txt"
    precious.write_text("keep")

    refused = server.refused_start(
        {
            "data.socket_path": str(precious),
            "control.socket_path": str(server.directory / "c4.sock"),
            "state.directory": str(server.directory / "s4"),
        }
    )

    assert refused.returncode == 69
    assert "not a socket" in refused.stderr
    assert precious.read_text() == "keep"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_drains_and_exits_with_0(number: int) -> None:
    with running_server() as server:
        server.decisions.SelectModule(REQUEST, timeout=5)

        code = server.terminate(number)

        assert code == 0
        events = [json.loads(line)["event"] for line in server.log.splitlines()]
        assert events == ["starting", "ready", "draining", "stopped"]
        assert not server.data_socket.exists()
        assert server.errors == ""


def test_a_stop_under_load_answers_or_refuses_each_call_and_loses_none() -> None:
    with running_server() as server, ThreadPoolExecutor(5) as pool:
        stub = server.decisions

        def ask_until_refused(_: int) -> tuple[list[str], grpc.StatusCode]:
            answered: list[str] = []
            while True:
                try:
                    answered.append(stub.SelectModule(REQUEST, timeout=5).decision.decision_id)
                except grpc.RpcError as error:
                    return answered, error.code()

        asking = [pool.submit(ask_until_refused, each) for each in range(4)]
        while stub.SelectModule(REQUEST, timeout=5).decision.decision_id < f"{100:012x}":
            pass  # until a hundred decisions show that all are under way
        code = server.terminate()
        results = [each.result(timeout=30) for each in asking]
        server.start()

        assert code == 0
        assert {code for _, code in results} == {grpc.StatusCode.UNAVAILABLE}
        for decision_id in (decision_id for answered, _ in results for decision_id in answered):
            server.control.ExplainDecision(ExplainDecisionRequest(decision_id=decision_id), timeout=5)


def test_after_kill_9_it_starts_over_the_stale_socket_with_all_it_had_answered() -> None:
    with running_server() as server:
        ids = [server.decisions.SelectModule(REQUEST, timeout=5).decision.decision_id for _ in range(20)]
        server.kill()
        assert server.data_socket.exists()

        server.restart()

        for decision_id in ids:
            explained = server.control.ExplainDecision(ExplainDecisionRequest(decision_id=decision_id), timeout=5)
            assert explained.decision.decision_id == decision_id


def test_with_default_ports_taken_it_serves_without_them() -> None:
    taken = []
    for port in (9901, 9902):
        try:
            taken.append(socket.create_server(("127.0.0.1", port)))
        except OSError:  # somebody else has taken it already, which serves as well
            continue
    try:
        with running_server() as server:
            server.terminate()
            for name in ("management.health_port", "management.metrics_port"):
                del server.settings[name]
            server.start()

            warnings = [
                line["event"] for line in map(json.loads, server.log.splitlines()) if line["level"] == "warning"
            ]
            assert [warning.split(":")[0] for warning in warnings] == ["no health port", "no metrics port"]
    finally:
        for each in taken:
            each.close()
