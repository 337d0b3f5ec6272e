"""gRPC servers for plain handlers: bytes in, bytes out."""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final, NamedTuple

import grpc

from pilotfish.exceptions import StateError
from pilotfish.server.socket_file import SocketFile

RECEIVE_BYTES: Final = 8 * 2**20
"""What gRPC itself lets through: well above the dispatcher's limit, whose error names the reason and the rule."""
PING_INTERVAL_MS: Final = 10_000
"""Least time between a client's pings; with gRPC's own five minutes a client that pings sooner is cut off."""


class Route(NamedTuple):
    """One method and what answers it."""

    service: str
    method: str
    handler: Callable[[bytes, grpc.ServicerContext], bytes]


def thread_pool(name: str, thread_count: int) -> ThreadPoolExecutor:
    """Return an executor whose threads bear a name. It starts none before it is used."""
    return ThreadPoolExecutor(thread_count, thread_name_prefix=f"pilotfish-{name}")


def build_server(executor: Executor, routes: Iterable[Route] = (), *, max_concurrent: int) -> grpc.Server:
    """Return a server that is bound to nothing yet.

    Args:
        executor: Where handlers run.
        routes: What is served, as raw bytes: a malformed message is the handler's to refuse.
        max_concurrent: Calls in flight before further ones are refused.
    """
    server = grpc.server(
        executor,  # type: ignore[arg-type]  # any executor does, see grpc/grpc #7632
        maximum_concurrent_rpcs=max_concurrent,
        options=(
            ("grpc.max_receive_message_length", RECEIVE_BYTES),
            ("grpc.max_concurrent_streams", max_concurrent),
            ("grpc.so_reuseport", 0),  # a port in use must be an error, not shared
            ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_INTERVAL_MS),
            ("grpc.keepalive_permit_without_calls", 1),
        ),
    )
    services: dict[str, dict[str, grpc.RpcMethodHandler[bytes, bytes]]] = {}
    for service, method, handler in routes:
        # No (de)serialisers: None means the bytes as they are.
        services.setdefault(service, {})[method] = grpc.unary_unary_rpc_method_handler(handler)
    for service, handlers in services.items():
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        server.add_registered_method_handlers(service, handlers)
    return server


def bind_socket(server: grpc.Server, file: SocketFile) -> None:
    """Bind a server to a Unix socket.

    Raises:
        StateError: The system refuses.
    """
    try:
        with file.binding() as address:
            server.add_insecure_port(address)
    except RuntimeError as error:
        raise StateError(f"socket {file.path} cannot be bound: {error}") from error


def bind_tcp(server: grpc.Server, host: str, port: int) -> None:
    """Bind a server to a TCP port.

    Raises:
        StateError: It is in use, or the host is not an address of this machine.
    """
    address = f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if bound != port:
        raise StateError(f"{address} cannot be bound: it is in use, or not an address of this machine")
