"""A socket's path: one owner, right permissions, nothing of others deleted."""

import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pilotfish.exceptions import StateError
from pilotfish.server.socket_file import SocketFile


@pytest.fixture
def directory() -> Iterator[Path]:
    with TemporaryDirectory(prefix="pf-") as short:  # pytest's own paths are too long for a socket
        yield Path(short)


def bind(file: SocketFile) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX)
    with file.binding() as address:
        bound.bind(address.removeprefix("unix:"))
    return bound


def test_a_missing_directory_is_made_for_this_user_alone(directory: Path) -> None:
    file = SocketFile(directory / "a" / "data.sock", 0o660)

    assert stat.S_IMODE((directory / "a").stat().st_mode) == 0o700
    file.release()


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_the_socket_has_its_mode_from_the_start_and_the_umask_is_put_back(directory: Path, mode: int) -> None:
    before = os.umask(0o022)
    try:
        file = SocketFile(directory / "data.sock", mode)
        bound = bind(file)

        assert stat.S_IMODE(file.path.stat().st_mode) == mode
        assert os.umask(0o022) == 0o022
        bound.close()
        file.release()
    finally:
        os.umask(before)


def test_a_second_claim_is_refused_and_the_socket_stays(directory: Path) -> None:
    first = SocketFile(directory / "data.sock", 0o660)
    bound = bind(first)

    with pytest.raises(StateError, match=f"is served by process {os.getpid()}; stop it or choose another socket"):
        SocketFile(directory / "data.sock", 0o660)

    assert first.path.exists()
    bound.close()
    first.release()


def test_a_stale_socket_is_removed(directory: Path) -> None:
    path = directory / "data.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))

    file = SocketFile(path, 0o660)

    assert not path.exists()
    file.release()


def test_a_released_path_can_be_claimed_again(directory: Path) -> None:
    first = SocketFile(directory / "data.sock", 0o660)
    bind(first).close()
    first.release()

    assert not first.path.exists()
    SocketFile(directory / "data.sock", 0o660).release()


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
def test_what_is_no_socket_is_left_alone(directory: Path, make: "object") -> None:
    path = directory / "data.sock"
    make(path)  # type: ignore[operator]

    with pytest.raises(StateError, match="is there already and not a socket"):
        SocketFile(path, 0o660)

    assert path.exists()


def test_a_symbolic_link_is_not_followed(directory: Path) -> None:
    (directory / "data.sock").symlink_to(directory / "elsewhere")

    with pytest.raises(StateError, match="not a socket"):
        SocketFile(directory / "data.sock", 0o660)


def test_a_directory_of_another_user_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    owner = directory.stat().st_uid
    other = os.stat_result([*directory.stat()[:4], owner or 12345, *directory.stat()[5:]])
    monkeypatch.setattr(Path, "stat", lambda *_, **__: other)

    with pytest.raises(StateError, match=re.escape(f"belongs to uid {other.st_uid}, must belong to this user or root")):
        SocketFile(directory / "data.sock", 0o660)


def test_a_directory_that_cannot_be_made_is_named(directory: Path) -> None:
    (directory / "file").touch()

    with pytest.raises(StateError, match="cannot be made: "):
        SocketFile(directory / "file" / "data.sock", 0o660)
