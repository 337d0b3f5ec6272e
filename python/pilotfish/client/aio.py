"""The client for asyncio."""

import asyncio
import logging
from collections.abc import Coroutine
from time import monotonic
from types import TracebackType
from typing import Any, Self, TypeAlias

import grpc
from google.protobuf.message import Message

from pilotfish.client.calls import Calls, remaining_s
from pilotfish.client.channel import Wire, open_asyncio
from pilotfish.client.decision import Decision
from pilotfish.client.exchange import DecisionResult, Exchange, ReceiptResult
from pilotfish.client.fork import ASYNCIO_CHANNELS
from pilotfish.client.receipt import Receipt

logger = logging.getLogger(__name__)

_Decision: TypeAlias = Coroutine[Any, Any, Decision]
_Decisions: TypeAlias = Coroutine[Any, Any, list[DecisionResult]]
_Receipt: TypeAlias = Coroutine[Any, Any, Receipt]
_Receipts: TypeAlias = Coroutine[Any, Any, list[ReceiptResult]]


class AsyncClient(Calls[_Decision, _Decisions, _Receipt, _Receipts]):
    """A client whose calls are awaited. It may be made outside a loop and used in several in turn. See `Calls`.

    Fork before the first call: in a child of a process that has used asyncio channels there are none, and the client
    answers with the local default.
    """

    async def close(self) -> None:
        """Close the channel. Calls that are under way fall back; further ones raise StateError."""
        self._is_closed = True
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def forget_inherited(self) -> Wire | None:
        """See `Calls`."""
        self._loop: asyncio.AbstractEventLoop | None = None
        return super().forget_inherited()

    async def _run(self, exchange: Exchange[Any, Any, Any], request: Message, deadline_ms: float) -> Any:  # noqa: ANN401 - the exchange's result
        asked_at = monotonic()
        settled = self._settled(exchange, request)
        if settled is not None:
            return settled
        if ASYNCIO_CHANNELS.lost:
            if not ASYNCIO_CHANNELS.loss_announced:
                ASYNCIO_CHANNELS.loss_announced = True
                logger.warning("asyncio channels do not work in a child forked after the first call; answering locally")
            return self._timed_out(exchange, request, asked_at)
        loop = asyncio.get_running_loop()
        wire = self._wire_of(loop)
        call = exchange.method(wire)(request, timeout=remaining_s(deadline_ms, asked_at))
        # gRPC's own deadline comes first, but it needs a thread of gRPC's own, which is not there in a child of a
        # process that has used asyncio channels for anything else.
        backstop = loop.call_later(deadline_ms / 1e3, call.cancel)
        try:
            reply = await call
        except grpc.RpcError as error:
            return self._failed(exchange, request, error, asked_at)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if loop.time() < backstop.when() or (task is not None and task.cancelling()):
                raise  # the caller's own wish
            return self._timed_out(exchange, request, asked_at)
        finally:
            backstop.cancel()
        return self._answered(exchange, request, reply)

    def _wire_of(self, loop: asyncio.AbstractEventLoop) -> Wire:
        """Return this loop's channel. A channel works in one loop only, and a program may run several in turn."""
        if self._wire is None or self._loop is not loop:
            ASYNCIO_CHANNELS.in_use = True
            self._wire = open_asyncio(self.target)
            self._loop = loop
        return self._wire
