"""Model states and snapshots taken apart, changed and sealed again with good checksums: what only a forger would write.

A second reading of the core's layout (`rust_core/kernel/src/model/state.rs`): postcard, in which whole numbers are
LEB128, floats eight bytes little endian, and texts and lists begin with their length.
"""

import hashlib
import struct
from collections.abc import Callable
from typing import Any

import msgspec

from pilotfish._core import Model
from pilotfish.engine.specification import model_specification
from pilotfish.rewards import RewardFunction
from pilotfish.training.snapshot import FORMAT_VERSION, MAGIC, Snapshot, take

Tree = dict[str, Any]
"""A state's body: `spec`, `shared_geometries`, `arm_geometries`, `heads`."""

HEAD_BYTES, CHECKSUM_BYTES = 10, 32
VECTOR = "vector"
UTILITY = [("geometry", int), ("mean", VECTOR), ("sum", VECTOR), ("count", int)] + [
    (key, float) for key in ("weight", "reward", "squares")
]
BODY: Any = [
    ("spec", str),
    ("shared_geometries", [[("covariance", VECTOR), ("sum_zz", VECTOR), ("volume", float)]]),
    (
        "arm_geometries",
        [[*((key, VECTOR) for key in ("covariance", "coupling", "sum_xx", "sum_xz")), ("volume", float)]],
    ),
    ("heads", [[("shared", UTILITY), ("scatter", float), ("arms", [[("name", str), ("utility", UTILITY)]])]]),
]
"""A list of pairs is a struct; a list of one such list is a list of structs."""


def small_specification(explorer: dict[str, Any] | None = None) -> bytes:
    """Return a specification of this release with few slots."""
    encoder = {"hashed_dims": 5, "text_dims": 3, "shared_dims": 4}
    return model_specification(RewardFunction(), encoder=encoder, explorer=explorer)


def learned(n_values: int = 60, seed: int = 0, specification: bytes | None = None) -> Model:
    """Return a model that has learned of three modules; other seeds, other learning."""
    model = Model(specification or small_specification())
    for t in range(n_values):
        task = {"pages": (t + seed) % 7 / 2.0, "kind": ("pdf", "txt")[t % 2]}
        module = (f"module {t % 3}", {"speed": t % 3 / 2.0}, ("pdf",))
        model.learn(task, "extract tables", module, t % 2, ((t + seed) % 5) / 4.0)
    return model


def snapshot_of(model: Model, **changes: Any) -> Snapshot:  # noqa: ANN401  any field of any type
    """Return a model's snapshot, with fields replaced."""
    taken = take(model, birth=3, note="before the change", actor="test", now_us=1_000_000)
    return msgspec.structs.replace(taken, **changes)


def sealed(body: bytes, version: int = FORMAT_VERSION, magic: bytes = MAGIC) -> bytes:
    """Return a snapshot file with a good checksum."""
    return magic + version.to_bytes(2, "little") + hashlib.sha256(body).digest() + body


def forged(model: Model, change: Callable[[Tree], None]) -> Snapshot:
    """Return a snapshot of a state that was changed and sealed again, with all that follows from it in order."""
    state = model.state()
    content = state[:-CHECKSUM_BYTES]
    tree, rest = _read(BODY, content[HEAD_BYTES:])
    assert (rest, content[:HEAD_BYTES] + _write(BODY, tree)) == (b"", content), "the two readings of the layout differ"
    change(tree)
    return with_state(snapshot_of(model), content[:HEAD_BYTES] + _write(BODY, tree))


def with_state(snapshot: Snapshot, content: bytes, **changes: Any) -> Snapshot:  # noqa: ANN401
    """Return a snapshot whose state is `content` and a good checksum."""
    state = content + hashlib.sha256(content).digest()
    digest = hashlib.sha256(state).hexdigest()
    return msgspec.structs.replace(snapshot, state=state, state_sha256=digest, **changes)


def respecified(model: Model, change: Callable[[dict[str, Any]], None], *, version: str | None = None) -> Snapshot:
    """Return a snapshot whose specification was changed, in the state too.

    Args:
        model: What the snapshot is of.
        change: Of the specification.
        version: The snapshot's model version; None for the true one of the new specification.
    """
    specification = msgspec.json.decode(model.specification)
    change(specification)
    text = msgspec.json.encode(specification, order="sorted")
    canonical = text if version else Model(text).specification
    snapshot = forged(model, lambda tree: tree.update(spec=canonical.decode()))
    return msgspec.structs.replace(snapshot, specification=canonical, model_version=version or Model(canonical).version)


def _read(kind: Any, data: bytes) -> tuple[Any, bytes]:  # noqa: ANN401
    if kind is float:
        return struct.unpack("<d", data[:8])[0], data[8:]
    if isinstance(kind, list) and isinstance(kind[0], tuple):
        tree = {}
        for key, part in kind:
            tree[key], data = _read(part, data)
        return tree, data
    number, shift = 0, 0
    while True:
        byte, data = data[0], data[1:]
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    if kind is int:
        return number, data
    if kind is str:
        return data[:number].decode(), data[number:]
    if kind is VECTOR:
        return list(struct.unpack(f"<{number}d", data[: 8 * number])), data[8 * number :]
    items = []
    for _ in range(number):
        item, data = _read(kind[0], data)
        items.append(item)
    return items, data


def _write(kind: Any, value: Any) -> bytes:  # noqa: ANN401
    if kind is float:
        return struct.pack("<d", value)
    if kind is int:
        return varint(value)
    if kind is str:
        encoded: bytes = value.encode()
        return varint(len(encoded)) + encoded
    if kind is VECTOR:
        return varint(len(value)) + struct.pack(f"<{len(value)}d", *value)
    if isinstance(kind[0], tuple):
        return b"".join(_write(part, value[key]) for key, part in kind)
    return varint(len(value)) + b"".join(_write(kind[0], item) for item in value)


def varint(number: int) -> bytes:
    """Return a whole number as LEB128; a negative one as the 64 bits that it would be cast to."""
    number &= 2**64 - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])
