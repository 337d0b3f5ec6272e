"""A sidecar of one's own: the real server as a process on temporary paths, and its control socket."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from pilotfish.exceptions import StateError
from pilotfish.v1 import (
    ControlServiceStub,
    ExplainDecisionRequest,
    ExplainDecisionResponse,
    GetInfoRequest,
    GetInfoResponse,
)

START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 10.0
CALL_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A running sidecar."""

    data_socket: Path
    log_file: Path
    process_id: int
    control: ControlServiceStub

    def info(self) -> GetInfoResponse:
        """Return what it is running."""
        return self.control.GetInfo(GetInfoRequest(), timeout=CALL_TIMEOUT_S)

    def explain(self, decision_id: str) -> ExplainDecisionResponse:
        """Return a decision as it stands in the sidecar's log."""
        return self.control.ExplainDecision(ExplainDecisionRequest(decision_id=decision_id), timeout=CALL_TIMEOUT_S)


@contextmanager
def running_sidecar(settings: Mapping[str, str]) -> Iterator[Sidecar]:
    """Start a sidecar on temporary paths, with its management ports off; stop it and remove its state on leaving.

    Args:
        settings: Further settings, such as {"PILOTFISH_POLICY__MODE": "on"}; they win over the environment's.

    The environment's other PILOTFISH_ settings stay in force, so that a policy can be tried on the demo.

    Raises:
        StateError: It did not begin to serve; the message holds the end of its log.
    """
    with tempfile.TemporaryDirectory(prefix="pilotfish-demo-") as name:
        directory = Path(name)
        control_socket = directory / "control.sock"
        own = {
            "PILOTFISH_DATA__SOCKET_PATH": str(directory / "data.sock"),
            "PILOTFISH_CONTROL__SOCKET_PATH": str(control_socket),
            "PILOTFISH_STATE__DIRECTORY": str(directory / "state"),
            "PILOTFISH_MANAGEMENT__HEALTH_PORT": "0",
            "PILOTFISH_MANAGEMENT__METRICS_PORT": "0",
        }
        log_file = directory / "server.log"
        with log_file.open("wb") as log:
            # A session of its own: Ctrl-C ends the demo first, and the demo then ends the sidecar in good order.
            process = subprocess.Popen(
                [sys.executable, "-m", "pilotfish", "serve"],
                env={**os.environ, **settings, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            with grpc.insecure_channel(
                f"unix:{control_socket}",
                options=[("grpc.default_authority", "localhost"), ("grpc.max_reconnect_backoff_ms", 100)],
            ) as channel:
                _wait_until_serving(process, channel, log_file)
                yield Sidecar(directory / "data.sock", log_file, process.pid, ControlServiceStub(channel))
        finally:
            _stop(process)


def _wait_until_serving(process: "subprocess.Popen[bytes]", channel: grpc.Channel, log_file: Path) -> None:
    ready = grpc.channel_ready_future(channel)
    for _ in range(round(START_TIMEOUT_S / _POLL_S)):
        try:
            ready.result(timeout=_POLL_S)
        except grpc.FutureTimeoutError:
            if process.poll() is not None:
                break
        else:
            return
    ready.cancel()
    what = "still starting" if process.poll() is None else f"ended with code {process.returncode}"
    end_of_log = "\n".join(log_file.read_text(errors="replace").splitlines()[-20:])
    raise StateError(f"the sidecar does not serve ({what}); its log ends with:\n{end_of_log}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
