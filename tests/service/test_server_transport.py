"""Handlers on a real gRPC server, on the polling thread and on threads."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor

import grpc
import pytest

from pilotfish.server.dispatch import Dispatcher
from pilotfish.server.inline import InlineExecutor, is_supported
from pilotfish.server.transport import Route, build_server, thread_pool
from pilotfish.v1 import GetInfoRequest, GetInfoResponse
from tests.service.running_server import raw

SERVICE = "test.Service"


@pytest.fixture(params=["inline", "threads"])
def executor(request: pytest.FixtureRequest) -> Executor:
    pool = thread_pool("test", 4)
    return InlineExecutor(pool, ()) if request.param == "inline" else pool


@pytest.fixture
def serve(executor: Executor) -> Iterator[Callable[..., grpc.Channel]]:
    """Serves handlers by name; returns a channel to them."""
    opened: list[grpc.Server | grpc.Channel] = []

    def start(max_concurrent: int = 100, **handlers: Callable[[bytes, grpc.ServicerContext], bytes]) -> grpc.Channel:
        routes = [Route(SERVICE, name, handler) for name, handler in handlers.items()]
        server = build_server(executor, routes, max_concurrent=max_concurrent)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        opened.extend((channel, server))
        return channel

    yield start
    for each in opened:
        if isinstance(each, grpc.Channel):
            each.close()
        else:
            each.stop(None).wait()
    executor.shutdown()


def test_this_grpcio_can_run_handlers_inline() -> None:
    assert is_supported()


def test_bytes_pass_as_they_are(serve: Callable[..., grpc.Channel]) -> None:
    channel = serve(Echo=lambda content, _: content[::-1])

    assert raw(channel, f"{SERVICE}/Echo")(b"\xff\x00abc", timeout=5) == b"cba\x00\xff"


def test_a_call_without_a_message_is_refused_and_the_next_is_answered(serve: Callable[..., grpc.Channel]) -> None:
    channel = serve(Echo=lambda content, _: content)

    with pytest.raises(grpc.RpcError) as raised:
        channel.stream_unary(f"/{SERVICE}/Echo")(iter(()), timeout=5)

    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert raw(channel, f"{SERVICE}/Echo")(b"x", timeout=5) == b"x"


def test_a_caller_that_gives_up_does_not_stop_the_others(serve: Callable[..., grpc.Channel]) -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait(content: bytes, _: grpc.ServicerContext) -> bytes:
        entered.set()
        leave.wait(10)
        return content

    channel = serve(Wait=wait, Echo=lambda content, _: content)
    call = raw(channel, f"{SERVICE}/Wait").future(b"x", timeout=10)
    assert entered.wait(10)
    call.cancel()
    leave.set()

    assert raw(channel, f"{SERVICE}/Echo")(b"y", timeout=5) == b"y"


def test_a_handler_that_raises_does_not_stop_the_server(serve: Callable[..., grpc.Channel]) -> None:
    def fail(_: bytes, __: grpc.ServicerContext) -> bytes:
        raise RuntimeError("bug")

    channel = serve(Fail=fail, Echo=lambda content, _: content)

    with pytest.raises(grpc.RpcError):
        raw(channel, f"{SERVICE}/Fail")(b"x", timeout=5)

    assert raw(channel, f"{SERVICE}/Echo")(b"y", timeout=5) == b"y"


def test_the_count_of_calls_in_flight_goes_back_to_zero(serve: Callable[..., grpc.Channel]) -> None:
    channel = serve(max_concurrent=2, Echo=lambda content, _: content)
    call = raw(channel, f"{SERVICE}/Echo")

    assert [call(b"x", timeout=5) for _ in range(50)] == [b"x"] * 50


def test_a_stop_lets_the_call_in_flight_finish_and_refuses_the_next(executor: Executor) -> None:
    entered, leave = threading.Event(), threading.Event()
    dispatcher = Dispatcher()

    def slow(_: GetInfoRequest) -> GetInfoResponse:
        entered.set()
        leave.wait(10)
        return GetInfoResponse(version="finished")

    route = Route(SERVICE, "Slow", dispatcher.handler("Slow", GetInfoRequest, slow))
    server = build_server(executor, [route], max_concurrent=10)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = raw(channel, f"{SERVICE}/Slow")
        in_flight = call.future(b"", timeout=10)
        assert entered.wait(10)

        dispatcher.draining = True
        stopped = server.stop(10)
        late = call.future(b"", timeout=10)
        leave.set()

        assert GetInfoResponse.FromString(in_flight.result(timeout=10)).version == "finished"
        with pytest.raises(grpc.RpcError) as raised:
            late.result(timeout=10)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert stopped.wait(10)
    executor.shutdown()
