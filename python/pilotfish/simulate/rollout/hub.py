"""A hub under load whose modules can die: it asks, works, reports, and remembers what happened when."""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pilotfish.client import AsyncClient
from pilotfish.simulate.hub import SIGNAL_WEIGHTS, described
from pilotfish.simulate.table import Table, TableRequest

DEADLINE_MS: Final = 1000.0
"""Far above the client's default: a fallback here would tell of a busy machine."""
WORK_S: Final = 0.002
"""Simulated time of a module's work."""
FAILURE_S: Final = 0.001
"""Time in which a dead module fails: fast, so that whoever prefers the fast is drawn to it."""
RATE: Final = 500.0
"""Tasks per second at most: how many meet a bad version before it is rolled back must not depend on the machine."""


@dataclass(frozen=True, slots=True)
class Event:
    """One task as the hub lived it."""

    at_s: float
    """Since the hub began."""
    module: str
    source: str
    """Who chose: `policy`, `champion`, `baseline` or `fallback`."""
    quality: float
    """0 where the module was dead."""
    baseline_quality: float
    """What the hub's own choice would have given."""


@dataclass(slots=True)
class LoadedHub:
    """Keeps a number of tasks under way until told to stop.

    Args:
        client: The way to the sidecar.
        table: Requests, sent over and over, each time for another user.
        baseline: The module that the hub would choose by itself.
    """

    client: AsyncClient
    table: Table
    baseline: str
    events: list[Event] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    """Modules that fail at once."""
    _started_s: float = field(default_factory=time.monotonic)
    _next_s: float = 0.0
    """When the next task may begin."""
    _stopping: bool = False

    @property
    def now_s(self) -> float:
        """Seconds since the hub began."""
        return time.monotonic() - self._started_s

    def stop(self) -> None:
        """Let what is under way end, and begin nothing more."""
        self._stopping = True

    async def run(self, in_flight: int) -> None:
        """Send tasks until stopped."""
        work = zip(itertools.count(), itertools.cycle(self.table.requests), strict=False)
        async with asyncio.TaskGroup() as lanes:
            for _ in range(in_flight):
                lanes.create_task(self._lane(work))

    def share_of(self, module: str, newest: int) -> float:
        """Return the module's share of the newest tasks, [0, 1]."""
        recent = self.events[-newest:]
        return sum(event.module == module for event in recent) / max(1, len(recent))

    def favourite(self, newest: int) -> str:
        """Return the module that got most of the newest tasks."""
        modules = deque((event.module for event in self.events), maxlen=newest)
        return max(set(modules), key=modules.count)

    async def _lane(self, work: Iterator[tuple[int, TableRequest]]) -> None:
        names = [module.name for module in self.table.modules]
        candidates = [described(module) for module in self.table.modules]
        usual = names.index(self.baseline)
        for number, request in work:
            await self._turn()
            if self._stopping:
                return
            decision = await self.client.select_module(
                request.task,
                candidates=candidates,
                description=request.query,
                signal_weights=SIGNAL_WEIGHTS,
                baseline_module=self.baseline,
                unit_id=f"user-{number}",
                deadline_ms=DEADLINE_MS,
            )
            place = names.index(decision.module)
            works = decision.module not in self.dead
            await asyncio.sleep(WORK_S if works else FAILURE_S)
            quality = request.qualities[place] if works else 0.0
            module = self.table.modules[place]
            self.events.append(Event(self.now_s, decision.module, decision.source, quality, request.qualities[usual]))
            await self.client.record_outcome(
                decision,
                completion=float(works),
                quality=quality,
                cost_usd=module.cost_usd(request.query),
                latency_ms=1e3 * (WORK_S if works else FAILURE_S),
            )

    async def _turn(self) -> None:
        """Wait for the next task's time; what was missed while the machine was busy is not caught up with."""
        begin_s = max(self._next_s, self.now_s)
        self._next_s = begin_s + 1.0 / RATE
        await asyncio.sleep(begin_s - self.now_s)
