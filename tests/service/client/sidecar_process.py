"""A fake sidecar in a process of its own, which can be stopped, continued, killed and started again."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self


class SidecarProcess:
    """Serves a socket while it runs. Leaving its block kills it."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Return as soon as it serves."""
        script = Path(__file__).with_name("fake_sidecar.py")
        self._process = subprocess.Popen([sys.executable, str(script), self.socket], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "serving\n"

    def stop(self) -> None:
        """Keep it from running: its connections stay open and nothing answers."""
        self._send(signal.SIGSTOP)
        if self._process is not None:
            # The signal is delivered some time later: an answer that is under way would still leave.
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._send(signal.SIGKILL)
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
