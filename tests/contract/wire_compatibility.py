"""What a newer contract may not do to an older one: the rules of buf's WIRE_JSON."""

from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
)

from tests.contract.proto_walk import enums, messages, services


def breaking_changes(released: FileDescriptorSet, current: FileDescriptorSet) -> Iterator[str]:
    """Yields every change that breaks a program built against the released contract."""
    new_messages = dict(messages(current))
    for name, message in messages(released):
        if name in new_messages:
            yield from _message_changes(name, message, new_messages[name])
        else:
            yield f"message {name} is gone"
    new_enums = dict(enums(current))
    for name, enum in enums(released):
        if name in new_enums:
            yield from _enum_changes(name, enum, new_enums[name])
        else:
            yield f"enum {name} is gone"
    yield from _method_changes(released, current)


def _message_changes(name: str, old: DescriptorProto, new: DescriptorProto) -> Iterator[str]:
    by_number = {field.number: field for field in new.field}
    reserved = {number for range_ in new.reserved_range for number in range(range_.start, range_.end)}
    for field in old.field:
        if field.number in by_number:
            yield from _field_changes(f"{name}.{field.name}", old, field, new, by_number[field.number])
        elif field.number not in reserved or field.name not in new.reserved_name:
            yield f"field {name}.{field.name} = {field.number} is gone, and its number and name are not both reserved"


def _field_changes(
    name: str,
    old_message: DescriptorProto,
    old: FieldDescriptorProto,
    new_message: DescriptorProto,
    new: FieldDescriptorProto,
) -> Iterator[str]:
    facts = {
        "name": (old.name, new.name),
        "JSON name": (old.json_name, new.json_name),
        "type": (FieldDescriptorProto.Type.Name(old.type), FieldDescriptorProto.Type.Name(new.type)),
        "type name": (old.type_name, new.type_name),
        "label": (FieldDescriptorProto.Label.Name(old.label), FieldDescriptorProto.Label.Name(new.label)),
        "presence": (old.proto3_optional, new.proto3_optional),
        "oneof": (_oneof(old_message, old), _oneof(new_message, new)),
    }
    for fact, (before, after) in facts.items():
        if before != after:
            yield f"field {name} = {old.number} changes its {fact} from {before} to {after}"


def _oneof(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    in_oneof = field.HasField("oneof_index") and not field.proto3_optional
    return message.oneof_decl[field.oneof_index].name if in_oneof else "none"


def _enum_changes(name: str, old: EnumDescriptorProto, new: EnumDescriptorProto) -> Iterator[str]:
    by_number = {value.number: value.name for value in new.value}
    reserved = {number for range_ in new.reserved_range for number in range(range_.start, range_.end + 1)}
    for value in old.value:
        after = by_number.get(value.number)
        if after is None and (value.number not in reserved or value.name not in new.reserved_name):
            yield f"value {name}.{value.name} = {value.number} is gone, and its number and name are not both reserved"
        if after not in {None, value.name}:
            yield f"value {name}.{value.name} = {value.number} changes its name to {after}"


def _method_changes(released: FileDescriptorSet, current: FileDescriptorSet) -> Iterator[str]:
    new = {f"{name}.{method.name}": method for name, service in services(current) for method in service.method}
    for service_name, service in services(released):
        for method in service.method:
            name = f"{service_name}.{method.name}"
            if name not in new:
                yield f"method {name} is gone"
                continue
            for fact in ("input_type", "output_type", "client_streaming", "server_streaming"):
                before, after = getattr(method, fact), getattr(new[name], fact)
                if before != after:
                    yield f"method {name} changes its {fact} from {before} to {after}"
