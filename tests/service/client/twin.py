"""Either client behind one face, so that one suite tests both."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from pilotfish.client import AsyncClient, Client


class Twin:
    """A Client, or an AsyncClient each of whose calls is awaited at once in a loop of its own."""

    def __init__(self, kind: str, target: str, **settings: Any) -> None:  # noqa: ANN401 - the client's own arguments
        self.kind = kind
        self._loop = asyncio.new_event_loop()
        self.client = cast("Client", (Client if kind == "threads" else AsyncClient)(target, **settings))

    def __getattr__(self, method: str) -> Callable[..., Any]:
        """Return a client's method that waits for its result."""
        call = getattr(self.client, method)

        def waiting(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the method's own
            result = call(*args, **kwargs)
            return self._loop.run_until_complete(result) if isinstance(result, Coroutine) else result

        return waiting

    def at_once(self, *calls: Callable[[], Any]) -> list[Any]:
        """Carry out several calls in one run of the loop; one after another for threads."""
        if self.kind == "threads":
            return [call() for call in calls]

        async def one_by_one() -> list[Any]:
            return [await call() for call in calls]

        return self._loop.run_until_complete(one_by_one())

    def shut(self) -> None:
        """Close the client and the loop."""
        self.__getattr__("close")()
        self._loop.close()
