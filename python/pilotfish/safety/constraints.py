"""What the configuration forbids whatever is learned: pure rules over task, module and hour, frozen under a number."""

from typing import Annotated, Final, TypeAlias

import msgspec

ModuleName: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
RuleId: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]

EVERY: Final = "*"
"""Stands for every task type, or for every module without an entry of its own."""


class Constraints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules that hold before the core chooses and again when the answer leaves.

    They depend on the request, the mode and the hour alone, so that a decision can be made again from the log.
    """

    allowed_modules: tuple[ModuleName, ...] = ()
    """If not empty, only these modules are ever legal."""
    denied_modules: tuple[ModuleName, ...] = ()
    """These are never legal; wins over allowed_modules."""
    bans: dict[str, tuple[ModuleName, ...]] = {}
    """Modules that are not legal for a task type, by type; `*`: for every type."""
    max_data_size_bytes: dict[ModuleName, Annotated[int, msgspec.Meta(ge=0)]] = {}
    """Largest input by module, beside the limit that the module itself declares."""
    min_deadline_s: dict[ModuleName, Annotated[float, msgspec.Meta(ge=0.0)]] = {}
    """Least time a module needs: it is not legal for a task whose deadline is shorter."""
    critical_task_types: tuple[str, ...] = ()
    """Task types that are critical: nothing is explored on them, modules on probation are not used, and the risk cap
    holds."""
    critical_priority: Annotated[int, msgspec.Meta(ge=0, le=11)] = 11
    """Tasks of this priority or a higher one are critical; 11: none is for its priority."""
    rules: dict[RuleId, Annotated[str, msgspec.Meta(max_length=4096)]] = {}
    """Rules in CEL by id, at most 64: an expression over `task`, `module` and `decision` that must be true for a module
    to be legal, such as {no-beta-at-night: '!module.name.startsWith("beta-") || decision.hour >= 8'}. A rule that
    cannot be evaluated counts as violated."""

    def content(self) -> bytes:
        """Return the constraints as canonical JSON, by which the log knows them; empty if there are none."""
        return b"" if self == NONE else msgspec.json.encode(self, order="sorted")


NONE: Final = Constraints()


def read_constraints(content: bytes) -> Constraints:
    """Return the constraints that `content` came from.

    Raises:
        msgspec.DecodeError: It is not the content of constraints.
    """
    return msgspec.json.decode(content, type=Constraints) if content else NONE
