"""A pre-forking hub in small: forks workers, each of which asks for decisions, and then asks itself."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Any

from pilotfish.client import AsyncClient, Client, Decision


def ask(client: Client | AsyncClient, deadline_ms: float) -> str:
    result: Any = client.select_module("t", candidates=["a", "b"], deadline_ms=deadline_ms)
    decision: Decision = asyncio.run(result) if isinstance(result, Coroutine) else result
    return decision.source


def main(socket: str, kind: str, moment: str, n_workers: int, deadline_ms: float) -> None:
    make = Client if kind == "threads" else AsyncClient
    client = None if moment == "after_import" else make(socket)
    if client is not None and moment == "after_use":
        assert ask(client, deadline_ms) == "policy"
    children = []
    for _ in range(n_workers):
        child = os.fork()
        if child == 0:
            own = client or make(socket)
            os.write(1, f"worker {' '.join(ask(own, deadline_ms) for _ in range(3))}\n".encode())
            sys.exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0, "a worker has crashed"
    os.write(1, f"parent {ask(client or make(socket), deadline_ms)}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
