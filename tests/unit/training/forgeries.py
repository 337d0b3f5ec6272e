"""Everything that is tried on the reader of snapshots."""

import hashlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from pilotfish._core import Model
from pilotfish.training.snapshot import FORMAT_VERSION, Snapshot, seal
from tests.unit.training.forging import Tree, forged, learned, respecified, sealed, snapshot_of, varint, with_state

NAN, INF = math.nan, math.inf


def random_damage() -> Iterator[bytes]:
    """Yield what disks and transports do to a file: 300 truncations, 400 flipped bits, and appended bytes."""
    whole = seal(snapshot_of(learned()))[1]
    for i in range(300):
        yield whole[: i * len(whole) // 300]
    header = range(42)
    for i, place in enumerate([*header, *(42 + i * (len(whole) - 43) // 357 for i in range(358))]):
        yield whole[:place] + bytes([whole[place] ^ 1 << i % 8]) + whole[place + 1 :]
    yield whole + b"\0"
    yield whole + whole
    yield b"\0" * len(whole)


def forged_bodies() -> Iterator[tuple[str, bytes]]:
    """Yield files of a good checksum whose body is no snapshot, with what must be said of each."""
    good = snapshot_of(learned())
    fields = msgspec.to_builtins(good, builtin_types=(bytes,))
    body = msgspec.msgpack.encode(good)
    for version in (0, FORMAT_VERSION + 1, 65_535):
        yield f"format version == {version}, must be {FORMAT_VERSION}", sealed(body, version)
    yield "does not begin with the magic bytes PFSNAPSH", sealed(body, magic=b"PFCKPT01")
    for name in fields:
        yield "cannot be read", sealed(msgspec.msgpack.encode({k: v for k, v in fields.items() if k != name}))
        for value in (None, [1], {"a": 1}, 1.5):
            yield "cannot be read", sealed(msgspec.msgpack.encode(fields | {name: value}))
    for key in ("created_us", "birth", "learned_count"):
        for number in (-1, -(2**63), True, "1"):
            yield "cannot be read", sealed(msgspec.msgpack.encode(fields | {key: number}))
    for key in ("model_version", "state_sha256"):
        for text in ("", "0" * 63, "G" * 64, "0" * 65, "../" * 22):
            yield "cannot be read", sealed(msgspec.msgpack.encode(fields | {key: text}))
    for key, text in [
        ("note", "two\nlines"),
        ("note", "\x1b[2J"),
        ("note", "n" * 1025),
        ("actor", ""),
        ("actor", "a" * 129),
    ]:
        yield f"cannot be read: {key} == ", sealed(msgspec.msgpack.encode(fields | {key: text}))
    yield "cannot be read", sealed(msgspec.msgpack.encode(fields | {"created_us": 10**18}))
    yield "cannot be read", sealed(msgspec.msgpack.encode(fields | {"extra": 1}))
    yield "cannot be read", sealed(b"\x81\xa5extra" + b"\x91" * 100_000)
    yield "cannot be read", sealed(b"\x91" * 100_000)
    yield "cannot be read", sealed(body + b"\xc0")
    yield "cannot be read", sealed(b"")
    yield "not as this release writes it", sealed(msgspec.msgpack.encode(dict(reversed(fields.items()))))
    # A key twice: the second counts, so the length of the map is all that tells.
    yield "not as this release", sealed(bytes([body[0] + 1]) + body[1:] + msgspec.msgpack.encode("note") + b"\xa1x")
    for huge in (b"\xdf\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"):
        yield "cannot be read", sealed(huge)
        yield "cannot be read", sealed(b"\x81\xa5state" + huge)


def numbers(tree: Tree) -> Iterator[tuple[str, Callable[[float], None], bool]]:
    """Yield every kind of number in a state: its place, how to replace it, and whether it cannot be negative."""

    def slot(part: Any, key: Any) -> Callable[[float], None]:  # noqa: ANN401
        return lambda value: part.__setitem__(key, value)

    for kind in ("shared_geometries", "arm_geometries"):
        geometry = tree[kind][-1]
        for key, value in geometry.items():
            if key == "volume":
                yield f"{kind}.volume", slot(geometry, key), True
            else:
                for i in (0, 1, len(value) - 1):
                    diagonal = key not in ("coupling", "sum_xz") and i != 1
                    yield f"{kind}.{key}[{i}]", slot(value, i), diagonal
    head = tree["heads"][0]
    yield "scatter", slot(head, "scatter"), True
    for part in (head["shared"], head["arms"][0]["utility"]):
        for key in ("mean", "sum"):
            for i in (0, len(part[key]) - 1):
                yield key, slot(part[key], i), False
        for key in ("weight", "reward", "squares"):
            yield key, slot(part, key), key != "reward"


def forged_numbers() -> Iterator[tuple[str, Snapshot]]:
    """Yield states with a number that no data could have left."""
    model, probe = learned(), Tree()
    forged(model, probe.update)
    for at, (place, _, positive) in enumerate(numbers(probe)):
        for value in (NAN, INF, -INF, 1e300, -1e300, *((-1.0,) if positive else ())):

            def change(tree: Tree, at: int = at, value: float = value) -> None:
                list(numbers(tree))[at][1](value)

            yield f"{place} = {value}", forged(model, change)


def put(*path: Any, **values: Any) -> Callable[[Any], None]:  # noqa: ANN401
    """Return a change that sets keys of the part to which a path leads."""

    def change(tree: Any) -> None:  # noqa: ANN401
        for key in path:
            tree = tree[key]
        tree.update(values)

    return change


def edit(*path: Any, how: Callable[[Any], object]) -> Callable[[Any], None]:  # noqa: ANN401
    """Return a change that applies `how` to the part to which a path leads."""

    def change(tree: Any) -> None:  # noqa: ANN401
        for key in path:
            tree = tree[key]
        how(tree)

    return change


def correlate(values: list[float]) -> None:
    """Set element (1, 0) of a packed triangle to what its neighbours on the diagonal do not allow."""
    values[1] = 1.001 * math.sqrt(values[0] * values[2])


ONE_MODULE = ("heads", 0, "arms", 0, "utility")
MOMENTS, ENDLESS = "moments == |values in its modules|volume == ", "geometry == .*, must be below|cannot be read"
MATRICES = [(f"{part}_geometries", key) for part, key in [("shared", "sum_zz"), ("arm", "coupling"), ("arm", "sum_xx")]]
PARTS: list[tuple[str, Callable[[Any], None]]] = [
    *(
        (f"{key} has a negative eigenvalue", edit(f"{part}_geometries", 0, key, how=correlate))
        for part, keys in [("shared", ("covariance", "sum_zz")), ("arm", ("covariance", "sum_xx"))]
        for key in keys
    ),
    *(
        (r"covariance\[0, 0\] == 0, must be > 0", edit(part, 0, "covariance", how=lambda v: v.__setitem__(0, 0.0)))
        for part in ("shared_geometries", "arm_geometries")
    ),
    *((MOMENTS, put("heads", 0, "shared", count=count)) for count in (-1, 0, 1, 2**63)),
    *((MOMENTS, put(*ONE_MODULE, count=count)) for count in (-1, 0, 1, 2**63)),
    *((ENDLESS, put(*ONE_MODULE, geometry=geometry)) for geometry in (99, -1, 2**63)),
    ("a geometry that no signal uses", edit("arm_geometries", how=lambda all_: all_.append(all_[0]))),
    ("must be ascending", edit("heads", 0, "arms", how=list.reverse)),
    ("must be ascending", put("heads", 0, "arms", 0, name="")),
    ("state has 6 signals, must be 7", edit("heads", how=list.pop)),
    ("state has 8 signals, must be 7", edit("heads", how=lambda heads: heads.append(heads[-1]))),
    *(
        (rf"len\({key}\) == ", edit(part, 0, key, how=how))
        for part, key in MATRICES
        for how in (list.pop, list.clear, lambda values: values.append(0.0))
    ),
]


def forged_parts() -> Iterator[tuple[str, Snapshot]]:
    """Yield states with a part that does not fit the others, with what must be said of each."""
    model = learned()
    for reason, change in PARTS:
        yield reason, forged(model, change)


def forged_states() -> Iterator[tuple[str, Snapshot]]:
    """Yield states that are whole and none, with what must be said of each."""
    good = snapshot_of(learned())
    content = good.state[:-32]
    for version in (1, 3, 255):
        yield (
            f"format version == {version}, must be 2",
            with_state(good, content[:8] + bytes([version, 0]) + content[10:]),
        )
    yield "magic bytes", with_state(good, b"pilotfsx" + content[8:])
    yield "bytes too many", with_state(good, content + b"\0")
    for length in (10, 11, len(content) // 2, len(content) - 1):
        yield "cannot be read", with_state(good, content[:length])
    for huge in (2**20, 2**32, 2**40, 2**63, 2**64 - 1):
        yield "cannot be read", with_state(good, content[:10] + varint(huge) + content[11:])
        spec = varint(len(good.specification)) + good.specification
        yield "cannot be read", with_state(good, content[:10] + spec + varint(huge))
        yield "cannot be read", with_state(good, content[:10] + spec + varint(1) + varint(huge) + b"\0" * 64)
    yield (
        "state's checksum differs",
        msgspec.structs.replace(
            good, state=good.state[:-1] + b"\0", state_sha256=hashlib.sha256(good.state[:-1] + b"\0").hexdigest()
        ),
    )
    yield "state_sha256 == ", msgspec.structs.replace(good, state_sha256="0" * 64)
    yield "state_sha256 == ", msgspec.structs.replace(good, state=learned(61).state())
    yield (
        "too few to be one",
        with_state(good, b"").__class__(
            **(msgspec.structs.asdict(good) | {"state": b"", "state_sha256": hashlib.sha256(b"").hexdigest()})
        ),
    )


REFUSED_BY_THE_CORE: list[tuple[str, Callable[[Any], None]]] = [
    ("extra == 1, must be absent", put(extra=1)),
    *((rf"{part}\.extra == 1, must be absent", put(part, extra=1)) for part in ("encoder", "learner", "explorer")),
    ("explorer", put("explorer", kind="never heard of")),
    (r"explorer\.floor == 2", put("explorer", floor=2.0)),
    (r"explorer\.scale", put("explorer", scale=-1.0)),
    (r"learner\.noise_variance", put("learner", noise_variance=0.0)),
    (r"encoder\.hashed_dims", put("encoder", hashed_dims=10**9)),
]
OF_ANOTHER_MEANING: list[tuple[str, Callable[[Any], None]]] = [
    (r"learner\.signals == ", edit("learner", "signals", how=list.reverse)),
    (r"learner\.signals == ", edit("learner", "signals", how=lambda names: names.__setitem__(0, "joy"))),
    ("rewards == None", edit(how=lambda specification: specification.pop("rewards"))),
    ("rewards == ", put("rewards", version="reward-2")),
    ("rewards == ", put("rewards", extra=1)),
    ("rewards == ", put("rewards", half_values=[1])),
    ("rewards == ", edit("rewards", "half_values", how=lambda values: values.pop("latency_ms"))),
    ("rewards == ", put("rewards", "half_values", joy=1.0)),
    (r"half_values\.latency_ms == -1", put("rewards", "half_values", latency_ms=-1.0)),
    *(
        (r"rewards\.half_values == ", put("rewards", "half_values", latency_ms=value))
        for value in (True, "1", None, [1.0])
    ),
]


def forged_specifications() -> Iterator[tuple[str, Snapshot]]:
    """Yield snapshots whose specification is not this release's or not their own, with what must be said of each."""
    model = learned()
    good = snapshot_of(model)
    uniform = msgspec.json.decode(good.specification) | {"explorer": {"kind": "uniform", "floor": 0.1}}
    other = Model(msgspec.json.encode(uniform))
    yield (
        "state's spec == ",
        msgspec.structs.replace(good, specification=other.specification, model_version=other.version),
    )
    yield "model_version == ", msgspec.structs.replace(good, model_version=other.version)
    for count in (0, 59, 61, 2**62):
        yield "learned_count == ", msgspec.structs.replace(good, learned_count=count)
    yield "canonical form", msgspec.structs.replace(good, specification=b" " + good.specification)
    for text in (b"", b"{}", b"null", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"encoder":' * 50_000):
        yield "cannot be served", msgspec.structs.replace(good, specification=text)
    for reason, change in REFUSED_BY_THE_CORE:
        yield reason, respecified(model, change, version=good.model_version)
    for reason, change in OF_ANOTHER_MEANING:
        yield reason, respecified(model, change)


def all_snapshots() -> list[tuple[str, Snapshot]]:
    return [*forged_parts(), *forged_states(), *forged_specifications()]
