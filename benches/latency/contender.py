"""One library, ready to be timed."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

OPERATIONS = ("decide", "learn")


class Work(NamedTuple):
    """Calls to time: `function(*arguments[i])`, in turn; the arguments are ready, so only the library is timed."""

    function: Callable[..., Any]
    arguments: Sequence[tuple[Any, ...]]


class Contender(NamedTuple):
    """A trained library.

    Args:
        name: As in the table.
        family: A key of `families.FAMILIES`.
        gives: What its decision yields: `pmf`, `action`.
        decide: One decision per call.
        learn: One outcome per call.
    """

    name: str
    family: str
    gives: str
    decide: Work
    learn: Work
