"""Where the client looks for the sidecar."""

import os
import tempfile
from pathlib import Path

import pytest

from pilotfish.client.target import default_socket_path, resolve_target
from pilotfish.exceptions import InvalidInputError


@pytest.mark.parametrize(
    ("given", "dialled"),
    [
        ("unix:/run/pilotfish/pilotfish.sock", "unix:/run/pilotfish/pilotfish.sock"),
        ("unix:///run/pilotfish.sock", "unix:/run/pilotfish.sock"),
        ("/run/pilotfish.sock", "unix:/run/pilotfish.sock"),
        (Path("/run/pilotfish.sock"), "unix:/run/pilotfish.sock"),
        ("/run/a/../pilotfish.sock", "unix:/run/pilotfish.sock"),
        ("localhost:50051", "localhost:50051"),
        ("127.0.0.1:50051", "127.0.0.1:50051"),
        ("[::1]:50051", "[::1]:50051"),
        ("dns:///sidecar:50051", "dns:///sidecar:50051"),
        ("unix-abstract:pilotfish", "unix-abstract:pilotfish"),
    ],
)
def test_each_way_to_name_a_target_is_understood(given: str | Path, dialled: str) -> None:
    assert resolve_target(given) == dialled


@pytest.mark.parametrize("given", ["pilotfish.sock", "./pilotfish.sock", "unix:pilotfish.sock"])
def test_a_relative_path_is_bound_to_the_working_directory_of_now(given: str) -> None:
    assert resolve_target(given) == f"unix:{Path.cwd() / 'pilotfish.sock'}"


def test_the_environment_names_the_target_if_the_caller_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILOTFISH_TARGET", "localhost:7001")
    assert resolve_target(None) == "localhost:7001"


def test_the_default_socket_is_in_the_runtime_directory_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PILOTFISH_TARGET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert resolve_target(None) == "unix:/run/user/7/pilotfish/pilotfish.sock"


def test_the_default_socket_is_this_users_temporary_one_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    expected = Path(tempfile.gettempdir()) / f"pilotfish-{os.getuid()}" / "control.sock"
    assert default_socket_path("control.sock") == expected


@pytest.mark.parametrize("given", ["", "sidecar", "unix:"])
def test_what_is_no_target_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PILOTFISH_TARGET", raising=False)
    with pytest.raises(InvalidInputError, match="must be"):
        resolve_target(given)


def test_a_path_that_fits_no_socket_is_refused_with_its_length() -> None:
    longest = "/" + "a" * 106
    assert resolve_target(longest) == f"unix:{longest}"
    with pytest.raises(InvalidInputError, match=r"\(108 bytes\), must be a socket's path of 1 to 107 bytes"):
        resolve_target(longest + "a")
