"""The demo: one pass of real requests through a sidecar of its own, and what came of it."""

import asyncio
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console

from pilotfish.client import AsyncClient
from pilotfish.simulate.figures import Figures, figures_of
from pilotfish.simulate.hub import USUAL_DEADLINE_MS, Hub, Served
from pilotfish.simulate.progress import PassProgress
from pilotfish.simulate.report import print_explanation, print_report, worth_explaining
from pilotfish.simulate.sidecar import Sidecar, running_sidecar
from pilotfish.simulate.table import Table, load_table
from pilotfish.v1 import Mode


@dataclass(frozen=True, slots=True)
class Pass:
    """What the hub lived through."""

    served: list[Served]
    outcomes: int
    unacknowledged: dict[str, int]
    elapsed_s: float


def demonstrate(
    console: Console, *, seed: int, limit: int | None, in_flight: int, deadline_ms: float
) -> tuple[Figures, list[Served]]:
    """Play the pass, print what there is to see, and return the figures and each request as it was served.

    Args:
        console: Where to print.
        seed: Draws the order of the requests and of the modules on offer, and the sidecar's decision ids, from which
            its own draws follow. With one request in flight the same seed gives the same choices.
        limit: Send only this many requests; None: all.
        in_flight: How many requests are under way at once.
        deadline_ms: The client's deadline for each decision.
    """
    table = drawn(load_table(), seed).first(limit)
    settings = {"PILOTFISH_POLICY__MODE": "on", "PILOTFISH_STATE__ID_SEED": f"demo-{seed}"}
    with running_sidecar(settings) as sidecar:
        _introduce(console, sidecar)
        console.print(
            f"{len(table.requests)} requests, {len(table.modules)} modules, {in_flight} requests in flight, "
            f"seed {seed}. A decision may take {deadline_ms:g} ms (the client's default is {USUAL_DEADLINE_MS:g}).\n",
            highlight=False,
        )
        try:
            played = asyncio.run(_play(console, sidecar, table, in_flight, deadline_ms))
        except asyncio.CancelledError:
            raise SystemExit(128 + signal.SIGTERM) from None
        logged = [sidecar.explain(s.decision.id) if s.decision.id else None for s in played.served]
    figures = figures_of(table, played.served, logged, outcomes=played.outcomes, elapsed_s=played.elapsed_s, seed=seed)
    console.print()
    number = worth_explaining(logged)
    if number is not None and (record := logged[number]):
        print_explanation(console, record, number, table, table.requests[number])
    print_report(console, figures)
    for reason, count in sorted(played.unacknowledged.items()):
        console.print(f"[bold yellow]{count} outcomes were not acknowledged[/]: {reason}")
    return figures, played.served


def drawn(table: Table, seed: int) -> Table:
    """Return the table with its requests and its modules in orders drawn by the seed."""
    draw = random.Random(seed)
    requests, modules = list(range(len(table.requests))), list(range(len(table.modules)))
    draw.shuffle(requests)
    draw.shuffle(modules)
    return table.shuffled(requests, modules)


def _introduce(console: Console, sidecar: Sidecar) -> None:
    info = sidecar.info()
    mode = Mode.Name(info.mode).removeprefix("MODE_").lower()
    console.print(
        f"Sidecar {info.version} is serving as process {sidecar.process_id}: mode {mode}, explorer {info.explorer}, "
        f"model {info.model_version[:12]}.",
        highlight=False,
    )


async def _play(console: Console, sidecar: Sidecar, table: Table, in_flight: int, deadline_ms: float) -> Pass:
    with _cancelled_by_sigterm():
        async with AsyncClient(sidecar.data_socket, deadline_ms=deadline_ms) as client:
            hub = Hub(client, table, in_flight=in_flight)
            with PassProgress(console, len(table.requests)) as progress:
                started = time.perf_counter()
                served = await hub.run(progress)
                elapsed_s = time.perf_counter() - started
        return Pass(served, hub.acknowledged, hub.unacknowledged, elapsed_s)


@contextmanager
def _cancelled_by_sigterm() -> Iterator[None]:
    # A handler that raises would do so wherever the thread happens to be, and inside grpc's loop that is a crash.
    task, loop, before = asyncio.current_task(), asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
    if task is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
