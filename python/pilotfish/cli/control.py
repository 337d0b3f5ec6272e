"""How commands talk to a running sidecar."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
import grpc
from google.protobuf.message import Message

from pilotfish.server.config import ConfigurationError, load
from pilotfish.server.settings import Settings

DEADLINE_S: Final = 5.0
"""A person is waiting; a sidecar that needs longer for a look inside has a problem worth reporting."""
EXIT_UNREACHABLE: Final = 69

ResponseT = TypeVar("ResponseT", bound=Message)


def socket_option(setting: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option that names the socket of a command; it is resolved as the sidecar resolves its own."""
    return click.option(
        "--socket",
        type=click.Path(path_type=Path),
        help=f"The sidecar's {setting}. Default: as configured for `serve`.",
    )


def settings_of(flags: Mapping[str, str] | None = None) -> Settings:
    """Return the settings that `serve` would have here; ends the command if they are wrong."""
    try:
        return load(flags).settings
    except ConfigurationError as error:
        for fault in error.faults:
            click.echo(f"pilotfish: {fault}", err=True)
        sys.exit(64)


def control_socket(socket: Path | None) -> Path:
    """Return the control socket that is meant."""
    return socket or settings_of().control.socket_path


def call(socket: Path, service: str, method: str, request: Message, response_class: type[ResponseT]) -> ResponseT:
    """Return the answer of a running sidecar; ends the command with a message if there is none."""
    options = (("grpc.default_authority", "localhost"),)
    with grpc.insecure_channel(f"unix:{socket.absolute()}", options) as channel:
        remote: grpc.UnaryUnaryMultiCallable[Message, ResponseT] = channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response_class.FromString,
        )
        try:
            return remote(request, timeout=DEADLINE_S)
        except grpc.RpcError as error:
            _fail(socket, error)


def control(socket: Path | None, method: str, request: Message, response_class: type[ResponseT]) -> ResponseT:
    """Return the answer of ControlService."""
    return call(control_socket(socket), "pilotfish.v1.ControlService", method, request, response_class)


def _fail(socket: Path, error: grpc.RpcError) -> NoReturn:
    code, details = error.code(), error.details() or ""
    if code not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        click.echo(f"pilotfish: {details or code.name}", err=True)
        sys.exit(1)
    if not socket.exists():
        hint = "there is no such socket; start a sidecar with `pilotfish serve`, or name its socket with --socket"
    elif "Permission denied" in details:
        hint = (
            "this user may not connect; join the socket's group, or set data.socket_mode where the sidecar is started"
        )
    else:
        hint = f"nobody answers ({details})"
    click.echo(f"pilotfish: {socket}: {hint}", err=True)
    sys.exit(EXIT_UNREACHABLE)
