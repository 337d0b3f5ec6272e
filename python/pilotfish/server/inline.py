"""Runs unary handlers on grpcio's polling thread, which saves two changes of thread per call.

grpcio hands each call to an executor whose thread then waits for the polling thread to receive the message. Run by the
polling thread itself, that wait would never end. So this executor starts the receive and runs the handler when the
message is there. That takes names from inside `grpc._server`, unchanged from grpcio 1.66 to 1.85; `is_supported` looks
for all of them, and without them the calls run on threads, as ever.
"""

import inspect
import logging
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Final

from grpc import _server
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # its stubs leave it out

_PARAMETERS: Final = {
    "_unary_response_in_pool": [
        "rpc_event",
        "state",
        "behavior",
        "argument_thunk",
        "request_deserializer",
        "response_serializer",
    ],
    "_receive_message": ["state", "call", "request_deserializer"],
    "_abort": ["state", "call", "code", "details"],
    "_is_rpc_state_active": ["state"],
}
_TOKEN: Final = "_RECEIVE_MESSAGE_TOKEN"  # noqa: S105  a name, no secret

logger = logging.getLogger(__name__)


def is_supported() -> bool:
    """Return whether this grpcio has the parts that are needed, in the form that is needed."""
    try:
        parameters = {name: list(inspect.signature(getattr(_server, name)).parameters) for name in _PARAMETERS}
    except (AttributeError, TypeError, ValueError):
        return False
    return parameters == _PARAMETERS and hasattr(_server, _TOKEN) and hasattr(cygrpc, "ReceiveMessageOperation")


class InlineExecutor(Executor):
    """Runs each unary call where it arrives: one at a time. Right for handlers of microseconds only.

    Args:
        pool: Runs streams, which wait for their caller, and the handlers in `on_threads`.
        on_threads: Handlers that may take long.
    """

    def __init__(self, pool: ThreadPoolExecutor, on_threads: Collection[object]) -> None:
        self._pool = pool
        self._on_threads = frozenset(on_threads)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401  as Executor's
        """Run what grpcio submits: `context.run(_unary_response_in_pool, event, state, handler, …)`."""
        if args[0] is not _server._unary_response_in_pool or args[3] in self._on_threads:  # noqa: SLF001
            return self._pool.submit(fn, *args, **kwargs)
        return _receive_then_run(fn, *args)  # type: ignore[return-value]  # grpcio needs add_done_callback only

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  as Executor's
        """Stop the pool."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


class _Completion:
    """What grpcio needs of a future. A real one costs a lock and two microseconds per call."""

    __slots__ = ("_callback", "_finished")

    def __init__(self) -> None:
        self._callback: Callable[[Any], object] | None = None
        self._finished = False

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        # Added by the polling thread, which also finishes: there is no race.
        if self._finished:
            callback(self)
        else:
            self._callback = callback

    def finish(self) -> None:
        self._finished = True
        if self._callback is not None:
            self._callback(self)


def _receive_then_run(  # noqa: PLR0917  in grpcio's order
    run: Callable[..., Any],
    respond: Callable[..., None],
    rpc_event: Any,  # noqa: ANN401  grpcio's own types are private
    state: Any,  # noqa: ANN401
    behavior: Callable[..., Any],
    _: Callable[[], Any],
    deserializer: Callable[[bytes], Any] | None,
    serializer: Callable[[Any], bytes] | None,
) -> _Completion:
    completion = _Completion()
    receive = _server._receive_message(state, rpc_event.call, deserializer)  # noqa: SLF001

    def received(event: Any) -> Any:  # noqa: ANN401
        outcome = receive(event)
        try:
            request, state.request = state.request, None
            with state.condition:
                active = _server._is_rpc_state_active(state)  # noqa: SLF001
                if active and request is None:
                    details = b"requires exactly one request message"
                    _server._abort(state, rpc_event.call, cygrpc.StatusCode.unimplemented, details)  # noqa: SLF001
            if active and request is not None:
                run(respond, rpc_event, state, behavior, lambda: request, deserializer, serializer)
        except BaseException:
            # An exception here, of whatever kind, would end the polling thread and with it the server.
            logger.exception("a handler left an exception behind")
            with state.condition:
                if _server._is_rpc_state_active(state):  # noqa: SLF001
                    _server._abort(state, rpc_event.call, cygrpc.StatusCode.internal, b"internal error")  # noqa: SLF001
        finally:
            completion.finish()
        return outcome

    with state.condition:
        if _server._is_rpc_state_active(state):  # noqa: SLF001
            rpc_event.call.start_server_batch((cygrpc.ReceiveMessageOperation(0),), received)
            state.due.add(_server._RECEIVE_MESSAGE_TOKEN)  # noqa: SLF001
        else:
            completion.finish()
    return completion
