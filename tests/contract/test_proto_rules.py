"""The contract keeps its rules, and each rule sees the fault it is there for."""

from collections.abc import Callable

import pytest
from google.api import field_behavior_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from tests.contract import proto_rules
from tests.contract.proto_rules import RULES, Rule


def rule_name(rule: Rule) -> str:
    return rule.__name__


def file_of(files: FileDescriptorSet, stem: str) -> FileDescriptorProto:
    return next(file for file in files.file if file.name == f"pilotfish/v1/{stem}.proto")


def message_of(files: FileDescriptorSet, stem: str, name: str) -> DescriptorProto:
    return next(message for message in file_of(files, stem).message_type if message.name == name)


def field_of(files: FileDescriptorSet, stem: str, message: str, name: str) -> FieldDescriptorProto:
    return next(field for field in message_of(files, stem, message).field if field.name == name)


def mode_of(files: FileDescriptorSet) -> EnumDescriptorProto:
    return next(enum for enum in file_of(files, "policy").enum_type if enum.name == "Mode")


@pytest.mark.parametrize("rule", RULES, ids=rule_name)
def test_the_contract_keeps(rule: Rule, contract: FileDescriptorSet) -> None:
    assert list(rule(contract)) == []


def lose_a_comment(files: FileDescriptorSet) -> None:
    locations = file_of(files, "policy").source_code_info.location
    first_message = next(place for place in locations if list(place.path) == [4, 0])
    first_message.leading_comments = ""


def lose_a_behavior(files: FileDescriptorSet) -> None:
    options = field_of(files, "policy", "NumberList", "values").options  # reached through a map
    options.ClearExtension(field_behavior_pb2.field_behavior)


def rename_the_zero(files: FileDescriptorSet) -> None:
    mode_of(files).value[0].name = "MODE_NONE"


def lose_a_prefix(files: FileDescriptorSet) -> None:
    mode_of(files).value[1].name = "OFF"


def borrow_a_request(files: FileDescriptorSet) -> None:
    method = file_of(files, "control_service").service[0].method[2]
    method.input_type = ".pilotfish.v1.GetInfoRequest"


def misname_a_duration(files: FileDescriptorSet) -> None:
    field_of(files, "policy", "Task", "deadline_duration").name = "deadline"


def move_a_file(files: FileDescriptorSet) -> None:
    file_of(files, "policy").name = "pilotfish/policy.proto"


def take_a_reserved_number(files: FileDescriptorSet) -> None:
    message_of(files, "policy", "Task").reserved_range.add(start=2, end=3)


def drop_a_sign(files: FileDescriptorSet) -> None:
    field_of(files, "policy", "Task", "priority").type = FieldDescriptorProto.TYPE_UINT32


def write_in_camel_case(files: FileDescriptorSet) -> None:
    field_of(files, "policy", "Task", "priority").name = "taskPriority"


@pytest.mark.parametrize(
    ("rule", "fault", "violation"),
    [
        (proto_rules.everything_has_a_comment, lose_a_comment, "message Features has no comment"),
        (
            proto_rules.request_fields_state_their_behavior,
            lose_a_behavior,
            "field .pilotfish.v1.NumberList.values is part of a request and has no field_behavior",
        ),
        (
            proto_rules.enum_zero_is_unspecified,
            rename_the_zero,
            "enum .pilotfish.v1.Mode has no zero value ending _UNSPECIFIED",
        ),
        (
            proto_rules.enum_values_are_prefixed,
            lose_a_prefix,
            "value .pilotfish.v1.Mode.OFF does not begin with MODE_",
        ),
        (
            proto_rules.methods_have_their_own_messages,
            borrow_a_request,
            "message .pilotfish.v1.GetInfoRequest serves 2 methods",
        ),
        (
            proto_rules.times_are_named_for_their_type,
            misname_a_duration,
            "field .pilotfish.v1.Task.deadline is a .google.protobuf.Duration and does not end _duration",
        ),
        (proto_rules.package_matches_folder, move_a_file, "file pilotfish/policy.proto is of package pilotfish.v1"),
        (
            proto_rules.numbers_and_names_are_used_once,
            take_a_reserved_number,
            "message .pilotfish.v1.Task uses number 2 twice",
        ),
        (proto_rules.integers_are_signed, drop_a_sign, "field .pilotfish.v1.Task.priority is unsigned"),
        (
            proto_rules.names_have_their_case,
            write_in_camel_case,
            "field .pilotfish.v1.Task.taskPriority is not snake_case",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_is_seen(
    rule: Rule, fault: Callable[[FileDescriptorSet], None], violation: str, contract: FileDescriptorSet
) -> None:
    fault(contract)

    assert violation in list(rule(contract))


def test_every_rule_has_a_fault_that_it_sees() -> None:
    parameters = next(mark for mark in test_a_fault_is_seen.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]

    assert {case[0] for case in parameters.args[1]} == set(RULES)
