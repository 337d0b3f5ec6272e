"""A hub that forks its workers, before or after the client was used."""

import subprocess
import sys
from pathlib import Path

import pytest

PARENT = Path(__file__).with_name("forking_parent.py")
N_WORKERS = 3


def run_parent(socket: str, kind: str, moment: str, deadline_ms: float) -> tuple[list[str], str]:
    """Return what the workers and then the parent say, and what was logged."""
    arguments = [socket, kind, moment, str(N_WORKERS), str(deadline_ms)]
    parent = subprocess.run(
        [sys.executable, str(PARENT), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert parent.returncode == 0, parent.stderr
    return parent.stdout.splitlines(), parent.stderr


@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        ("threads", "after_import"),
        ("asyncio", "after_import"),
        ("threads", "after_construction"),
        ("asyncio", "after_construction"),
        ("threads", "after_use"),
    ],
)
@pytest.mark.usefixtures("sidecar_process")
def test_every_worker_gets_its_decisions(socket: str, kind: str, moment: str) -> None:
    said, _ = run_parent(socket, kind, moment, deadline_ms=10_000.0)
    assert said == ["worker policy policy policy"] * N_WORKERS + ["parent policy"]


@pytest.mark.usefixtures("sidecar_process")
def test_a_worker_whose_parent_has_used_asyncio_channels_falls_back_instead_of_hanging(socket: str) -> None:
    said, logged = run_parent(socket, "asyncio", "after_use", deadline_ms=500.0)
    assert said == ["worker fallback fallback fallback"] * N_WORKERS + ["parent policy"]
    assert logged.count("answering locally") == N_WORKERS
