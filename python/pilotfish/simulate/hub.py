"""A small hub: it asks where each request goes, lets the module work, and reports what came of it."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from pilotfish.client import AsyncClient, Decision, Module
from pilotfish.simulate.table import Table, TableModule, TableRequest

LARGE_BILLIONS: Final = 40.0
"""Models from here on are of the size class `large`."""

WORK_BASE_MS: Final = 2.0
WORK_MS_PER_BILLION: Final = 0.05
"""Simulated time of a module's work, grown with its size: 2.3 to 5.5 ms, a hundredth of what such models take, so that
the pass ends in seconds."""

SIGNAL_WEIGHTS: Final = {"quality": 1.0, "cost_usd": 0.1}
"""What this hub cares about: good answers, and between equals the cheap one. Every task completes here, and the latency
is measured anew in each run: it is reported and learned, but a choice that hung on it could not be repeated."""

USUAL_DEADLINE_MS: Final = 20.0
"""The client's default deadline of a decision."""


@dataclass(frozen=True, slots=True)
class Served:
    """One request as the hub lived it."""

    decision: Decision
    quality: float
    """Logged quality of the chosen module."""
    cost_usd: float
    select_ms: float
    """What the hub waited for `select_module`."""
    latency_ms: float
    """That and the simulated work, both measured: what it reports."""


class Hub:
    """Sends each request of a table once, in the table's order, and reports what came of it.

    With one in flight a run can be repeated: each decision knows the outcomes of all before it. With more, outcomes go
    back while other decisions run, as in life.

    Args:
        client: The way to the sidecar.
        table: The requests, and what each module makes of them.
        in_flight: How many requests are under way at once.
    """

    def __init__(self, client: AsyncClient, table: Table, *, in_flight: int) -> None:
        self._client = client
        self._table = table
        self._in_flight = in_flight
        self._candidates = [described(module) for module in table.modules]
        self._index_of = {module.name: i for i, module in enumerate(table.modules)}
        self.acknowledged = 0
        """Outcomes that are on the sidecar's log."""
        self.unacknowledged: dict[str, int] = {}
        """The others by reason; `local_fallback` has no decision on the log to belong to."""

    async def run(self, on_served: Callable[[int, Served], None]) -> list[Served]:
        """Serve every request and return them in the order in which they were sent.

        Args:
            on_served: Told the number of each request and what came of it, as soon as it is done.
        """
        served: dict[int, Served] = {}
        requests = iter(enumerate(self._table.requests))

        def note(number: int, what: Served) -> None:
            served[number] = what
            on_served(number, what)

        async with asyncio.TaskGroup() as lanes:
            for _ in range(self._in_flight):
                lanes.create_task(self._lane(requests, note))
        return [served[number] for number in range(len(served))]

    async def _lane(self, requests: Iterator[tuple[int, TableRequest]], note: Callable[[int, Served], None]) -> None:
        for number, request in requests:
            served = await self._serve(request)
            note(number, served)
            await self._report(served)

    async def _serve(self, request: TableRequest) -> Served:
        asked = time.perf_counter()
        decision = await self._client.select_module(
            request.task,
            candidates=self._candidates,
            description=request.query,
            signal_weights=SIGNAL_WEIGHTS,
        )
        answered = time.perf_counter()
        index = self._index_of[decision.module]
        module = self._table.modules[index]
        await asyncio.sleep((WORK_BASE_MS + WORK_MS_PER_BILLION * module.billions) / 1e3)
        done = time.perf_counter()
        return Served(
            decision=decision,
            quality=request.qualities[index],
            cost_usd=module.cost_usd(request.query),
            select_ms=(answered - asked) * 1e3,
            latency_ms=(done - asked) * 1e3,
        )

    async def _report(self, served: Served) -> None:
        receipt = await self._client.record_outcome(
            served.decision,
            completion=1.0,
            quality=served.quality,
            cost_usd=served.cost_usd,
            latency_ms=served.latency_ms,
        )
        if receipt.acknowledged:
            self.acknowledged += 1
        else:
            self.unacknowledged[receipt.reason] = self.unacknowledged.get(receipt.reason, 0) + 1


def described(module: TableModule) -> Module:
    """Return the module as the hub offers it: size class and price, and nothing of how well it answers."""
    return Module(
        name=module.name,
        features={
            "size_class": "large" if module.billions >= LARGE_BILLIONS else "small",
            "usd_per_mtok": module.output_usd_per_mtok,
        },
    )
