"""Walks a descriptor set: every element with its full name and its comment."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

Path = tuple[int, ...]


class Element(NamedTuple):
    """Anything that carries a comment, and where the file's source info keeps it."""

    kind: str
    name: str
    path: Path


def messages(files: FileDescriptorSet) -> Iterator[tuple[str, DescriptorProto]]:
    """Yields every message, nested ones and map entries too, with its name as fields refer to it."""
    for file in files.file:
        yield from _messages_in(f".{file.package}", file.message_type)


def _messages_in(scope: str, found: Iterable[DescriptorProto]) -> Iterator[tuple[str, DescriptorProto]]:
    for message in found:
        name = f"{scope}.{message.name}"
        yield name, message
        yield from _messages_in(name, message.nested_type)


def enums(files: FileDescriptorSet) -> Iterator[tuple[str, EnumDescriptorProto]]:
    """Yields every enum with its name as fields refer to it."""
    for file in files.file:
        for enum in file.enum_type:
            yield f".{file.package}.{enum.name}", enum
    for scope, message in messages(files):
        for enum in message.enum_type:
            yield f"{scope}.{enum.name}", enum


def services(files: FileDescriptorSet) -> Iterator[tuple[str, ServiceDescriptorProto]]:
    """Yields every service with its full name."""
    for file in files.file:
        for service in file.service:
            yield f".{file.package}.{service.name}", service


def fields(files: FileDescriptorSet) -> Iterator[tuple[str, FieldDescriptorProto]]:
    """Yields every field with its full name."""
    for scope, message in messages(files):
        for field in message.field:
            yield f"{scope}.{field.name}", field


def comments(file: FileDescriptorProto) -> dict[Path, str]:
    """Returns each element's leading comment by its path."""
    return {tuple(place.path): place.leading_comments.strip() for place in file.source_code_info.location}


def elements(file: FileDescriptorProto) -> Iterator[Element]:
    """Yields everything in a file that must carry a comment."""
    yield Element("file", file.name, (FileDescriptorProto.SYNTAX_FIELD_NUMBER,))
    for index, service in enumerate(file.service):
        path: Path = (FileDescriptorProto.SERVICE_FIELD_NUMBER, index)
        yield Element("service", service.name, path)
        for inner, method in enumerate(service.method):
            name = f"{service.name}.{method.name}"
            yield Element("method", name, (*path, ServiceDescriptorProto.METHOD_FIELD_NUMBER, inner))
    for index, message in enumerate(file.message_type):
        yield from _message_elements("", message, (FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER, index))
    for index, enum in enumerate(file.enum_type):
        yield from _enum_elements("", enum, (FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER, index))


def _message_elements(scope: str, message: DescriptorProto, path: Path) -> Iterator[Element]:
    if message.options.map_entry:
        return  # the compiler's own
    name = f"{scope}{message.name}"
    yield Element("message", name, path)
    optional = {field.oneof_index for field in message.field if field.proto3_optional}
    for index, field in enumerate(message.field):
        yield Element("field", f"{name}.{field.name}", (*path, DescriptorProto.FIELD_FIELD_NUMBER, index))
    for index, oneof in enumerate(message.oneof_decl):
        if index not in optional:  # `optional` is a oneof of the compiler's own
            yield Element("oneof", f"{name}.{oneof.name}", (*path, DescriptorProto.ONEOF_DECL_FIELD_NUMBER, index))
    for index, nested in enumerate(message.nested_type):
        yield from _message_elements(f"{name}.", nested, (*path, DescriptorProto.NESTED_TYPE_FIELD_NUMBER, index))
    for index, enum in enumerate(message.enum_type):
        yield from _enum_elements(f"{name}.", enum, (*path, DescriptorProto.ENUM_TYPE_FIELD_NUMBER, index))


def _enum_elements(scope: str, enum: EnumDescriptorProto, path: Path) -> Iterator[Element]:
    name = f"{scope}{enum.name}"
    yield Element("enum", name, path)
    for index, value in enumerate(enum.value):
        yield Element("value", f"{name}.{value.name}", (*path, EnumDescriptorProto.VALUE_FIELD_NUMBER, index))
