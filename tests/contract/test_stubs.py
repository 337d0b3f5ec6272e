"""The committed stubs are what the proto files say, and load wherever a hub may run."""

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.contract.checkout import GENERATED, OLDEST_PYTHON, ROOT, generate

# Loads the stubs and all of the client, sends every message through its bytes, and says with what.
EXERCISE = """
import importlib, pkgutil, sys
import google.protobuf, grpc
import pilotfish, pilotfish.client, pilotfish.v1 as v1
for module in pkgutil.walk_packages(pilotfish.client.__path__, "pilotfish.client."):
    importlib.import_module(module.name)
for name in v1.__all__:
    exported = getattr(v1, name)
    if hasattr(exported, "FromString"):
        assert exported.FromString(exported().SerializeToString()) == exported(), name
channel = grpc.insecure_channel("unix:/nowhere")
v1.DecisionServiceStub(channel), v1.OutcomeServiceStub(channel), v1.ControlServiceStub(channel)
channel.close()
print(grpc.__version__, google.protobuf.__version__, "pilotfish._core" in sys.modules)
"""


def exercise(python: Path) -> str:
    """Runs the exercise where the package is found by path and only the client's needs are installed."""
    command = [str(python), "-W", "error", "-c", EXERCISE]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT / "python")}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def files_under(root: Path) -> dict[str, bytes]:
    folder = root / GENERATED.removeprefix("python/")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_committed_stubs_are_what_the_proto_files_generate(tmp_path: Path) -> None:
    generate("--stubs", tmp_path)

    committed, generated = files_under(ROOT / "python"), files_under(tmp_path)
    stale = sorted(name for name in committed | generated if committed.get(name) != generated.get(name))
    assert stale == [], "run `make proto` and commit what it changes"


def test_client_and_stubs_load_on_the_oldest_promised_runtime() -> None:
    assert exercise(OLDEST_PYTHON) == "1.66.2 5.27.2 False"


def test_client_and_stubs_load_on_the_newest_runtime() -> None:
    assert exercise(Path(sys.executable)).endswith("False")


def test_the_oldest_runtime_is_the_floor_of_the_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = dict(line.split("==") for line in (ROOT / "requirements/oldest.in").read_text().split() if "==" in line)

    for name, version in pins.items():
        assert any(need.startswith(f"{name}>={version},") for need in project["dependencies"]), name
