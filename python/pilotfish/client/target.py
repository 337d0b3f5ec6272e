"""Where the sidecar listens: one rule for the client and the server."""

import os
import re
import tempfile
from pathlib import Path
from typing import Final

from pilotfish.exceptions import InvalidInputError

TARGET_VARIABLE: Final = "PILOTFISH_TARGET"
MAX_SOCKET_PATH_BYTES: Final = 107
"""Linux keeps 108 bytes for a socket's path and its closing zero. A longer one fails deep inside gRPC, unexplained."""

_SCHEME: Final = re.compile(r"[a-z][a-z0-9-]*:(?!\d+$)")


def default_socket_path(name: str = "pilotfish.sock") -> Path:
    """Return where a sidecar listens if nobody says otherwise.

    The user's run-time directory if the session has one: it is private and cleared at logout. Else a directory of this
    user's in the temporary one.
    """
    runtime_directory = os.environ.get("XDG_RUNTIME_DIR")
    if runtime_directory:
        return Path(runtime_directory) / "pilotfish" / name
    return Path(tempfile.gettempdir()) / f"pilotfish-{os.getuid()}" / name


def resolve_target(target: str | os.PathLike[str] | None) -> str:
    """Return what gRPC is to dial.

    Args:
        target: `unix:/path`, a bare socket path, `host:port`, or another gRPC target. None: PILOTFISH_TARGET, else the
            default socket.

    Raises:
        InvalidInputError: It is empty, neither a path nor `host:port`, or a path that is too long for a socket.
    """
    if target is None:
        target = os.environ.get(TARGET_VARIABLE) or default_socket_path()
    if isinstance(target, os.PathLike):
        return _unix(os.fspath(target))
    if target.startswith("unix:"):
        return _unix(target.removeprefix("unix:"))
    if _SCHEME.match(target):
        return target
    if "/" in target or target.startswith(("~", ".")) or target.endswith(".sock"):
        return _unix(target)
    if ":" not in target:
        raise InvalidInputError(f"target == {target!r}, must be unix:/path, a socket's path, or host:port")
    return target


def is_socket(target: str) -> bool:
    """Return whether a resolved target is a Unix socket."""
    return target.startswith("unix")


def _unix(path: str) -> str:
    # unix:///path is the same as unix:/path; abspath alone would keep two leading slashes.
    absolute = os.path.abspath(os.path.expanduser("/" + path.lstrip("/") if path.startswith("//") else path))  # noqa: PTH100, PTH111 - Path would read "" as "."
    length = len(os.fsencode(absolute))
    if not path or length > MAX_SOCKET_PATH_BYTES:
        raise InvalidInputError(
            f"target == {path!r} ({length} bytes), must be a socket's path of 1 to {MAX_SOCKET_PATH_BYTES} bytes"
        )
    return f"unix:{absolute}"
