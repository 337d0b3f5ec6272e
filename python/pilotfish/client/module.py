"""How a hub describes a module that may take a task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Module:
    """A module on offer. Made once and offered often, it is encoded once.

    Args:
        name: The identity under which it learns.
        features: Descriptors by which modules resemble each other. They are read here and now: a later change of the
            mapping is not seen.
        capabilities: What it can do.
        max_data_size_bytes: Largest input it takes. None: no limit, or the registry's.

    Raises:
        InvalidInputError: A value has the wrong type.
    """

    name: str
    features: Features = field(default_factory=dict)
    capabilities: Sequence[str] = ()
    max_data_size_bytes: int | None = None

    def __post_init__(self) -> None:
        message = v1.Module()
        try:
            message.name = self.name
            message.capabilities.extend(self.capabilities)
            if self.max_data_size_bytes is not None:
                message.max_data_size_bytes = self.max_data_size_bytes
            if self.features:
                fill_features(message.features, self.features)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInputError(f"module {self.name!r}: {error}", reason="MALFORMED_MESSAGE") from error
        object.__setattr__(self, "_message", message)

    @property
    def message(self) -> v1.Module:
        """The module in the contract's words; not to be changed."""
        message: v1.Module = self.__dict__["_message"]
        return message


Candidate: TypeAlias = Union[str, Module, ModuleFields, v1.Module]  # noqa: UP007 - a TypedDict takes no `|` on 3.11


def add_candidate(request: v1.SelectModuleRequest, candidate: Candidate) -> None:
    """Append a candidate to a request.

    Raises:
        InvalidInputError: It is no name, module or mapping of a module's fields.
    """
    if isinstance(candidate, str):
        request.candidates.add().name = candidate
    elif isinstance(candidate, Module):
        request.candidates.append(candidate.message)
    elif isinstance(candidate, v1.Module):
        request.candidates.append(candidate)
    elif isinstance(candidate, Mapping):
        request.candidates.append(Module(**candidate).message)
    else:
        raise InvalidInputError(
            f"candidate is a {type(candidate).__name__}, must be a name, a Module or a mapping of its fields",
            reason="MALFORMED_MESSAGE",
        )
