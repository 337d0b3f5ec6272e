"""How a channel to the sidecar is set up, and how long gRPC may take for a call."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio

from pilotfish.client.target import is_socket
from pilotfish.v1 import DecisionServiceStub, OutcomeServiceStub

MAX_MESSAGE_BYTES: Final = 1 << 20
"""What the contract allows; a larger message is refused here, before it is sent."""

_DEADLINE_MARGIN_MS: Final = 5.0
_DEADLINE_MARGIN_SHARE: Final = 0.25

# Retries have to fit into the deadline. A decision has 20 ms, so it waits 2 and then 4 ms: enough to outlive a
# connection that was just cut or a sidecar that is handing over, and most of the deadline is left for the answer. The
# usual 20 to 100 ms would never reach the second attempt. An outcome has a second and waits 50, 100 and 200 ms: enough
# to outlive a quick restart. A `timeout` must not stand here: grpcio takes about one second off it, so that any value
# below 1 s fails every call before it is sent.
_SERVICE_CONFIG: Final = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "pilotfish.v1.DecisionService"}],
                "retryPolicy": {
                    "maxAttempts": 3,
                    "initialBackoff": "0.002s",
                    "maxBackoff": "0.004s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            },
            {
                "name": [{"service": "pilotfish.v1.OutcomeService"}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.2s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            },
        ]
    }
)


@dataclass(frozen=True, slots=True)
class Wire:
    """An open channel and the four methods that a hub calls."""

    channel: Any
    select_module: Callable[..., Any]
    select_modules: Callable[..., Any]
    record_outcome: Callable[..., Any]
    record_outcomes: Callable[..., Any]


def open_blocking(target: str) -> Wire:
    """Open a channel for threads. Nothing is connected before the first call."""
    return _wire(grpc.insecure_channel(target, options=channel_options(target)))


def open_asyncio(target: str) -> Wire:
    """Open a channel for the running event loop. Nothing is connected before the first call."""
    return _wire(grpc.aio.insecure_channel(target, options=channel_options(target)))


def channel_options(target: str) -> list[tuple[str, str | int]]:
    """Return the channel's settings for a resolved target."""
    options: list[tuple[str, str | int]] = [
        ("grpc.default_authority", "localhost"),  # else the encoded socket path, which strict HTTP/2 servers reject
        ("grpc.enable_retries", 1),
        ("grpc.service_config", _SERVICE_CONFIG),
        # A missing socket is asked for again every 100 ms (gRPC's floor), give or take a fifth, so that a restarted
        # sidecar is found within 600 ms together with the circuit's pause; one failed connect() costs microseconds.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 100),
        # In spite of its name this is how long one connection attempt may take: a throttled sidecar may well need more
        # than 100 ms for its half of the handshake, and cutting it short would start over for ever.
        ("grpc.min_reconnect_backoff_ms", 500),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.enable_http_proxy", 0),  # a sidecar is never behind the proxy that the environment names
    ]
    if not is_socket(target):
        # A socket's peer cannot vanish unnoticed, a host can. Pings are sent while a call waits, never when idle.
        options += [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 5_000)]
    return options


def rpc_timeout_s(deadline_ms: float, spent_s: float) -> float:
    """Return the deadline that gRPC gets so that the caller has its answer by its own.

    grpcio reports an expired deadline about 2.6 ms late (median; 99 of 100 within 6 ms; 2 cores, both twins), hence
    the margin. A short deadline gives a quarter of itself, so that the sidecar keeps most of it.
    """
    margin_ms = min(_DEADLINE_MARGIN_MS, deadline_ms * _DEADLINE_MARGIN_SHARE)
    return max((deadline_ms - margin_ms) / 1e3 - spent_s, 0.0)


def _wire(channel: Any) -> Wire:  # noqa: ANN401 - grpc.Channel and grpc.aio.Channel have no common type
    decisions = DecisionServiceStub(channel)
    outcomes = OutcomeServiceStub(channel)
    return Wire(
        channel=channel,
        select_module=decisions.SelectModule,
        select_modules=decisions.BatchSelectModules,
        record_outcome=outcomes.RecordOutcome,
        record_outcomes=outcomes.BatchRecordOutcomes,
    )
