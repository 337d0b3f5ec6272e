"""Builds the sidecar from its settings, starts it and stops it."""

import gc
import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import Final

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection
from prometheus_client.metrics_core import Metric

from pilotfish.codes import Mode
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.helm import Kept
from pilotfish.exceptions import StateError
from pilotfish.experiments.conductor import Conductor
from pilotfish.rewards import RewardFunction
from pilotfish.server import inline, servicer, transport
from pilotfish.server.config import Configuration, reward_function
from pilotfish.server.dispatch import Dispatcher
from pilotfish.server.health import Health
from pilotfish.server.rollout_methods import rollout_methods
from pilotfish.server.rollout_telemetry import rollout_metrics
from pilotfish.server.settings import Settings
from pilotfish.server.socket_file import SocketFile
from pilotfish.server.telemetry import MetricsServer, Telemetry
from pilotfish.training.registry import Registry

HEALTH_SERVICE: Final = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
PROBE_CALLS: Final = 100
"""Calls in flight on the health port; probes come one by one."""
REFUSE_S: Final = 0.05
"""Time in which new calls are told DRAINING before the sockets close. gRPC cancels what it has accepted but not handed
over by then; callers have time to learn better, and few calls are left to cancel."""

logger = logging.getLogger(__name__)


class Sidecar:
    """Everything that runs, opened on construction; nothing is answered before `start`.

    Args:
        configuration: The settings and where they came from.

    Raises:
        StateError: The state directory, a socket or a port is in use or cannot be used. Nothing stays open.
        InvalidInputError: A policy setting breaks a rule of the core.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._settings = settings = configuration.settings
        self._servers: list[grpc.Server] = []
        with ExitStack() as opened:
            rewards = reward_function(settings)
            self.registry = Registry(
                settings.state.directory / "models",
                keep_count=settings.rollout.keep_versions,
                keep_s=settings.rollout.keep_days * 86_400.0,
            )
            self.engine = Engine(settings.state.directory, engine_settings(settings), rewards, self._load_kept)
            opened.callback(self.engine.close)
            self.conductor = Conductor(self.engine, settings.rollout, rewards, self.registry)
            opened.callback(self.conductor.stop)
            self.dispatcher = Dispatcher(log_calls=settings.logging.log_requests)
            data = servicer.data_methods(self.engine)
            control = (*servicer.control_methods(self.engine), *rollout_methods(self.conductor, self.registry))
            self.health = Health(
                tuple(dict.fromkeys(method.service for method in (*data, *control))),
                lambda: _self_decision(self.engine, rewards),
                lambda: self.engine.counters["log_unavailable", 0],
            )
            self._open_data(data, opened)
            self._open_control(control, opened)
            self._open_management(configuration, tuple(method.name for method in data), opened)
            self._opened = opened.pop_all()

    def start(self) -> None:
        """Answer, then say so."""
        # What is alive now lives as long as the process; the collector need not look at it again with every request.
        gc.collect()
        gc.freeze()
        for server in self._servers:
            server.start()
        self.health.start()
        self.conductor.start()

    def stop(self) -> None:
        """Not ready, refuse new calls, finish those in flight within the grace time, save, let go."""
        self.health.drain()
        self.dispatcher.draining = True
        self.health.stop()
        time.sleep(min(REFUSE_S, self._settings.server.drain_grace_s))
        for stopped in [server.stop(self._settings.server.drain_grace_s) for server in self._servers]:
            stopped.wait()
        self._opened.close()

    def _load_kept(self, version: str) -> Kept:
        model, info = self.registry.load(version)
        return Kept(model, info.birth)

    # -- what listens ----------------------------------------------------------------------------------------------

    def _open_data(self, methods: Sequence[servicer.Method], opened: ExitStack) -> None:
        settings = self._settings
        routes = self._routes(methods)
        pool = transport.thread_pool("data", settings.server.thread_count)
        as_wished = settings.server.backend == "threads" or inline.is_supported()
        if not as_wished:
            logger.warning("backend inline does not know grpcio %s; data calls run on threads", grpc.__version__)
        executor: Executor = pool
        if settings.server.backend == "inline" and as_wished:
            # A batch takes milliseconds, and decisions would wait behind it.
            executor = inline.InlineExecutor(pool, [r.handler for r in routes if r.method.startswith("Batch")])
        server = transport.build_server(executor, routes, max_concurrent=settings.server.max_concurrent)
        self._add_standard_services(server, routes)
        file = SocketFile(settings.data.socket_path, int(settings.data.socket_mode, 8))
        opened.callback(file.release)
        transport.bind_socket(server, file)
        if settings.data.tcp_address:
            host, _, port = settings.data.tcp_address.rpartition(":")
            transport.bind_tcp(server, host, int(port))
        self._servers.append(server)

    def _open_control(self, methods: Sequence[servicer.Method], opened: ExitStack) -> None:
        settings = self._settings
        routes = self._routes(methods)
        pool = transport.thread_pool("control", settings.server.thread_count)
        server = transport.build_server(pool, routes, max_concurrent=settings.server.max_concurrent)
        self._add_standard_services(server, routes)
        file = SocketFile(settings.control.socket_path, int(settings.data.socket_mode, 8))
        opened.callback(file.release)
        transport.bind_socket(server, file)
        self._servers.append(server)

    def _open_management(self, configuration: Configuration, timed: tuple[str, ...], opened: ExitStack) -> None:
        management = self._settings.management
        wished = not configuration.is_default("management.host", "management.health_port", "management.metrics_port")

        def open_health() -> None:
            server = transport.build_server(transport.thread_pool("health", 2), max_concurrent=PROBE_CALLS)
            add_HealthServicer_to_server(self.health, server)
            transport.bind_tcp(server, management.host, management.health_port)
            self._servers.append(server)

        def more() -> Iterable[Metric]:
            return rollout_metrics(self.conductor, self.registry)

        def open_metrics() -> None:
            telemetry = Telemetry(self.engine, self.dispatcher, timed, self.health.is_ready, time.time(), more)
            opened.callback(MetricsServer(telemetry, management.host, management.metrics_port).stop)

        for port, open_port, purpose in (
            (management.health_port, open_health, "health"),
            (management.metrics_port, open_metrics, "metrics"),
        ):
            if not port:
                continue
            try:
                open_port()
            except StateError as error:
                if wished:
                    raise StateError(f"management.{purpose}_port == {port}: {error}") from error
                logger.warning("no %s port: %s; set management.%s_port, or 0 for none", purpose, error, purpose)

    def _routes(self, methods: Sequence[servicer.Method]) -> list[transport.Route]:
        return [
            transport.Route(m.service, m.name, self.dispatcher.handler(m.name, m.request_class, m.call, m.timed_call))
            for m in methods
        ]

    def _add_standard_services(self, server: grpc.Server, routes: list[transport.Route]) -> None:
        add_HealthServicer_to_server(self.health, server)
        services = dict.fromkeys(route.service for route in routes)
        reflection.enable_server_reflection((*services, HEALTH_SERVICE, reflection.SERVICE_NAME), server)


def engine_settings(settings: Settings) -> EngineSettings:
    """Return what the engine is told."""
    policy = settings.policy
    return EngineSettings(
        id_seed=settings.state.id_seed,
        # Where draws can be repeated, births must come at the same place too.
        growth="inline" if settings.state.id_seed else "background",
        mode=Mode[policy.mode.upper()],
        rollout_share=policy.rollout_share,
        rollout_salt=policy.rollout_salt,
        live_reward=policy.live_reward,
        decide_budget_s=settings.server.decide_budget_ms / 1000.0,
        safety=settings.safety,
        encoder=policy.encoder,
        learner=policy.learner,
        explorer=policy.explorer,
    )


def _self_decision(engine: Engine, rewards: RewardFunction) -> None:
    # The core alone: what a decision costs without log, network or lock.
    engine.model.decide(bytes(16), {}, "", [("a", {}, ()), ("b", {}, ())], rewards.weights)
