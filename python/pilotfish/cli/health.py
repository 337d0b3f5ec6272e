"""`pilotfish health`."""

import sys
from pathlib import Path

import click
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from pilotfish.cli.control import call, settings_of, socket_option


@click.command()
@click.option("--service", default="", help="startup, liveness, readiness or a full service name. Default: overall.")
@socket_option("data.socket_path")
def health(service: str, socket: Path | None) -> None:
    """Ask a running sidecar for its health.

    Exit code 0: serving. 1: not serving, or no such service. 69: no answer. Fit for an exec probe: it asks over the
    data socket, the way that hubs come.
    """
    socket = socket or settings_of().data.socket_path
    request = HealthCheckRequest(service=service)
    answer = call(socket, "grpc.health.v1.Health", "Check", request, HealthCheckResponse)
    click.echo(HealthCheckResponse.ServingStatus.Name(answer.status))
    sys.exit(answer.status != HealthCheckResponse.SERVING)
