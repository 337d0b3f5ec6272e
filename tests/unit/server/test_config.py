"""Settings: which source wins, and that every fault is named at once."""

from pathlib import Path

import msgspec
import pytest

from pilotfish.codes import Signal
from pilotfish.engine.engine import EngineSettings
from pilotfish.safety.breakers import BreakerSettings
from pilotfish.server.app import engine_settings
from pilotfish.server.config import (
    FIELDS,
    Configuration,
    ConfigurationError,
    flag_name,
    load,
    reward_function,
    variable_name,
)
from pilotfish.server.descriptions import descriptions
from pilotfish.server.settings import Settings


def faults(
    flags: dict[str, str] | None = None, environ: dict[str, str] | None = None, file: Path | None = None
) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as raised:
        load(flags, environ or {}, file)
    return raised.value.faults


def written(tmp_path: Path, content: str) -> Path:
    file = tmp_path / "pilotfish.yaml"
    file.write_text(content)
    return file


def test_without_any_source_every_setting_is_the_default() -> None:
    configuration = load({}, {})

    assert configuration.settings == Settings()
    assert set(configuration.origins.values()) == {"default"}


def test_the_default_policy_is_the_engine_s() -> None:
    assert engine_settings(Settings()) == EngineSettings()


def test_every_setting_is_described() -> None:
    assert descriptions().keys() == FIELDS.keys()
    assert all(descriptions().values())


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "server: {thread_count: 1, max_concurrent: 1, drain_grace_s: 1}")
    environ = {"PILOTFISH_SERVER__THREAD_COUNT": "2", "PILOTFISH_SERVER__MAX_CONCURRENT": "2"}

    configuration = load({"server.thread_count": "3"}, environ, file)

    server = configuration.settings.server
    names = ("server.thread_count", "server.max_concurrent", "server.drain_grace_s")
    assert (server.thread_count, server.max_concurrent, server.drain_grace_s) == (3, 2, 1.0)
    assert [configuration.origins[name] for name in names] == [
        "flag --server-thread-count",
        "environment PILOTFISH_SERVER__MAX_CONCURRENT",
        f"file {file}",
    ]


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "policy: {mode: shadow}")

    assert load({}, {"PILOTFISH_CONFIG": str(file)}).settings.policy.mode == "shadow"


def test_the_control_socket_is_beside_the_data_socket_unless_set() -> None:
    beside = load({"data.socket_path": "/run/p/data.sock"}, {})
    apart = load({"data.socket_path": "/run/p/data.sock", "control.socket_path": "/run/q/c.sock"}, {})

    assert beside.settings.control.socket_path == Path("/run/p/control.sock")
    assert apart.settings.control.socket_path == Path("/run/q/c.sock")


@pytest.mark.parametrize("mode", ["off", "shadow", "rollout", "on"])
def test_yaml_s_on_and_off_are_modes_and_no_booleans(tmp_path: Path, mode: str) -> None:
    assert load({}, {}, written(tmp_path, f"policy: {{mode: {mode}}}")).settings.policy.mode == mode


def test_an_octal_mode_in_yaml_is_taken_as_written(tmp_path: Path) -> None:
    assert load({}, {}, written(tmp_path, "data: {socket_mode: 0600}")).settings.data.socket_mode == "0600"


def test_mappings_are_yaml_in_flags_and_environment() -> None:
    environ = {"PILOTFISH_REWARDS__WEIGHTS": "{quality: 2, cost_usd: 1e-1}"}

    settings = load({"policy.explorer": '{"kind": "uniform", "floor": 0}'}, environ).settings

    assert settings.policy.explorer == {"kind": "uniform", "floor": 0}
    assert reward_function(settings).weights[Signal.QUALITY - 1] == 2.0
    assert reward_function(settings).weights[Signal.COST_USD - 1] == 0.1
    assert reward_function(settings).weights[Signal.COMPLETION - 1] == 0.0


def test_windows_defaults_and_half_values_come_from_any_source(tmp_path: Path) -> None:
    file = written(
        tmp_path, "rewards: {windows_s: {quality: 60}, defaults: {completion: 1}, half_values: {cost_usd: 2}}"
    )
    environ = {"PILOTFISH_REWARDS__DEFAULTS": "{completion: 0}"}

    rewards = reward_function(load({"rewards.half_values": "{latency_ms: 5e3}"}, environ, file).settings)

    assert rewards.windows_s[Signal.QUALITY] == 60.0
    assert rewards.windows_s[Signal.COMPLETION] == 600.0
    assert rewards.defaults == {Signal.COMPLETION: 0.0}
    assert (rewards.half_value(Signal.LATENCY_MS), rewards.half_value(Signal.COST_USD)) == (5000.0, 0.01)


def test_every_fault_of_every_source_is_named_at_once(tmp_path: Path) -> None:
    file = written(
        tmp_path, "data: {soket_path: /x, tcp_address: '0.0.0.0:1'}\nservr: {}\nrewards: {weights: {quality: -1}}"
    )
    environ = {"PILOTFISH_MANAGEMENT__HEALTH_PORT": "99999", "PILOTFISH_POLICY_MODE": "on"}

    named = faults({"server.backend": "fibres", "server.drain_grace_s": "soon"}, environ, file)

    assert named == (
        f"data.soket_path (file {file}), must be a known setting; nearest valid name: data.socket_path",
        f"servr (file {file}), must be a known section; nearest valid name: server",
        "PILOTFISH_POLICY_MODE (environment), must be a known setting; nearest valid name: PILOTFISH_POLICY__MODE",
        "management.health_port == '99999' (environment PILOTFISH_MANAGEMENT__HEALTH_PORT), must be `int` <= 65535",
        "server.backend == 'fibres' (flag --server-backend), must be one of inline, threads",
        "server.drain_grace_s == 'soon' (flag --server-drain-grace-s), must be `float`, got `str`",
        f"rewards.weights == {{'quality': -1}} (file {file}), must be `float` >= 0.0 - at `$[...]`",
        f"data.tcp_address == 0.0.0.0:1, must be loopback:port; whoever reaches it may call (file {file})",
    )


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        ({"data.socket_path": "/" + "x" * 107}, "(108 bytes), must be at most 107 bytes (flag --data-socket-path)"),
        ({"control.socket_path": "/a/s", "data.socket_path": "/a/s"}, "must not be the data socket"),
        ({"management.metrics_port": "9901"}, "management.metrics_port == 9901, must not be the health port"),
        ({"policy.rollout_salt": "é" * 33}, "must be at most 64 bytes"),
        ({"policy.explorer": "{kind: bogus}"}, "policy.explorer is refused by the core: explorer.kind == bogus"),
        ({"rewards.weights": "{quality: 0}"}, "weights are all 0, at least one must be above 0"),
        ({"rewards.half_values": "{quality: 1}"}, "half_values.quality == 1.0, must be finite and > 0"),
        ({"rewards.windows_s": "{quality: 0.5}"}, "windows_s.quality == 0.5, must be in [1, 7776000]"),
        ({"rewards.defaults": "{quality: 1.5}"}, "defaults.quality == 1.5, must be in [0, 1]"),
        ({"rewards.defaults": "{quality: null}"}, "rewards.defaults == '{quality: null}' (flag --rewards-defaults)"),
        ({"rewards.windows_s": "{speed: 5}"}, "rewards.windows_s == '{speed: 5}' (flag --rewards-windows-s), must be"),
        ({"policy.encoder": "[1"}, "policy.encoder == '[1' (flag --policy-encoder), must be"),
        ({"data.tcp_address": "localhost"}, "data.tcp_address == localhost, must be loopback:port"),
        ({"rollout.stages": "[0.5, 0.1]"}, "rollout.stages == [0.5, 0.1], must rise (flag --rollout-stages)"),
        ({"rollout.stages": "[0.5, 1.5]"}, "rollout.stages == [0.5, 1.5], must be at least one share in (0, 1]"),
        ({"rollout.guardrails": "{}"}, "rollout.guardrails == {}, must name at least one metric"),
        (
            {"rollout.guardrails": "{speed: 0.1}"},
            (
                "rollout.guardrails.speed is unknown, must be one of reward, completion, latency_ms, cost_usd, "
                "quality, retry_count, recovery, satisfaction (flag --rollout-guardrails)"
            ),
        ),
        ({"rollout.min_stage_s": "60"}, "rollout.outcome_window_s == 600.0, must be in [0, min_stage_s == 60.0]"),
        ({"rollout.conservative_loss": "1.0"}, "rollout.conservative_loss == 1.0, must be in (0, 1) or absent (flag"),
        ({"rollout.keep_versions": "0"}, "rollout.keep_versions == '0' (flag --rollout-keep-versions), must be"),
        ({"safety.risk_cap": "0"}, "safety.risk_cap == '0' (flag --safety-risk-cap), must be `float` > 0.0"),
        (
            {"safety.breakers": "{opens_s: 3}"},
            "safety.breakers == '{opens_s: 3}' (flag --safety-breakers), must not hold the unknown key `opens_s`",
        ),
        (
            {"safety.breakers": "{open_s: 3, max_open_s: 1}"},
            "(flag --safety-breakers), max_open_s == 1.0, must be at least open_s == 3.0",
        ),
        ({"safety.budgets": "{modules: {a: {calls_per_minute: 0}}}"}, "at `$.modules[...].calls_per_minute`"),
        ({"safety.rules": "{A: 'true'}"}, "safety.rules == \"{A: 'true'}\" (flag --safety-rules), must be"),
        ({"safety.critical_priority": "12"}, "safety.critical_priority == '12' (flag --safety-critical-priority)"),
    ],
)
def test_rules_between_settings_are_kept(flags: dict[str, str], fault: str) -> None:
    (named,) = faults(flags)

    assert fault in named


def test_a_malformed_rule_is_named_with_its_id_its_place_and_its_origin() -> None:
    (named,) = faults(environ={"PILOTFISH_SAFETY__RULES": "{ok: 'true', half: 'module.name =='}"})

    assert "rule 'half' == \"module.name ==\", must be a CEL expression: 1:15:" in named
    assert named.endswith("(environment PILOTFISH_SAFETY__RULES)")


def test_faults_of_every_section_come_together_with_their_origins(tmp_path: Path) -> None:
    file = written(tmp_path, "rollout: {stages: [0.2, 0.1]}\nsafety: {bans: {ocr: [a, '']}}")

    named = faults({"safety.rules": "{x: '('}"}, {"PILOTFISH_ROLLOUT__ALPHA": "2"}, file)

    assert [fault.split(" ")[0] for fault in named] == ["safety.bans", "rollout.stages", "safety.rules"]
    assert f"(file {file})" in named[1]


def test_safety_and_rollout_are_read_from_every_source(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        safety:
          denied_modules: [legacy]
          bans: {ocr: [pypdf], "*": [broken]}
          budgets: {modules: {"*": {calls_per_minute: 60}, gpu: {cost_usd_per_hour: 2.5}}}
          risk_cap: 0.1
        rollout:
          stages: [0.05, 0.5, 0.95]
          guardrails: {reward: 0.01}
        """,
    )
    environ = {
        "PILOTFISH_SAFETY__RULES": "{no-beta: '!module.name.startsWith(\"beta-\")'}",
        "PILOTFISH_SAFETY__BREAKERS": "{open_s: 3}",
        "PILOTFISH_ROLLOUT__GUARDRAILS": "{completion: 0.05, latency_ms: 0.1}",
    }

    configuration = load({"safety.critical_task_types": "[pay]", "rollout.conservative_loss": "0.2"}, environ, file)

    safety, rollout = configuration.settings.safety, configuration.settings.rollout
    assert safety.bans == {"ocr": ("pypdf",), "*": ("broken",)}
    assert safety.budgets.modules["gpu"].cost_usd_per_hour == 2.5
    assert (safety.risk_cap, safety.denied_modules) == (0.1, ("legacy",))
    assert safety.rules == {"no-beta": '!module.name.startsWith("beta-")'}
    assert safety.breakers == BreakerSettings(open_s=3.0)
    assert safety.critical_task_types == ("pay",)
    assert rollout.stages == (0.05, 0.5, 0.95)
    assert rollout.guardrails == {"completion": 0.05, "latency_ms": 0.1}
    assert rollout.conservative_loss == 0.2
    assert configuration.origins["safety.breakers"] == "environment PILOTFISH_SAFETY__BREAKERS"
    assert configuration.origins["rollout.stages"] == f"file {file}"
    assert configuration.origins["safety.risk_deviations"] == "default"


def test_what_is_shown_of_all_settings_reads_back_as_the_same_settings(tmp_path: Path) -> None:
    rules = "{no-beta: '!module.name.startsWith(\"beta-\")'}"
    flags = {"safety.rules": rules, "rollout.stages": "[0.1, 1.0]", "safety.breakers": "{open_s: 3}"}
    settings = load({**flags, "safety.risk_cap": "0.1", "rollout.conservative_loss": "0.2"}, {}).settings
    sections: dict[str, dict[str, object]] = {}
    for name, value in Configuration(settings, {}).values().items():
        section, key = name.split(".")
        sections.setdefault(section, {})[key] = value

    # JSON is YAML: what `config show` prints can be put into a file.
    file = written(tmp_path, msgspec.json.encode(sections).decode())

    assert load({}, {}, file).settings == settings


def test_a_socket_path_of_107_bytes_is_allowed() -> None:
    load({"data.socket_path": "/" + "x" * 106, "control.socket_path": "/c"}, {})


@pytest.mark.parametrize("address", ["127.0.0.1:9900", "localhost:1", "[::1]:65535"])
def test_loopback_addresses_are_allowed(address: str) -> None:
    assert load({"data.tcp_address": address}, {}).settings.data.tcp_address == address


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("- a", "must hold sections"),
        ("data: 3", "data == 3"),
        ("data: {socket_path: a, socket_path: b}", "key 'socket_path' occurs twice"),
        ("data: [", "must be YAML"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, content: str, fault: str) -> None:
    (named,) = faults(file=written(tmp_path, content))

    assert fault in named


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    (named,) = faults(file=tmp_path / "absent.yaml")

    assert named.endswith("must be readable: No such file or directory")


@pytest.mark.parametrize("content", ["", "data:", "data: {}"])
def test_empty_files_and_sections_are_allowed(tmp_path: Path, content: str) -> None:
    assert load({}, {}, written(tmp_path, content)).settings == Settings()


def test_what_kubernetes_says_of_services_named_like_us_is_no_setting() -> None:
    links = {
        "PILOTFISH_SERVICE_HOST": "10.0.0.1",
        "PILOTFISH_SERVICE_PORT": "9901",
        "PILOTFISH_SERVICE_PORT_MGMT": "9901",
        "PILOTFISH_PORT": "tcp://10.0.0.1:9901",
        "PILOTFISH_PORT_9901_TCP_ADDR": "10.0.0.1",
        "PILOTFISH_METRICS_SERVICE_HOST": "10.0.0.2",
        "PILOTFISH_METRICS_PORT": "tcp://10.0.0.2:9902",
    }

    load({}, links)


def test_a_misspelt_port_is_not_taken_for_a_service() -> None:
    (named,) = faults(environ={"PILOTFISH_METRICS_PORT": "9902"})

    assert "PILOTFISH_MANAGEMENT__METRICS_PORT" in named


def test_the_client_s_variable_is_no_unknown_setting() -> None:
    load({}, {"PILOTFISH_TARGET": "unix:/x"})


def test_names_of_flags_and_variables_follow_from_the_setting_s() -> None:
    assert flag_name("data.socket_path") == "--data-socket-path"
    assert variable_name("data.socket_path") == "PILOTFISH_DATA__SOCKET_PATH"
    assert len({flag_name(name) for name in FIELDS}) == len(FIELDS)


def test_values_are_plain_and_complete() -> None:
    configuration: Configuration = load({"data.socket_path": "/run/d.sock"}, {})

    assert configuration.values().keys() == FIELDS.keys()
    assert configuration.values()["data.socket_path"] == "/run/d.sock"
    msgspec.json.encode(configuration.values())
