"""The README is short, and what it shows is what happens."""

import doctest
import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pilotfish.server.config import load
from pilotfish.server.settings import Settings
from tests.contract.checkout import ROOT
from tests.contract.readme_blocks import Call, blocks, calls, commands, start_command

README = ROOT / "README.md"
MAX_LINES = 150
START_LIMIT_S = 30.0

PAGE = README.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def place() -> Iterator[dict[str, str]]:
    """An environment in which nothing of the reader's machine is touched; short, as socket paths must be."""
    with tempfile.TemporaryDirectory(prefix="pf") as folder:
        Path(folder, ".venv").symlink_to(ROOT / ".venv")
        home = Path(folder, "home")
        home.mkdir()
        names = ("HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
        path = f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
        yield {"PATH": path, "PWD": folder, "XDG_RUNTIME_DIR": folder} | dict.fromkeys(names, str(home))


@pytest.fixture(scope="module")
def sidecar(place: dict[str, str]) -> Iterator[dict[str, str]]:
    """The sidecar, started as the README says, in the temporary place; ends by SIGTERM."""
    with subprocess.Popen(shlex.split(start_command(PAGE)), cwd=place["PWD"], env=place) as process:
        try:
            wait_until_serving(Path(place["XDG_RUNTIME_DIR"], "pilotfish/pilotfish.sock"))
            yield place
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=START_LIMIT_S)


def wait_until_serving(socket: Path) -> None:
    """Waits for the health service on the default socket."""
    options = [("grpc.default_authority", "localhost"), ("grpc.max_reconnect_backoff_ms", 100)]
    with grpc.insecure_channel(f"unix:{socket}", options=options) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch  # type: ignore[attr-defined]  # the stub package has no methods
        # Sockets listen a moment before health says so: a look in between would see what is true.
        answers = watch(health_pb2.HealthCheckRequest(), timeout=START_LIMIT_S, wait_for_ready=True)
        assert any(answer.status == health_pb2.HealthCheckResponse.SERVING for answer in answers)


def test_the_readme_is_short() -> None:
    assert len(PAGE.splitlines()) <= MAX_LINES


def test_each_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {command.split()[1] for command in commands(PAGE) if command.startswith("make ")}

    assert named - targets == set()


def test_each_file_that_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE)

    assert [link for link in links if not (ROOT / link).exists()] == []


def test_each_configuration_of_the_readme_is_one(tmp_path: Path) -> None:
    written = [block.body for block in blocks(PAGE) if block.language == "yaml"]
    assert written
    for number, body in enumerate(written):
        file = tmp_path / f"{number}.yaml"
        file.write_text(body)
        assert load(environ={}, file=file).settings != Settings()


def test_each_block_says_what_it_is() -> None:
    assert [block.body for block in blocks(PAGE) if block.language == ""] == []


@pytest.mark.xfail("pilotfish serve" not in PAGE, reason="the README is still a placeholder", strict=True)
def test_the_calls_of_the_readme_print_what_it_says(sidecar: dict[str, str]) -> None:
    shown = calls(PAGE)
    assert shown, "the README must have a python block"

    for call in shown:
        printed = run(call.program, sidecar)
        same = doctest.OutputChecker().check_output(call.printed, printed, doctest.ELLIPSIS)
        assert same, f"the README says:\n{call.printed}\nbut this was printed:\n{printed}"


def run(program: str, place: dict[str, str]) -> str:
    command = [str(ROOT / ".venv/bin/python"), "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=place["PWD"], env=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


SAMPLE = """
```console
$ make build
$ .venv/bin/pilotfish serve &
ready
```
```python
print(1)
```
```text
...
```
```python
pass
```
"""


def test_the_convention_of_the_blocks_is_read() -> None:
    assert commands(SAMPLE) == ["make build", ".venv/bin/pilotfish serve &"]
    assert start_command(SAMPLE) == ".venv/bin/pilotfish serve"
    assert calls(SAMPLE) == [Call("print(1)\n", "...\n"), Call("pass\n", "")]
