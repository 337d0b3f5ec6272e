"""The serving process loads with the lowest version of each dependency that pyproject.toml allows, and no extra."""

import subprocess

from tests.contract.checkout import LOWEST_PYTHON, ROOT

LOAD_EVERYTHING = """
import importlib, pkgutil
for part in ("cli", "client", "engine", "experience", "safety", "server", "v1"):
    package = importlib.import_module(f"pilotfish.{part}")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        # The dashboard is what `pilotfish top` imports, which needs the extra `cli`.
        if not module.name.endswith(("__main__", "cli.dashboard")):
            importlib.import_module(module.name)
"""


def test_the_serving_process_loads_at_the_floor_of_every_dependency() -> None:
    environment = {"PYTHONPATH": str(ROOT / "python")}
    command = [str(LOWEST_PYTHON), "-c", LOAD_EVERYTHING]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
