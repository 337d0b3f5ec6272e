"""Every setting, with its default and the reason for it. `config.py` reads them."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from pilotfish.client.target import default_socket_path
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.safety.settings import SafetySettings

ModeName = Literal["off", "shadow", "rollout", "on"]
SignalName = Literal["completion", "latency_ms", "cost_usd", "quality", "retry_count", "recovery", "satisfaction"]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Weight = Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)]

CONTROL_SOCKET_NAME = "control.sock"


def default_state_directory() -> Path:
    """Return where state lives if nobody says otherwise: kept across reboots, unlike the sockets' directory."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "pilotfish"


class DataSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where hubs ask and report."""

    socket_path: Path = msgspec.field(default_factory=default_socket_path)
    """Unix socket of DecisionService and OutcomeService; at most 107 bytes. The client's default is the same path."""
    socket_mode: Annotated[str, msgspec.Meta(pattern=r"^0?[0-7]{3}$")] = "0660"
    """Permissions of both sockets, octal. They are the authentication: owner and group, such as a pod's fsGroup."""
    tcp_address: str = ""
    """Also listen on this loopback `host:port`, for stacks without Unix sockets. Empty: do not."""


class ControlSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where operators look and steer."""

    socket_path: Path = msgspec.field(default_factory=lambda: default_socket_path(CONTROL_SOCKET_NAME))
    """Unix socket of ControlService. Default: control.sock beside the data socket."""


class ManagementSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Health and metrics over TCP, without authentication: nothing secret is served and nothing can be changed.

    With all three at their defaults a port that is taken is left out with a warning, so that two sidecars run on one
    developer's machine. As soon as one is set, a port that is taken stops the start: a probe would ask somebody else.
    """

    host: str = "127.0.0.1"
    """Address to bind. In a pod set 0.0.0.0: the kubelet dials the pod's address, not loopback."""
    health_port: Port = 9901
    """Port of the standard gRPC health service, for startup and liveness probes. 0: off."""
    metrics_port: Port = 9902
    """Port of Prometheus metrics, over HTTP. 0: off."""


class StateSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What survives a restart."""

    directory: Path = msgspec.field(default_factory=default_state_directory)
    """Holds the log and the checkpoints; one process at a time. Default: $XDG_STATE_HOME/pilotfish, else under HOME."""
    id_seed: Annotated[str, msgspec.Meta(max_length=16)] = ""
    """If not empty, decision ids and with them all draws follow from it, so that a simulation can be repeated. Never
    set it where callers must not foresee what is drawn."""


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How calls are run."""

    backend: Literal["inline", "threads"] = "inline"
    """Where data calls run: on the polling thread (a quarter to a third less latency), or on a pool of threads."""
    thread_count: Annotated[int, msgspec.Meta(ge=1, le=256)] = 8
    """Threads for whatever does not run inline. Past about 8 in flight they only queue behind one another."""
    max_concurrent: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1000
    """Calls in flight before further ones are refused with RESOURCE_EXHAUSTED: a queue this long is seconds behind."""
    decide_budget_ms: Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)] = 1.0
    """With less than this left of a caller's deadline no model is asked and the baseline answers: a late answer is of
    no use to anybody. A decision takes a fifth of it."""
    drain_grace_s: Annotated[float, msgspec.Meta(ge=0.0, le=300.0)] = 1.5
    """Time that calls in flight get at a stop. Kubernetes may leave a sidecar 2 s, and the state is saved after it."""


class PolicySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How decisions are made. What shapes the model is frozen into its version: another value is another model."""

    mode: ModeName = "rollout"
    """Mode of a fresh state directory; afterwards the last change made through the control socket is in force."""
    rollout_share: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.05
    """Share of units that mode rollout of a fresh state directory gives to the policy. It has shown nothing yet."""
    rollout_salt: str = "pilotfish"
    """Key of the rollout's hash, at most 64 bytes; the same in sidecars that share units."""
    live_reward: bool = False
    """Whether each candidate carries how it has done lately, as a feature on record. For modules that are slow or fail
    for everybody for a while. It hides abrupt changes from the change detector, which needs a model to be surprised."""
    encoder: dict[str, Any] = {}
    """Keys that replace the default encoder's."""
    learner: dict[str, Any] = {}
    """Keys that replace the default learner's."""
    explorer: dict[str, Any] = {}
    """The whole explorer, such as {kind: epsilon_greedy, epsilon: 0.1, floor: 0}. Empty: the default."""


class RolloutSection(RolloutSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the policy is rolled out, and what is kept to go back to."""

    keep_versions: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    """Kept model versions that are never removed for their age."""
    keep_days: Annotated[float, msgspec.Meta(ge=0.0, le=3650.0)] = 10.0
    """Days for which a kept model version is not removed for its number."""


class RewardSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What counts as good."""

    weights: dict[SignalName, Weight] = {}
    """Weight by signal of requests that bring none; a signal that is left out weighs 0. Empty: the defaults."""
    half_values: dict[SignalName, float] = {}
    """Raw value at which latency_ms, cost_usd or retry_count is worth half; over the defaults. Part of the model."""
    windows_s: dict[SignalName, float] = {}
    """Seconds after a decision within which a signal is expected, 1 to 90 days; over 600 (completion, latency_ms,
    cost_usd, retry_count), 3600 (quality, recovery) and 86400 (satisfaction)."""
    defaults: dict[SignalName, float] = {}
    """Raw value to learn once a signal's window has passed without it, such as {completion: 0} where silence means
    failure. Logged as a default. A signal that is left out teaches nothing when it is missing: missing is not zero."""


class LoggingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lines on standard output. Never contexts or rewards."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is written."""
    format: Literal["auto", "json", "text"] = "auto"
    """auto: text on a terminal, one JSON object per line elsewhere."""
    log_requests: bool = False
    """One line per call. Off: metrics count the calls, and a line costs as much as a decision."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All sections."""

    data: DataSettings = msgspec.field(default_factory=DataSettings)
    control: ControlSettings = msgspec.field(default_factory=ControlSettings)
    management: ManagementSettings = msgspec.field(default_factory=ManagementSettings)
    state: StateSettings = msgspec.field(default_factory=StateSettings)
    server: ServerSettings = msgspec.field(default_factory=ServerSettings)
    policy: PolicySettings = msgspec.field(default_factory=PolicySettings)
    safety: SafetySettings = msgspec.field(default_factory=SafetySettings)
    rollout: RolloutSection = msgspec.field(default_factory=RolloutSection)
    rewards: RewardSettings = msgspec.field(default_factory=RewardSettings)
    logging: LoggingSettings = msgspec.field(default_factory=LoggingSettings)
