"""What importing the client costs a hub."""

import subprocess
import sys

UNWANTED = ("pilotfish._core", "pilotfish.engine", "pilotfish.server", "msgspec", "numpy", "grpc_status", "structlog")


def test_the_client_loads_nothing_of_the_server() -> None:
    script = f"import sys, pilotfish.client; print([name for name in {UNWANTED!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"
