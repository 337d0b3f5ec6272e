"""The command line against a running server."""

import json
import re
from collections.abc import Iterator

import pytest

from pilotfish.v1 import Module, RecordOutcomeRequest, SelectModuleRequest, Signal, SignalValue, Task
from tests.service.running_server import Server, running_server

MODULES = """
modules:
  - name: marker
    capabilities: [extract_pdf]
    features: {pages_per_second: 2.5, vendor: acme, gpu: true, embedding: [0.1, 0.2]}
  - {name: pypdf, max_data_size_bytes: 1000}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


def test_info_as_json_is_the_contract_s_message(server: Server) -> None:
    printed = json.loads(server.command("info", "--json").stdout)

    assert printed["mode"] == "MODE_ROLLOUT"
    assert len(printed["state_sha256"]) == 64


def test_info_as_text_names_the_mode(server: Server) -> None:
    assert re.search(r"^mode +rollout", server.command("info").stdout, re.MULTILINE)


def test_the_mode_that_was_set_is_shown_and_survives_a_restart() -> None:
    with running_server() as server:
        said = server.command("mode", "set", "rollout", "--share", "0.2", "--actor", "ops", "--reason", "trial")
        server.restart()

        assert said.stdout == "rollout 0.2\n"
        assert server.command("mode", "show").stdout == "rollout 0.2\n"


def test_a_refused_call_prints_the_server_s_message_and_fails(server: Server) -> None:
    refused = server.command("mode", "set", "off", "--share", "0.2")

    assert refused.returncode == 1
    assert "rollout_share" in refused.stderr


def test_registered_modules_are_listed(server: Server) -> None:
    file = server.directory / "modules.yaml"
    file.write_text(MODULES)

    said = server.command("modules", "register", str(file))
    listed = json.loads(server.command("modules", "list", "--json").stdout)["modules"]

    assert said.stdout == "2 registered, 2 in the registry\n"
    assert [module["name"] for module in listed] == ["marker", "pypdf"]
    assert listed[0]["features"]["labels"] == {"vendor": "acme"}
    assert listed[1]["max_data_size_bytes"] == "1000"


def test_a_wrong_modules_file_is_refused_by_entry(server: Server) -> None:
    file = server.directory / "wrong.yaml"
    file.write_text("modules: [{name: a, colour: red}]")

    refused = server.command("modules", "register", str(file))

    assert refused.returncode == 1
    assert "modules[0] has unknown keys colour" in refused.stderr


def test_explain_shows_the_ranking_and_the_signals(server: Server) -> None:
    request = SelectModuleRequest(task=Task(type="t"), candidates=[Module(name="a"), Module(name="b")])
    decision = server.decisions.SelectModule(request, timeout=5).decision
    signals = [SignalValue(signal=Signal.SIGNAL_LATENCY_MS, value=12.5)]
    server.outcomes.RecordOutcome(RecordOutcomeRequest(decision_id=decision.decision_id, signals=signals), timeout=5)

    text = server.command("explain", decision.decision_id).stdout

    assert f"{decision.module} *" in text
    assert re.search(r"^latency_ms +12.5$", text, re.MULTILINE)
    assert re.search(rf"^{decision.module} \*: [0-9.]+ ± [0-9.]+; [0-9.]+ at the decision$", text, re.MULTILINE)
    assert re.search(r"^  \+0\.[0-9]{4}  \+{24}  shared:bias$", text, re.MULTILINE), text


def test_explaining_an_unknown_decision_fails_with_the_reason(server: Server) -> None:
    refused = server.command("explain", "f" * 32)

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"pilotfish: decision_id == {'f' * 32}, must be")


@pytest.mark.parametrize(("service", "code"), [("", 0), ("liveness", 0), ("unknown", 1)])
def test_health_answers_by_its_exit_code(server: Server, service: str, code: int) -> None:
    assert server.command("health", "--service", service).returncode == code


def test_without_a_sidecar_a_command_says_how_to_get_one(server: Server) -> None:
    missing = server.directory / "nowhere.sock"

    failed = server.command("info", "--socket", str(missing))

    assert failed.returncode == 69
    assert failed.stderr == (
        f"pilotfish: {missing}: there is no such socket; start a sidecar with `pilotfish serve`, or name its socket "
        "with --socket\n"
    )


def test_config_show_says_where_each_value_came_from(server: Server) -> None:
    shown = server.command("config", "show", "--origin").stdout.splitlines()

    assert f'data.socket_path = "{server.data_socket}"  # environment PILOTFISH_DATA__SOCKET_PATH' in shown
    assert 'policy.mode = "rollout"  # default' in shown


@pytest.mark.parametrize(("content", "code"), [("policy: {mode: off}", 0), ("policy: {mod: off}", 1)])
def test_config_check_answers_by_its_exit_code(server: Server, content: str, code: int) -> None:
    file = server.directory / "pilotfish.yaml"
    file.write_text(content)

    assert server.command("config", "check", str(file)).returncode == code
