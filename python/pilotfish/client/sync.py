"""The client for threads."""

import threading
from time import monotonic
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.message import Message

from pilotfish.client.calls import Calls, remaining_s
from pilotfish.client.channel import Wire, open_blocking
from pilotfish.client.decision import Decision
from pilotfish.client.exchange import DecisionResult, Exchange, ReceiptResult
from pilotfish.client.receipt import Receipt
from pilotfish.exceptions import StateError


class Client(Calls[Decision, list[DecisionResult], Receipt, list[ReceiptResult]]):
    """A client whose calls block the calling thread; any number of threads may share it. See `Calls`."""

    def close(self) -> None:
        """Close the channel. Calls that are under way fall back; further ones raise StateError."""
        with self._opening:
            self._is_closed = True
            wire, self._wire = self._wire, None
        if wire is not None:
            wire.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def forget_inherited(self) -> Wire | None:
        """See `Calls`."""
        self._opening = threading.Lock()
        return super().forget_inherited()

    def _run(self, exchange: Exchange[Any, Any, Any], request: Message, deadline_ms: float) -> Any:  # noqa: ANN401 - the exchange's result
        asked_at = monotonic()
        settled = self._settled(exchange, request)
        if settled is not None:
            return settled
        wire = self._wire or self._open()
        try:
            reply = exchange.method(wire)(request, timeout=remaining_s(deadline_ms, asked_at))
        except grpc.RpcError as error:
            return self._failed(exchange, request, error, asked_at)
        return self._answered(exchange, request, reply)

    def _open(self) -> Wire:
        with self._opening:
            if self._is_closed:
                raise StateError("client is closed, must be open")
            if self._wire is None:
                self._wire = open_blocking(self.target)
            return self._wire
