"""Health, as the kubelet and gRPC clients ask for it (grpc.health.v1).

| service      | SERVING while                                                                       |
|--------------|-------------------------------------------------------------------------------------|
| startup      | the start is complete; stays so                                                     |
| liveness     | the core answered a decision within the last 5 s; no disk, no network               |
| readiness    | started, not draining, alive, and the log takes decisions: answers are no fallbacks |
| (empty)      | started and not draining                                                            |
| full service | the same                                                                            |

Any other name is NOT_FOUND.
"""

import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

import grpc
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

ALIVE_S: Final = 5.0
BEAT_S: Final = 1.0
"""Time between self-decisions: five may be missed, and one costs some ten microseconds."""

logger = logging.getLogger(__name__)


class Health(HealthServicer):
    """The health service and what it rests on.

    Args:
        services: Full names of the services on offer.
        self_decision: Asks the core for a decision; raises if it gives none.
        unlogged_count: Returns how many decisions could not be logged so far.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        services: tuple[str, ...],
        self_decision: Callable[[], object],
        unlogged_count: Callable[[], int],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__()
        self._overall = ("", *services)
        self._self_decision = self_decision
        self._unlogged_count = unlogged_count
        self._clock = clock
        self._started = False
        self._draining = False
        self._last_answer = -ALIVE_S
        self._unlogged = 0
        self._log_works = True
        self._shown: dict[str, bool] = {}
        self._refreshing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_stopped, name="pilotfish-health", daemon=True)
        self.refresh()

    def Check(self, request: HealthCheckRequest, context: grpc.ServicerContext) -> HealthCheckResponse:
        """Answer from what holds now: a core that hangs also stops the thread that would have said so."""
        self.refresh()
        return super().Check(request, context)

    def start(self) -> None:
        """Say that the start is complete."""
        self._started = True
        self.beat()
        self._thread.start()

    def drain(self) -> None:
        """Say that no further calls are wanted."""
        self._draining = True
        self.refresh()

    def stop(self) -> None:
        """End the self-decisions."""
        self._stopping.set()

    def beat(self) -> None:
        """Ask the core once and note the answer."""
        try:
            self._self_decision()
        except BaseException:  # a panic of the core is no Exception
            logger.exception("the self-decision failed")
        else:
            self._last_answer = self._clock()
        unlogged = self._unlogged_count()
        self._unlogged, self._log_works = unlogged, unlogged == self._unlogged
        self.refresh()

    def refresh(self) -> None:
        """Bring each service's status up to date; watchers are told of changes."""
        with self._refreshing:
            alive = self._clock() - self._last_answer <= ALIVE_S
            serving = self._started and not self._draining
            ready = serving and alive and self._log_works
            wanted = {"startup": self._started, "liveness": alive, "readiness": ready}
            wanted.update(dict.fromkeys(self._overall, serving))
            for service, is_serving in wanted.items():
                if self._shown.get(service) is not is_serving:
                    self._shown[service] = is_serving
                    self.set(service, HealthCheckResponse.SERVING if is_serving else HealthCheckResponse.NOT_SERVING)

    def is_ready(self) -> bool:
        """Return what the readiness probe is told."""
        self.refresh()
        return self._shown["readiness"]

    def _beat_until_stopped(self) -> None:
        while not self._stopping.wait(BEAT_S):
            self.beat()
