"""How a hub describes a module that may take a task."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias, TypedDict, Union

from pilotfish import v1
from pilotfish.client.features import Features, fill_features
from pilotfish.exceptions import InvalidInputError


class ModuleFields(TypedDict, total=False):
    """A module as a plain dict; `name` must be there."""

    name: str
    features: Features
    capabilities: Sequence[str]
    max_data_size_bytes: int | None
    required_features: Sequence[str]


@dataclass(frozen=True, slots=True)
class Module:
    """A module on offer. Made once and offered often, it is encoded once.

    Args:
        name: The identity under which it learns.
        features: Descriptors by which modules resemble each other. They are read here and now: a later change of the
            mapping is not seen.
        capabilities: What it can do.
        max_data_size_bytes: Largest input it takes. None: no limit, or the registry's.
        required_features: Task features that it cannot do without.

    Raises:
        InvalidInputError: A value has the wrong type.
    """

    name: str
    features: Features = field(default_factory=dict)
    capabilities: Sequence[str] = ()
    max_data_size_bytes: int | None = None
    required_features: Sequence[str] = ()
    encoded: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        message = v1.Module()
        try:
            message.name = self.name
            message.capabilities.extend(self.capabilities)
            message.required_features.extend(self.required_features)
            if self.max_data_size_bytes is not None:
                message.max_data_size_bytes = self.max_data_size_bytes
            if self.features:
                fill_features(message.features, self.features)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInputError(f"module {self.name!r}: {error}", reason="MALFORMED_MESSAGE") from error
        object.__setattr__(self, "encoded", _encode(message))


Candidate: TypeAlias = Union[str, Module, ModuleFields, v1.Module]  # noqa: UP007 - a TypedDict takes no `|` on 3.11


def add_candidates(request: v1.SelectModuleRequest, candidates: Iterable[Candidate]) -> None:
    """Append candidates to a request.

    On the wire a request is the concatenation of its fields, so that modules which are encoded already only have to be
    joined: 11 µs for ten modules of 20 features, against 20 µs to copy their messages and 27 µs to build them.

    Raises:
        InvalidInputError: One is no name, module or mapping of a module's fields.
    """
    if isinstance(candidates, str):  # "pypdf" would silently become five modules
        raise InvalidInputError(f"candidates == {candidates!r}, must be a list of modules", reason="MALFORMED_MESSAGE")
    request.MergeFromString(b"".join([_encoded(candidate) for candidate in candidates]))


def _encoded(candidate: Candidate) -> bytes:
    if isinstance(candidate, str):
        return _encoded_name(candidate)
    if isinstance(candidate, Module):
        return candidate.encoded
    if isinstance(candidate, v1.Module):
        return _encode(candidate)
    if isinstance(candidate, Mapping):
        return Module(**candidate).encoded
    raise InvalidInputError(
        f"candidate is a {type(candidate).__name__}, must be a name, a Module or a mapping of its fields",
        reason="MALFORMED_MESSAGE",
    )


@lru_cache(maxsize=4096)
def _encoded_name(name: str) -> bytes:
    return _encode(v1.Module(name=name))


def _encode(module: v1.Module) -> bytes:
    return v1.SelectModuleRequest(candidates=[module]).SerializeToString()
