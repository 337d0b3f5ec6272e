"""The checklist: logging, config, build, serve, drain."""

import os
import platform
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Final

import grpc
import structlog

from pilotfish import __version__
from pilotfish.exceptions import InvalidInputError, StateError
from pilotfish.server import logs
from pilotfish.server.app import Sidecar
from pilotfish.server.config import Configuration, ConfigurationError, load

EXIT_CONFIGURATION: Final = 64
"""A setting is wrong (EX_USAGE)."""
EXIT_UNAVAILABLE: Final = 69
"""The state directory, a socket or a port is in use or cannot be used (EX_UNAVAILABLE)."""


class StopRequest:
    """SIGTERM or SIGINT. Before `defer` it ends the process at once, with code 0: nothing has been answered yet.

    The interpreter's own handler writes to a pipe. Anything in Python would run on the main thread only once it wakes,
    and a signal that comes just before the main thread goes to sleep does not wake it.
    """

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        os.set_blocking(writing, False)
        self._deferred = False
        signal.set_wakeup_fd(writing)
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, self._handle)

    def defer(self) -> None:
        """From now on leave it to `wait`."""
        self._deferred = True

    def wait(self) -> None:
        """Return once the process has been asked to stop."""
        os.read(self._reading, 1)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if not self._deferred:
            sys.exit(0)
        if number == signal.SIGINT:  # whoever presses Ctrl-C twice does not want to wait
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def main(flags: Mapping[str, str] | None = None, file: Path | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        flags: Settings from the command line, by full name.
        file: The configuration file.

    Returns:
        The exit code: 0 after a drain, 64 for a wrong setting, 69 for something that is in use or cannot be used.
    """
    began = time.monotonic()
    stop_request = StopRequest()
    logs.configure()
    try:
        configuration = load(flags, file=file)
        settings = configuration.settings
        logs.configure(settings.logging.level, settings.logging.format)
        _log_start(configuration)
        sidecar = Sidecar(configuration)
    except ConfigurationError as error:
        return _refuse(EXIT_CONFIGURATION, *error.faults)
    except InvalidInputError as error:
        return _refuse(EXIT_CONFIGURATION, str(error))
    except StateError as error:
        return _refuse(EXIT_UNAVAILABLE, str(error))

    logger = structlog.get_logger("pilotfish.server")
    stop_request.defer()
    sidecar.start()
    logger.info(
        "ready",
        data_socket=str(settings.data.socket_path),
        control_socket=str(settings.control.socket_path),
        mode=sidecar.engine.mode.name.lower(),
        decision_count=sidecar.engine.log.decision_count,
        learned_count=sidecar.engine.model.learned_count,
        start_ms=round(1000 * (time.monotonic() - began)),
    )
    stop_request.wait()
    logger.info("draining", grace_s=settings.server.drain_grace_s)
    sidecar.stop()
    logger.info("stopped")
    return 0


def _log_start(configuration: Configuration) -> None:
    structlog.get_logger("pilotfish.server").info(
        "starting",
        version=__version__,
        python=platform.python_version(),
        grpcio=grpc.__version__,
        pid=os.getpid(),
        **configuration.values(),
    )


def _refuse(code: int, *messages: str) -> int:
    for message in messages:
        print(f"pilotfish: {message}", file=sys.stderr)  # noqa: T201  for the person or the kubelet who started it
    return code


if __name__ == "__main__":
    sys.exit(main())
