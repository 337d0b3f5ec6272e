"""A socket, a sidecar that does as it is told, and both clients."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.service.client.fake_sidecar import FakeSidecar, serving
from tests.service.client.sidecar_process import SidecarProcess
from tests.service.client.twin import Twin

OpenTwin: TypeAlias = Callable[..., Twin]


@pytest.fixture
def socket() -> Iterator[str]:
    """A path that is short enough for a socket, which pytest's own temporary paths may not be."""
    with tempfile.TemporaryDirectory() as directory:
        yield str(Path(directory) / "pilotfish.sock")


@pytest.fixture(params=["threads", "asyncio"])
def open_twin(request: pytest.FixtureRequest, socket: str) -> Iterator[OpenTwin]:
    """Make clients of one kind for the socket; they are closed at the end."""
    opened: list[Twin] = []

    def open_one(**settings: Any) -> Twin:  # noqa: ANN401 - the client's own arguments
        opened.append(Twin(request.param, socket, **settings))
        return opened[-1]

    yield open_one
    for twin in opened:
        twin.shut()


@pytest.fixture
def sidecar(socket: str) -> Iterator[FakeSidecar]:
    """A fake in this process, serving the socket."""
    fake = FakeSidecar()
    with serving(socket, fake):
        yield fake


@pytest.fixture
def sidecar_process(socket: str) -> Iterator[SidecarProcess]:
    """A fake in its own process, serving the socket."""
    with SidecarProcess(socket) as process:
        yield process
