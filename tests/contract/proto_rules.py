"""The rules of the contract, each a function from a descriptor set with comments to its violations.

They stand in for buf's STANDARD and COMMENTS, which the package registries do not carry, and add the house's own.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import TypeVar

from google.api import field_behavior_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorSet

from tests.contract.proto_walk import comments, elements, enums, fields, messages, services

T = TypeVar("T")
Rule = Callable[[FileDescriptorSet], Iterator[str]]

UNSIGNED = {
    FieldDescriptorProto.TYPE_UINT32,
    FieldDescriptorProto.TYPE_UINT64,
    FieldDescriptorProto.TYPE_FIXED32,
    FieldDescriptorProto.TYPE_FIXED64,
}
NAME_ENDINGS = {".google.protobuf.Duration": "_duration", ".google.protobuf.Timestamp": "_time"}
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
PASCAL = re.compile(r"([A-Z][a-z0-9]*)+")


def everything_has_a_comment(files: FileDescriptorSet) -> Iterator[str]:
    """Files, services, methods, messages, fields, oneofs, enums and values say what they mean."""
    for file in files.file:
        said = comments(file)
        for element in elements(file):
            if not said.get(element.path):
                yield f"{element.kind} {element.name} has no comment"


def request_fields_state_their_behavior(files: FileDescriptorSet) -> Iterator[str]:
    """Each field that a request can hold, at any depth, carries google.api.field_behavior."""
    by_name = dict(messages(files))
    open_names = [method.input_type for _, service in services(files) for method in service.method]
    seen: set[str] = set()
    while open_names:
        name = open_names.pop()
        message = by_name.get(name)
        if message is None or name in seen:  # None: a well-known type
            continue
        seen.add(name)
        for field in message.field:
            open_names.append(field.type_name)
            behavior = field.options.Extensions[field_behavior_pb2.field_behavior]
            if not behavior and not message.options.map_entry:
                yield f"field {name}.{field.name} is part of a request and has no field_behavior"


def enum_zero_is_unspecified(files: FileDescriptorSet) -> Iterator[str]:
    """The value that an absent field reads as means nothing."""
    for name, enum in enums(files):
        zero = [value.name for value in enum.value if value.number == 0]
        if len(zero) != 1 or not zero[0].endswith("_UNSPECIFIED"):
            yield f"enum {name} has no zero value ending _UNSPECIFIED"


def enum_values_are_prefixed(files: FileDescriptorSet) -> Iterator[str]:
    """Values share a scope in C++ and Python, so each begins with its enum's name."""
    for name, enum in enums(files):
        prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
        for value in enum.value:
            if not value.name.startswith(prefix):
                yield f"value {name}.{value.name} does not begin with {prefix}"


def methods_have_their_own_messages(files: FileDescriptorSet) -> Iterator[str]:
    """Method M takes MRequest and returns MResponse, and no other method does."""
    uses: Counter[str] = Counter()
    for name, service in services(files):
        for method in service.method:
            uses.update((method.input_type, method.output_type))
            scope = name.rpartition(".")[0]
            for actual, ending in ((method.input_type, "Request"), (method.output_type, "Response")):
                if actual != f"{scope}.{method.name}{ending}":
                    yield f"method {name}.{method.name} uses {actual}, not {scope}.{method.name}{ending}"
    yield from (f"message {name} serves {count} methods" for name, count in uses.items() if count > 1)


def times_are_named_for_their_type(files: FileDescriptorSet) -> Iterator[str]:
    """Duration fields end in _duration and Timestamp fields in _time."""
    for name, field in fields(files):
        ending = NAME_ENDINGS.get(field.type_name, "")
        if not field.name.endswith(ending):
            yield f"field {name} is a {field.type_name} and does not end {ending}"


def package_matches_folder(files: FileDescriptorSet) -> Iterator[str]:
    """Generated imports work unpatched only if the folder repeats the package; a package ends in its version."""
    for file in files.file:
        folder = str(PurePosixPath(file.name).parent)
        if folder != file.package.replace(".", "/"):
            yield f"file {file.name} is of package {file.package}"
        if not re.search(r"\.v[1-9][0-9]*$", file.package):
            yield f"package {file.package} does not end in a version"


def numbers_and_names_are_used_once(files: FileDescriptorSet) -> Iterator[str]:
    """No field or value takes a number or name that is taken or reserved."""
    for name, message in messages(files):
        reserved = {number for range_ in message.reserved_range for number in range(range_.start, range_.end)}
        taken = [*reserved, *(field.number for field in message.field)]
        yield from (f"message {name} uses number {number} twice" for number in _repeated(taken))
        names = [*message.reserved_name, *(field.name for field in message.field)]
        yield from (f"message {name} uses name {again} twice" for again in _repeated(names))
    for name, enum in enums(files):
        reserved = {number for range_ in enum.reserved_range for number in range(range_.start, range_.end + 1)}
        taken = [*reserved, *(value.number for value in enum.value)]
        yield from (f"enum {name} uses number {number} twice" for number in _repeated(taken))
        names = [*enum.reserved_name, *(value.name for value in enum.value)]
        yield from (f"enum {name} uses name {again} twice" for again in _repeated(names))


def _repeated(items: list[T]) -> Iterator[T]:
    return (item for item, count in Counter(items).items() if count > 1)


def integers_are_signed(files: FileDescriptorSet) -> Iterator[str]:
    """Not every language has unsigned integers."""
    yield from (f"field {name} is unsigned" for name, field in fields(files) if field.type in UNSIGNED)


def names_have_their_case(files: FileDescriptorSet) -> Iterator[str]:
    """Fields are snake_case; messages, enums, services and methods PascalCase; a service ends in Service."""
    for name, field in fields(files):
        if not SNAKE.fullmatch(field.name):
            yield f"field {name} is not snake_case"
    named = [name for name, _ in (*messages(files), *enums(files), *services(files))]
    named += [f"{name}.{method.name}" for name, service in services(files) for method in service.method]
    for name in named:
        if not PASCAL.fullmatch(name.rpartition(".")[2]):
            yield f"{name} is not PascalCase"
    yield from (
        f"service {name} does not end in Service" for name, _ in services(files) if not name.endswith("Service")
    )


RULES: tuple[Rule, ...] = (
    everything_has_a_comment,
    request_fields_state_their_behavior,
    enum_zero_is_unspecified,
    enum_values_are_prefixed,
    methods_have_their_own_messages,
    times_are_named_for_their_type,
    package_matches_folder,
    numbers_and_names_are_used_once,
    integers_are_signed,
    names_have_their_case,
)
