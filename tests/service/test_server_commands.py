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


def test_top_prints_traffic_the_rollout_breakers_and_budgets() -> None:
    settings = {
        "policy__rollout_share": "0.5",
        "safety__breakers": "{open_s: 60}",
        "safety__budgets": '{modules: {"*": {calls_per_minute: 600}}}',
    }
    with running_server(management=True, **settings) as server:
        for i in range(40):
            request = SelectModuleRequest(
                task=Task(type="t"),
                candidates=[Module(name="well"), Module(name="dead")],
                unit_id=f"u{i}",
                baseline_module="dead",
            )
            decision = server.decisions.SelectModule(request, timeout=5).decision
            outcome = RecordOutcomeRequest(decision_id=decision.decision_id)
            outcome.signals.add(signal=Signal.SIGNAL_COMPLETION, value=float(decision.module == "well"))
            server.outcomes.RecordOutcome(outcome, timeout=5)

        said = server.command("top", "--once", "--interval", "0.1")
        status = server.command("rollout", "status").stdout

    assert (said.returncode, said.stderr) == (0, "")
    for pattern in (
        r"decisions/s +0\.0",
        r"policy +0\.0/s +[0-9]+ since start",
        r"in force +rollout 0\.5",
        r"verdict +hold",
        r"completion: [0-9]+ of 200 outcomes",
        r"dead +open +[0-9]+% +[0-9]+ +[0-9.]+ s +1",
        r"well +calls_per_minute +[0-9]+ +600",
    ):
        assert re.search(pattern, said.stdout), pattern + said.stdout
    assert re.search(r"^dead +open ", status, re.MULTILINE)


def test_the_rollout_is_steered_from_the_command_line() -> None:
    with running_server(policy__rollout_share="0.05") as server:

        def say(*arguments: str) -> str:
            return server.command(*arguments).stdout.rstrip()

        refused = server.command("rollout", "promote", "--actor", "ops")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith("pilotfish: promotion to 0.1 must wait: no data")
        assert say("rollout", "promote", "--force", "--share", "0.5", "--actor", "ops", "--reason", "trial") == (
            "rollout 0.5"
        )
        version = say("models", "keep", "--note", "as it is", "--actor", "ops")
        assert version[:16] in say("models", "list")
        assert say("rollout", "rollback", "--to", version[:8]) == f"rollout 0.5, policy {version[:12]}, held"
        assert say("rollout", "resume") == f"rollout 0.5, policy {version[:12]}"
        assert say("rollout", "rollback") == f"rollout 0, policy {version[:12]}, held"
        changes = json.loads(say("rollout", "changes", "--json"))["changes"]
        assert [change["action"] for change in changes] == ["rollback", "resume", "rollback", "promote"]
        assert (changes[-1]["actor"], changes[-1]["reason"]) == ("ops", "trial (forced)")


def test_config_show_names_the_origins_of_safety_and_rollout(server: Server) -> None:
    settings = {"safety.breakers": "{open_s: 3}", "rollout.guardrails": "{reward: 0.01}"}

    shown = server.command("config", "show", "--origin", settings=settings).stdout.splitlines()

    assert 'rollout.guardrails = {"reward":0.01}  # environment PILOTFISH_ROLLOUT__GUARDRAILS' in shown
    assert "rollout.stages = [0.05,0.1,0.25,0.5,1.0]  # default" in shown
    assert "safety.rules = {}  # default" in shown
    (breakers,) = (line for line in shown if line.startswith("safety.breakers"))
    assert '"open_s":3.0' in breakers
    assert breakers.endswith("# environment PILOTFISH_SAFETY__BREAKERS")
