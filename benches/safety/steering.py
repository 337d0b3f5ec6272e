"""Manual rollback under load: how long the call takes, and whether it is in force for whoever asks after it."""

import json
import threading
import time
from typing import Any, Final

import grpc

from pilotfish import v1
from tests.service.running_server import Server, running_server

HUBS: Final = 4
"""Threads that decide as fast as they are answered."""
ASKED: Final = 5
"""Decisions that are asked of each rollback, after it has returned and before the next promotion."""
MODULES: Final = [v1.Module(name=name) for name in "abcdefghij"]


class _Hub(threading.Thread):
    """Decides until told to stop."""

    def __init__(self, server: Server, name: str, over: threading.Event) -> None:
        super().__init__(name=name)
        self.count = self.failed = 0
        self._stub, self._over = server.decisions, over

    def run(self) -> None:
        """Decide for one unit after another."""
        while not self._over.is_set():
            try:
                decide(self._stub, f"{self.name}-{self.count}")
            except grpc.RpcError:
                self.failed += 1
            self.count += 1


def campaign(seconds: float) -> dict[str, Any]:
    """Alternate rollback and forced promotion under load.

    Args:
        seconds: How long.

    Returns:
        Rollbacks and the quantiles of their latency in milliseconds; decisions under load, failed calls, and decisions
        that were asked after a rollback had returned and were served by the policy nevertheless.
    """
    latencies_ms: list[float] = []
    late = 0
    with running_server(policy__mode="on") as server:
        control, over = server.control, threading.Event()
        hubs = [_Hub(server, f"hub{number}", over) for number in range(HUBS)]
        for hub in hubs:
            hub.start()
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                began = time.perf_counter()
                control.Rollback(v1.RollbackRequest(actor="bench"), timeout=5)
                latencies_ms.append(1e3 * (time.perf_counter() - began))
                for i in range(ASKED):
                    decision = decide(server.decisions, f"after-{len(latencies_ms)}-{i}")
                    late += decision.source == v1.DECISION_SOURCE_POLICY
                control.Promote(v1.PromoteRequest(actor="bench", rollout_share=1.0, force=True), timeout=5)
        finally:
            over.set()
            for hub in hubs:
                hub.join()
    latencies_ms.sort()
    return {
        "rollbacks": len(latencies_ms),
        "p50_ms": round(_quantile(latencies_ms, 0.5), 2),
        "p99_ms": round(_quantile(latencies_ms, 0.99), 2),
        "max_ms": round(latencies_ms[-1], 2),
        "decisions": sum(hub.count for hub in hubs),
        "failed": sum(hub.failed for hub in hubs),
        "late": late,
    }


def decide(stub: v1.DecisionServiceStub, unit: str) -> v1.Decision:
    """Ask for a module for one unit."""
    request = v1.SelectModuleRequest(task=v1.Task(type="t"), candidates=MODULES, unit_id=unit, baseline_module="a")
    return stub.SelectModule(request, timeout=5).decision


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


if __name__ == "__main__":
    print(json.dumps(campaign(30.0)))
