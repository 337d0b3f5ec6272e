"""A program built against the last release keeps working."""

from collections.abc import Callable

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorSet

from tests.contract.checkout import ROOT
from tests.contract.wire_compatibility import breaking_changes

RELEASED = ROOT / "tests/contract/released/pilotfish-v1.binpb"


def task_of(files: FileDescriptorSet) -> DescriptorProto:
    return next(message for file in files.file for message in file.message_type if message.name == "Task")


def test_nothing_breaks_the_last_release(contract: FileDescriptorSet) -> None:
    released = FileDescriptorSet.FromString(RELEASED.read_bytes())

    assert list(breaking_changes(released, contract)) == []


def remove_field(files: FileDescriptorSet) -> None:
    del task_of(files).field[3]


def renumber_field(files: FileDescriptorSet) -> None:
    task_of(files).field[3].number = 40


def retype_field(files: FileDescriptorSet) -> None:
    task_of(files).field[3].type = FieldDescriptorProto.TYPE_INT64


def rename_field(files: FileDescriptorSet) -> None:
    task_of(files).field[3].name = "urgency"


def make_singular(files: FileDescriptorSet) -> None:
    task_of(files).field[6].label = FieldDescriptorProto.LABEL_OPTIONAL


def drop_presence(files: FileDescriptorSet) -> None:
    task_of(files).field[4].proto3_optional = False


def remove_message(files: FileDescriptorSet) -> None:
    for file in files.file:
        kept = [message for message in file.message_type if message.name != "Task"]
        del file.message_type[:]
        file.message_type.extend(kept)


def remove_enum_value(files: FileDescriptorSet) -> None:
    for file in files.file:
        for enum in file.enum_type:
            if enum.name == "Mode":
                del enum.value[4]


def remove_method(files: FileDescriptorSet) -> None:
    for file in files.file:
        for service in file.service:
            if service.name == "OutcomeService":
                del service.method[1]


def make_method_stream(files: FileDescriptorSet) -> None:
    for file in files.file:
        for service in file.service:
            if service.name == "OutcomeService":
                service.method[0].server_streaming = True


PRIORITY = "field .pilotfish.v1.Task.priority = 4"
CAPABILITIES = "field .pilotfish.v1.Task.required_capabilities = 7"
GONE = "is gone, and its number and name are not both reserved"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (remove_field, f"{PRIORITY} {GONE}"),
        (renumber_field, f"{PRIORITY} {GONE}"),
        (retype_field, f"{PRIORITY} changes its type from TYPE_INT32 to TYPE_INT64"),
        (rename_field, f"{PRIORITY} changes its name from priority to urgency"),
        (
            make_singular,
            f"{CAPABILITIES} changes its label from LABEL_REPEATED to LABEL_OPTIONAL",
        ),
        (drop_presence, "field .pilotfish.v1.Task.data_size_bytes = 5 changes its presence from True to False"),
        (remove_message, "message .pilotfish.v1.Task is gone"),
        (remove_enum_value, f"value .pilotfish.v1.Mode.MODE_ON = 4 {GONE}"),
        (remove_method, "method .pilotfish.v1.OutcomeService.BatchRecordOutcomes is gone"),
        (
            make_method_stream,
            "method .pilotfish.v1.OutcomeService.RecordOutcome changes its server_streaming from False to True",
        ),
    ],
)
def test_a_breaking_change_is_seen(
    change: Callable[[FileDescriptorSet], None], complaint: str, contract: FileDescriptorSet
) -> None:
    changed = FileDescriptorSet.FromString(contract.SerializeToString())
    change(changed)

    assert complaint in list(breaking_changes(contract, changed))


def test_a_retired_field_may_go_if_its_number_and_name_are_reserved(contract: FileDescriptorSet) -> None:
    changed = FileDescriptorSet.FromString(contract.SerializeToString())
    task = task_of(changed)
    del task.field[3]
    task.reserved_range.add(start=4, end=5)
    task.reserved_name.append("priority")

    assert list(breaking_changes(contract, changed)) == []


def test_additions_are_welcome(contract: FileDescriptorSet) -> None:
    changed = FileDescriptorSet.FromString(contract.SerializeToString())
    task_of(changed).field.add(name="locale", number=40, type=FieldDescriptorProto.TYPE_STRING)

    assert list(breaking_changes(contract, changed)) == []
