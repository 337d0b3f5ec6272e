"""How the pass is going, while it goes."""

import time
from collections import deque
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pilotfish.simulate.hub import Served

RECENT: Final = 300
"""Requests in the moving mean."""

_REFRESH_S: Final = 0.25
_LINES: Final = 10


class PassProgress:
    """A progress bar on a terminal, ten plain lines elsewhere. Called with each request that is done.

    Drawn from the caller's own thread, a few times a second: a drawing thread would take the interpreter from the very
    calls that are being measured.

    Args:
        console: Where to draw.
        total: How many requests there are.
    """

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._done = 0
        self._fallbacks = 0
        self._drawn_at = 0.0
        self._bar = Progress(
            TextColumn("routing"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
            auto_refresh=False,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, state="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.update(self._task, completed=self._done, state=self._state(), refresh=True)
        self._bar.stop()

    def __call__(self, number: int, served: Served) -> None:
        """Take in a request that is done."""
        del number  # they end in nearly the order in which they began; the moving mean need not tell
        self._done += 1
        self._fallbacks += served.decision.is_fallback
        self._recent.append(served.quality)
        if not self._console.is_terminal:
            tenth = self._done * _LINES // self._total
            if tenth > (self._done - 1) * _LINES // self._total:
                self._console.print(f"{self._done:5d} of {self._total}  {self._state()}", highlight=False)
            return
        now = time.monotonic()
        if now - self._drawn_at >= _REFRESH_S:
            self._drawn_at = now
            self._bar.update(self._task, completed=self._done, state=self._state(), refresh=True)

    def _state(self) -> str:
        mean = sum(self._recent) / max(len(self._recent), 1)
        fallbacks = f", {self._fallbacks} fallbacks" if self._fallbacks else ""
        return f"mean quality of the last {len(self._recent)}: {mean:.3f}{fallbacks}"
