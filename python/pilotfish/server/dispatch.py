"""What surrounds every call: size, parse, drain, call, serialise, errors, counts. Bytes in, bytes out.

Handlers take raw bytes so that a malformed message is our error with our reason; grpcio would answer INTERNAL.
"""

import logging
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable
from time import perf_counter
from typing import Final, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2

from pilotfish.server.status import status, status_of

MESSAGE_BYTES: Final = 2**20
BUCKET_BOUNDS_S: Final = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0)
"""Upper bounds of the duration histogram: a decision should sit in the first three, a deadline is at 0.02."""
STATUS_DETAILS_KEY: Final = "grpc-status-details-bin"

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

RequestT = TypeVar("RequestT", bound=Message)
Call = Callable[[RequestT], Message]
TimedCall = Callable[[RequestT, float | None], Message]
"""Also takes the seconds that the caller still waits; None: nobody said."""
Handler = Callable[[bytes, grpc.ServicerContext], bytes]

logger = logging.getLogger(__name__)


class Dispatcher:
    """Wraps calls into handlers and counts them. `draining` makes every further call UNAVAILABLE.

    Args:
        log_calls: Log one line per call rather than one per internal error.
    """

    def __init__(self, *, log_calls: bool = False) -> None:
        self.draining = False
        self.calls: Counter[tuple[str, str]] = Counter()
        self.durations: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(BUCKET_BOUNDS_S) + 1))
        self.duration_sums: defaultdict[str, float] = defaultdict(float)
        self._log_calls = log_calls

    def handler(
        self,
        method: str,
        request_class: type[RequestT],
        call: Call[RequestT] | None = None,
        timed_call: TimedCall[RequestT] | None = None,
    ) -> Handler:
        """Return the handler of one method: exactly one of the two calls answers it."""

        def answer_to(content: bytes, context: grpc.ServicerContext) -> bytes:
            request = request_class.FromString(content)
            if timed_call is not None:
                return timed_call(request, context.time_remaining()).SerializeToString()
            assert call is not None  # noqa: S101  one of the two
            return call(request).SerializeToString()

        def handle(content: bytes, context: grpc.ServicerContext) -> bytes:
            started = perf_counter()
            try:
                if self.draining or len(content) > MESSAGE_BYTES:
                    answer, failure = b"", self._refusal(len(content))
                else:
                    answer, failure = answer_to(content, context), None
            except DecodeError:
                rule = f"the bytes must be a {request_class.DESCRIPTOR.full_name}"
                answer, failure = b"", status(grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE", rule, {})
            except Exception as error:  # noqa: BLE001  the outermost boundary: whatever it is, the table answers
                answer, failure = b"", status_of(error)
            if failure is not None:
                context.set_code(_CODES[failure.code])
                context.set_details(failure.message)
                context.set_trailing_metadata(((STATUS_DETAILS_KEY, failure.SerializeToString()),))
            self._count(method, "OK" if failure is None else _CODES[failure.code].name, perf_counter() - started)
            return answer

        return handle

    def _refusal(self, n_bytes: int) -> status_pb2.Status:
        if self.draining:
            return status(
                grpc.StatusCode.UNAVAILABLE, "DRAINING", "the server is draining; try again", {"rule": "try again"}
            )
        rule = f"must be at most {MESSAGE_BYTES}"
        return status(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "MESSAGE_TOO_LARGE",
            f"message size in bytes == {n_bytes}, {rule}",
            {"value": str(n_bytes), "rule": rule},
        )

    def _count(self, method: str, code: str, duration_s: float) -> None:
        self.calls[method, code] += 1
        self.durations[method][bisect_left(BUCKET_BOUNDS_S, duration_s)] += 1
        self.duration_sums[method] += duration_s
        if self._log_calls:
            logger.info("%s %s %.3f ms", method, code, 1000.0 * duration_s)
