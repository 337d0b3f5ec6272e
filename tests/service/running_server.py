"""The real server as a process on temporary paths."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from pilotfish.v1 import ControlServiceStub, DecisionServiceStub, OutcomeServiceStub

START_S = 30.0
STOP_S = 15.0
CHANNEL_OPTIONS = (
    ("grpc.default_authority", "localhost"),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 100),
)


class Server:
    """A server process; it can be stopped, killed and started again on the same paths.

    Attributes:
        directory: Holds the sockets, the state and the logs; its path is short enough for sockets.
        data_socket: Where hubs ask.
        control_socket: Where operators ask.
        state_directory: What survives a restart.
        health_port: 0 unless management was asked for.
        metrics_port: 0 unless management was asked for.
        process: The process; a new one after each start.
    """

    def __init__(self, directory: Path, settings: Mapping[str, str], *, management: bool) -> None:
        self.directory = directory
        self.data_socket = directory / "data.sock"
        self.control_socket = directory / "control.sock"
        self.state_directory = directory / "state"
        self.health_port, self.metrics_port = free_ports(2) if management else (0, 0)
        self.settings = {
            "data.socket_path": str(self.data_socket),
            "state.directory": str(self.state_directory),
            "management.health_port": str(self.health_port),
            "management.metrics_port": str(self.metrics_port),
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self._channels: dict[str, grpc.Channel] = {}

    def environment(self, settings: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return an environment in which nothing but these settings (default: the server's) is configured."""
        settings = self.settings if settings is None else settings
        inherited = {name: text for name, text in os.environ.items() if not name.startswith(("PILOTFISH_", "XDG_"))}
        named = {"PILOTFISH_" + name.replace(".", "__").upper(): text for name, text in settings.items()}
        return inherited | named | {"HOME": str(self.directory), "XDG_RUNTIME_DIR": str(self.directory / "run")}

    def start(self) -> None:
        """Start the process and wait until it serves."""
        with (self.directory / "out.log").open("ab") as out, (self.directory / "err.log").open("ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pilotfish", "serve"], env=self.environment(), stdout=out, stderr=err
            )
        self._wait_until_serving()

    def terminate(self, number: int = signal.SIGTERM) -> int:
        """Stop the process by a signal and return its exit code."""
        process = self._running()
        process.send_signal(number)
        return process.wait(STOP_S)

    def kill(self) -> None:
        """Kill the process: no drain, no checkpoint."""
        self.terminate(signal.SIGKILL)

    def restart(self) -> None:
        """Kill the process if it runs, and start it again on the same paths."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.start()

    def close(self) -> None:
        """Close what the test opened and end the process."""
        for channel in self._channels.values():
            channel.close()
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def refused_start(self, changed: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
        """Try to start another server with changed settings; return how it ended."""
        return self.command("serve", settings={**self.settings, **changed})

    def command(self, *arguments: str, settings: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a command of the command line with the server's settings in its environment."""
        return subprocess.run(
            [sys.executable, "-m", "pilotfish", *arguments],
            env=self.environment(settings),
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )

    @property
    def log(self) -> str:
        """What the process wrote to standard output so far."""
        return (self.directory / "out.log").read_text()

    @property
    def errors(self) -> str:
        """What the process wrote to standard error so far."""
        return (self.directory / "err.log").read_text()

    def channel(self, target: str = "") -> grpc.Channel:
        """Return a channel to a target, by default the data socket; it is closed with the server."""
        target = target or f"unix:{self.data_socket}"
        if target not in self._channels:
            self._channels[target] = grpc.insecure_channel(target, CHANNEL_OPTIONS)
        return self._channels[target]

    @property
    def decisions(self) -> DecisionServiceStub:
        """DecisionService on the data socket."""
        return DecisionServiceStub(self.channel())

    @property
    def outcomes(self) -> OutcomeServiceStub:
        """OutcomeService on the data socket."""
        return OutcomeServiceStub(self.channel())

    @property
    def control(self) -> ControlServiceStub:
        """ControlService on the control socket."""
        return ControlServiceStub(self.channel(f"unix:{self.control_socket}"))

    def health(self, service: str, target: str = "") -> str:
        """Return the name of a service's health."""
        answer = health_check(self.channel(target))(HealthCheckRequest(service=service), timeout=5)
        return str(HealthCheckResponse.ServingStatus.Name(answer.status))

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self.process is not None
        return self.process

    def _wait_until_serving(self) -> None:
        end = time.monotonic() + START_S
        with grpc.insecure_channel(f"unix:{self.data_socket}", CHANNEL_OPTIONS) as channel:
            check = health_check(channel)
            while time.monotonic() < end and self._running().poll() is None:
                try:
                    answer = check(HealthCheckRequest(), timeout=0.2, wait_for_ready=True)
                except grpc.RpcError:
                    continue
                if answer.status == HealthCheckResponse.SERVING:
                    return
        raise AssertionError(f"the server does not serve; its output:\n{self.log}\n{self.errors}")


@contextmanager
def running_server(*, management: bool = False, **settings: str) -> Iterator[Server]:
    """Run a server for a test.

    Args:
        management: Also serve health and metrics on free ports.
        settings: Further settings, the dot written as two underscores: `policy__mode="off"`.
    """
    named = {name.replace("__", "."): text for name, text in settings.items()}
    with tempfile.TemporaryDirectory(prefix="pf-") as directory:
        server = Server(Path(directory), named, management=management)
        try:
            server.start()
            yield server
        finally:
            server.close()


def raw(channel: grpc.Channel, method: str) -> "grpc.UnaryUnaryMultiCallable[bytes, bytes]":
    """Return a call that sends and receives bytes as they are."""
    return channel.unary_unary(f"/{method}")


def health_check(channel: grpc.Channel) -> "grpc.UnaryUnaryMultiCallable[HealthCheckRequest, HealthCheckResponse]":
    """Return the standard health call; the published types of its stub leave it out."""
    return channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )


def free_ports(count: int) -> tuple[int, ...]:
    """Return TCP ports that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return tuple(each.getsockname()[1] for each in sockets)
    finally:
        for each in sockets:
            each.close()
