"""The real sidecar with one more method on its data socket: an echo. Started by `bench_round_trip.py`.

The echo shares the process, the socket, the transport and the executor with SelectModule, so the ratio of the two is
what Pilotfish itself costs.
"""

import signal
import threading

import grpc

from pilotfish.server import app, config, transport

ECHO = "/pilotfish.bench.Echo/Echo"


def echo(content: bytes, _: grpc.ServicerContext) -> bytes:
    """Return what came."""
    return content


def main() -> None:
    """Serve until SIGTERM, as `pilotfish serve` does."""
    build, service, method = transport.build_server, *ECHO.lstrip("/").split("/")

    def build_with_echo(executor: object, routes: tuple[transport.Route, ...] = (), **options: int) -> grpc.Server:
        extra = [transport.Route(service, method, echo)] if routes else []
        return build(executor, [*routes, *extra], **options)  # type: ignore[arg-type]

    transport.build_server = build_with_echo  # type: ignore[assignment]
    sidecar = app.Sidecar(config.load())
    sidecar.start()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    stopped.wait()
    sidecar.stop()


if __name__ == "__main__":
    main()
