"""A server that tests of one file share as long as they do not stop or reconfigure it."""

from collections.abc import Iterator

import pytest

from tests.service.running_server import Server, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A running server with health and metrics ports."""
    with running_server(management=True, policy__mode="on") as running:
        yield running
