"""How commands print."""

from collections.abc import Mapping, Sequence

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message


def as_json(message: Message) -> str:
    """Return a message as JSON with the contract's own names and no field left out."""
    return MessageToJson(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def lines(values: Mapping[str, object]) -> str:
    """Return one line per value, aligned."""
    width = max(map(len, values))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in values.items())


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns under their heads."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heads, *rows)
    )
