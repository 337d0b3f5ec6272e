"""What the engine is asked and told, free of any wire format. These are also the shapes that the log keeps."""

import math
from typing import TypeAlias

import msgspec

Feature: TypeAlias = float | str | bool | list[float]
Features: TypeAlias = dict[str, Feature]


class Module(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A module on offer, or an entry of the registry."""

    name: str
    features: Features = {}
    capabilities: tuple[str, ...] = ()
    max_data_size_bytes: int | None = None
    required_features: tuple[str, ...] = ()
    """Task features that it cannot do without."""


class Task(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is to be done. `features` holds the task's own typed features and the reserved `task.*` ones."""

    type: str
    description: str = ""
    features: Features = {}
    required_capabilities: tuple[str, ...] = ()
    data_size_bytes: int | None = None
    weights: tuple[float, ...] | None = None
    """Weights in head order; None: the configured ones."""
    attempt: int = 1
    """Which try of the same work this is, from 1 on."""
    non_idempotent: bool = False
    """Whether running it twice does harm."""
    critical: bool = False
    """Whether nothing may be explored on it; the configuration may say so too."""
    deadline_s: float | None = None
    """Seconds until the result is of no use; None: no deadline."""


class Request(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request for a decision."""

    task: Task
    candidates: tuple[Module, ...] = ()
    baseline_module: str = ""
    allowed_modules: tuple[str, ...] = ()
    denied_modules: tuple[str, ...] = ()
    unit_id: str = ""
    request_id: str = ""


class Removal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One candidate that was taken out of a decision."""

    index: int
    """Place in `request.candidates`."""
    reason: int
    """Reason code."""
    rule: str = ""
    """Which rule of the configuration; empty: one of the request."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """Raw signals of one decision, named by its id or by its request's id."""

    signals: dict[int, float]
    decision_id: str = ""
    request_id: str = ""
    served_module: str = ""
    lower_bounds: frozenset[int] = frozenset()
    """Signals whose value is only a lower bound, such as the latency of a call that was cut off."""


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What became of an outcome."""

    recorded_count: int
    joined: bool


RESERVED_PREFIX = "task."
"""Feature names of callers must not begin with this."""


def reserved_features(task_type: str, priority: int, data_size_bytes: int | None, deadline_s: float | None) -> Features:
    """Return the features that every task has by itself, scaled to about [0, 1].

    Sizes and times spread over many powers of ten, hence the logarithms; what is unknown is left out, because a
    missing size is not a size of zero.
    """
    features: Features = {"task.type": task_type}
    if priority:
        features["task.priority"] = priority / 10.0
    if data_size_bytes is not None:
        features["task.log_data_size"] = math.log2(1.0 + data_size_bytes) / 53.0
    if deadline_s is not None:
        features["task.log_deadline"] = math.log10(1.0 + 1000.0 * deadline_s) / 10.0
    return features
