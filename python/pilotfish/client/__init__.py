"""What a hub imports. It needs grpcio, protobuf and googleapis-common-protos, and nothing else of Pilotfish.

from pilotfish import Client

with Client() as sidecar:
    decision = sidecar.select_module("extract_pdf", candidates=["marker", "pypdf"], features={"pages": 12})
    ...
    sidecar.record_outcome(decision, completion=1.0, latency_ms=840)
"""

from pilotfish.client.aio import AsyncClient
from pilotfish.client.circuit import CircuitSettings
from pilotfish.client.decision import Decision, Explanation, RankedModule, RemovedModule
from pilotfish.client.module import Module
from pilotfish.client.receipt import Receipt
from pilotfish.client.request import outcome_request, select_request
from pilotfish.client.sync import Client

__all__ = [
    "AsyncClient",
    "CircuitSettings",
    "Client",
    "Decision",
    "Explanation",
    "Module",
    "RankedModule",
    "Receipt",
    "RemovedModule",
    "outcome_request",
    "select_request",
]
