"""Calls to modules that fail and heal, under a clock that nobody waits for."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pilotfish.safety.breakers import Breakers, BreakerSettings, State

Choice = Literal["even", "fastest"]
BAD = "m0"


@dataclass(frozen=True)
class Event:
    """What the breakers were told, so that it can be told again."""

    module: str
    now_s: float
    probe_id: bytes
    failed: bool | None
    """None: a probe began."""

    def tell(self, breakers: Breakers) -> None:
        if self.failed is None:
            breakers.begin_probe(self.module, self.probe_id, self.now_s)
        else:
            breakers.record(self.module, failed=self.failed, latency_ms=1.0, now_s=self.now_s, probe_id=self.probe_id)


@dataclass
class Traffic:
    """A hub that asks `rate` times a second; each outcome comes `delay_s` after its decision.

    Args:
        n_modules: The first one is called BAD.
        rate: Decisions per second.
        delay_s: From a decision to its outcome.
        failure_share: By module and decision time, the probability that the call fails.
        choice: even: the candidates take turns. fastest: always who answered fastest, and failures take 1 ms where
            successes take 100 ms, so that without breakers a module that fails gets everything.
        loses: Share of outcomes that never come.
    """

    n_modules: int
    rate: float
    delay_s: float
    failure_share: Callable[[str, float], float]
    choice: Choice = "even"
    loses: float = 0.0
    seed: int = 0
    settings: BreakerSettings = field(default_factory=BreakerSettings)

    def __post_init__(self) -> None:
        self.names = [f"m{index}" for index in range(self.n_modules)]
        self.now_s = 0.0
        self.served: list[tuple[float, str, bool]] = []  # decision time, module, whether a probe
        self.changes: list[tuple[float, str, State, State]] = []
        self.events: list[Event] = []
        self.breakers = Breakers(self.settings, lambda *change: self.changes.append((self.now_s, *change)))
        self._random = random.Random(self.seed)
        self._pending: list[tuple[float, int, str, bool, bytes]] = []
        self._latency_ms = dict.fromkeys(self.names, 50.0)
        self._n_decisions = 0

    def run(self, until: Callable[[], bool]) -> None:
        """Decide until told to stop."""
        while not until():
            self.now_s = self._n_decisions / self.rate
            self._deliver()
            self._decide()
            self._n_decisions += 1

    def run_for(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        self.run(lambda: self.now_s >= end_s)

    def changed_to(self, state: State) -> list[float]:
        """When BAD entered a state."""
        return [at_s for at_s, module, _, after in self.changes if module == BAD and after == state]

    def _deliver(self) -> None:
        decided_s = self.now_s
        while self._pending and self._pending[0][0] <= decided_s:
            self.now_s, _, module, failed, probe_id = heapq.heappop(self._pending)
            self._latency_ms[module] += 0.2 * ((1.0 if failed else 100.0) - self._latency_ms[module])
            self._tell(Event(module, self.now_s, probe_id, failed))
        self.now_s = decided_s

    def _decide(self) -> None:
        ejection = self.breakers.eject(self.names, self.now_s)
        legal = [index for index in range(self.n_modules) if index not in ejection.ejected]
        assert legal
        well = [index for index in legal if index not in ejection.probing]
        is_probe = bool(ejection.probing) and (not well or self._random.random() < self.settings.probe_share)
        module = self.names[self._random.choice(ejection.probing) if is_probe else self._choose(well)]
        probe_id = str(self._n_decisions).encode() if is_probe else b""
        if is_probe:
            self._tell(Event(module, self.now_s, probe_id, None))
        self.served.append((self.now_s, module, is_probe))
        failed = self._random.random() < self.failure_share(module, self.now_s)
        if self._random.random() >= self.loses:
            due_s = self.now_s + self.delay_s + 1e-6
            heapq.heappush(self._pending, (due_s, self._n_decisions, module, failed, probe_id))

    def _choose(self, well: list[int]) -> int:
        if self.choice == "fastest":
            return min(well, key=lambda index: self._latency_ms[self.names[index]])
        return well[self._n_decisions % len(well)]

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        event.tell(self.breakers)
