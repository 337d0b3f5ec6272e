"""The three acts, as they happen: every line is a change that the sidecar logged or a thing that the hub did."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console

from pilotfish.client import AsyncClient
from pilotfish.exceptions import StateError
from pilotfish.simulate.demonstration import drawn
from pilotfish.simulate.rollout.bad_model import write_bad_model
from pilotfish.simulate.rollout.hub import Event, LoadedHub
from pilotfish.simulate.sidecar import CALL_TIMEOUT_S, Sidecar, running_sidecar
from pilotfish.simulate.table import load_table
from pilotfish.v1 import (
    GetRolloutRequest,
    GetRolloutResponse,
    KeepModelVersionRequest,
    ListChangesRequest,
    PromoteRequest,
)

IN_FLIGHT: Final = 8
POLL_S: Final = 0.1
STAGE_S: Final = 2.0
"""Least time of a stage; in service it is an hour."""
MIN_OUTCOMES: Final = 100
OPEN_S: Final = 3.0
"""How long a tripped breaker stays open; in service 10 s."""
SETTINGS: Final = {
    "PILOTFISH_POLICY__MODE": "rollout",
    "PILOTFISH_POLICY__ROLLOUT_SHARE": "0.05",
    "PILOTFISH_ROLLOUT__MIN_STAGE_S": f"{STAGE_S}",
    "PILOTFISH_ROLLOUT__OUTCOME_WINDOW_S": "1",
    "PILOTFISH_ROLLOUT__MIN_OUTCOMES": f"{MIN_OUTCOMES}",
    "PILOTFISH_ROLLOUT__GUARDRAILS": "{reward: 0.03, completion: 0.03}",
    "PILOTFISH_SAFETY__BREAKERS": f"{{open_s: {OPEN_S}}}",
}
ACT_S: Final = {"rise": 120.0, "bad version": 30.0, "ejection": 20.0, "return": 30.0}
"""How long each act may take before the demo gives up."""
BAD_SHARE: Final = 0.25


@dataclass(slots=True)
class Story:
    """What happened when; times are the hub's, in seconds."""

    changes: list[tuple[float, float, str]] = field(default_factory=list)
    """(time, the policy's share from then on, what was done)."""
    lines: list[tuple[float, str]] = field(default_factory=list)
    breaker: list[tuple[float, str]] = field(default_factory=list)
    """(time, state from then on) of the module that dies."""
    victim: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


def tell(console: Console, seed: int) -> Story:
    """Play the three acts and return what happened.

    Raises:
        StateError: An act did not come to its end in time; the message says which.
    """
    with running_sidecar(SETTINGS) as sidecar:
        return asyncio.run(_Stage(console, sidecar, seed).play())


class _Stage:
    def __init__(self, console: Console, sidecar: Sidecar, seed: int) -> None:
        self._console = console
        self._control = sidecar.control
        self._sidecar = sidecar
        self._seed = seed
        self._story = Story()
        self._seen = 0

    async def play(self) -> Story:
        table = drawn(load_table(), self._seed)
        means = [sum(request.qualities[place] for request in table.requests) for place in range(len(table.modules))]
        baseline = table.modules[sorted(range(len(means)), key=means.__getitem__)[len(means) // 2]].name
        async with AsyncClient(self._sidecar.data_socket) as client:
            self._hub = LoadedHub(client, table, baseline)
            running = asyncio.create_task(self._hub.run(IN_FLIGHT))
            try:
                self._say(f"the hub sends {IN_FLIGHT} tasks at once; by itself it would always choose {baseline}")
                await self._rise()
                await self._bad_version(table)
                await self._death()
            finally:
                self._hub.stop()
                await running
        self._story.events = self._hub.events
        self._sum_up()
        return self._story

    async def _rise(self) -> None:
        started_s = self._hub.now_s
        await self._until("rise", lambda now: now.exposure.rollout_share >= 1.0)
        self._story.figures["rise_s"] = self._hub.now_s - started_s

    async def _bad_version(self, table: object) -> None:
        del table
        with tempfile.TemporaryDirectory(prefix="pilotfish-bad-") as directory:
            path = write_bad_model(self._hub.table, Path(directory), self._seed)
            kept = self._control.KeepModelVersion(
                KeepModelVersionRequest(actor="demo", note="a wrong sign", path=str(path)), timeout=CALL_TIMEOUT_S
            )
        version = kept.version.version
        begun, started_s = len(self._hub.events), self._hub.now_s
        self._control.Promote(
            PromoteRequest(
                actor="demo",
                reason="somebody is in a hurry",
                policy_version=version,
                rollout_share=BAD_SHARE,
                force=True,
            ),
            timeout=CALL_TIMEOUT_S,
        )
        await self._until("bad version", lambda now: now.exposure.action == "rollback")
        harmed = sum(event.source == "policy" for event in self._hub.events[begun:])
        self._story.figures |= {"rollback_s": self._hub.now_s - started_s, "harmed": float(harmed)}
        self._say(f"{harmed} tasks went to the bad version")

    async def _death(self) -> None:
        victim = self._story.victim = self._hub.favourite(500)
        self._say(
            f"{victim}, the favourite with {self._hub.share_of(victim, 500):.0%} of the tasks, dies: it fails in 1 ms"
        )
        self._hub.dead.add(victim)
        begun, started_s = len(self._hub.events), self._hub.now_s
        await self._until("ejection", lambda now: self._state(now) == "open")
        self._story.figures["ejection_s"] = self._hub.now_s - started_s
        failed = sum(event.module == victim for event in self._hub.events[begun:])
        self._say(f"ejected after {failed} failures")
        at = len(self._hub.events)
        await self._pass(lambda: len(self._hub.events) >= at + 400)
        self._story.figures["dead_share"] = self._hub.share_of(victim, 400)
        self._say(f"its share of the next 400 tasks: {self._story.figures['dead_share']:.1%}")
        self._hub.dead.clear()
        healed_s = self._hub.now_s
        self._say(f"{victim} works again")
        await self._until("return", lambda now: self._state(now) == "closed")
        self._story.figures |= {"return_s": self._hub.now_s - healed_s, "failures": float(failed)}
        at = len(self._hub.events)
        await self._pass(lambda: len(self._hub.events) >= at + 600)
        self._say(f"its share of the tasks since: {self._hub.share_of(victim, 600):.0%}")

    def _state(self, now: GetRolloutResponse) -> str:
        return next((breaker.state for breaker in now.breakers if breaker.module == self._story.victim), "closed")

    async def _until(self, act: str, is_over: Callable[[GetRolloutResponse], bool]) -> None:
        deadline_s = self._hub.now_s + ACT_S[act]
        while self._hub.now_s < deadline_s:
            await asyncio.sleep(POLL_S)
            now = await asyncio.to_thread(self._control.GetRollout, GetRolloutRequest(), timeout=CALL_TIMEOUT_S)
            self._note(now)
            if is_over(now):
                return
        reasons = "; ".join(now.verdict_reasons)
        raise StateError(f"act {act!r} did not end within {ACT_S[act]:g} s: verdict {now.verdict}: {reasons}")

    async def _pass(self, is_over: Callable[[], bool]) -> None:
        while not is_over():  # noqa: ASYNC110  the hub counts, it does not signal
            await asyncio.sleep(POLL_S)

    def _note(self, now: GetRolloutResponse) -> None:
        """Tell what has changed since the last look."""
        if now.exposure.number != self._seen:
            answer = self._control.ListChanges(ListChangesRequest(page_size=20), timeout=CALL_TIMEOUT_S)
            for change in sorted(answer.changes, key=lambda change: change.number):
                if change.number > self._seen:
                    self._seen = change.number
                    self._story.changes.append((self._hub.now_s, change.rollout_share, change.action))
                    self._say(f"{change.action} to {change.rollout_share:.0%} by {change.actor}: {change.reason}")
        if self._story.victim and (state := self._state(now)) != (self._story.breaker or [(0.0, "closed")])[-1][1]:
            self._story.breaker.append((self._hub.now_s, state))
            self._say(f"breaker of {self._story.victim}: {state.replace('_', ' ')}")

    def _say(self, line: str) -> None:
        self._story.lines.append((self._hub.now_s, line))
        self._console.print(f"[dim]{self._hub.now_s:6.1f} s[/]  {line}", highlight=False)

    def _sum_up(self) -> None:
        events = self._story.events
        self._story.figures |= {
            "tasks": float(len(events)),
            "seconds": self._hub.now_s,
            "quality": sum(event.quality for event in events) / len(events),
            "baseline_quality": sum(event.baseline_quality for event in events) / len(events),
        }
