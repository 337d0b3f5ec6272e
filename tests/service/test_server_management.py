"""Health and metrics over TCP."""

import urllib.request

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pilotfish.v1 import Module, SelectModuleRequest, Task
from tests.service.running_server import Server, raw, running_server

REQUEST = SelectModuleRequest(task=Task(type="extract"), candidates=[Module(name="a"), Module(name="b")])


def scrape(server: Server) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize(
    "service",
    [
        "startup",
        "liveness",
        "readiness",
        "",
        "pilotfish.v1.DecisionService",
        "pilotfish.v1.OutcomeService",
        "pilotfish.v1.ControlService",
    ],
)
def test_health_is_asked_by_name(server: Server, service: str) -> None:
    assert server.health(service, f"127.0.0.1:{server.health_port}") == "SERVING"


def test_an_unknown_name_is_not_found(server: Server) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        server.health("unknown", f"127.0.0.1:{server.health_port}")

    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_health_port_serves_no_decision(server: Server) -> None:
    call = raw(server.channel(f"127.0.0.1:{server.health_port}"), "pilotfish.v1.DecisionService/SelectModule")

    with pytest.raises(grpc.RpcError) as raised:
        call(REQUEST.SerializeToString(), timeout=5)

    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_bound_to_all_addresses_another_than_loopback_s_usual_one_answers() -> None:
    with running_server(management=True, management__host="0.0.0.0") as server:  # noqa: S104  what a pod needs
        assert server.health("startup", f"127.0.0.2:{server.health_port}") == "SERVING"


def test_each_metric_has_help_and_a_name_of_ours_or_the_process_s(server: Server) -> None:
    families = list(text_string_to_metric_families(scrape(server)))

    assert len(families) > 20
    for family in families:
        assert family.documentation
        assert family.name.startswith(("pilotfish_", "process_"))


def test_there_are_at_most_200_series(server: Server) -> None:
    for i in range(50):
        server.decisions.SelectModule(
            SelectModuleRequest(task=Task(type=f"type{i}"), candidates=[Module(name=f"module{i}")]), timeout=5
        )

    assert sum(len(family.samples) for family in text_string_to_metric_families(scrape(server))) <= 200


def test_a_decision_is_counted_and_timed(server: Server) -> None:
    def figures() -> tuple[float, float, float]:
        samples = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(scrape(server))
            for sample in family.samples
        }
        return (
            samples["pilotfish_decisions_total", "policy"],
            samples.get(("pilotfish_rpc_calls_total", "OK", "SelectModule"), 0.0),
            samples["pilotfish_rpc_duration_seconds_count", "SelectModule"],
        )

    before = figures()
    server.decisions.SelectModule(REQUEST, timeout=5)

    assert [after - earlier for after, earlier in zip(figures(), before, strict=True)] == [1.0, 1.0, 1.0]
