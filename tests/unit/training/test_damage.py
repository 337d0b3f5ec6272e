"""No file, however it was damaged or forged, becomes a model that serves; 500 and more are tried."""

import gc
import hashlib
import math
import resource
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilotfish._core import Model
from pilotfish.exceptions import StateError
from pilotfish.training import snapshot as snapshot_module
from pilotfish.training.registry import Registry
from pilotfish.training.snapshot import FORMAT_VERSION, Snapshot, restore, seal, unseal
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
        ("note", "n" * 501),
        ("actor", ""),
        ("actor", "a" * 101),
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
    model, probe = learned(), {}
    forged(model, probe.update)
    for at, (place, _, positive) in enumerate(numbers(probe)):
        for value in (NAN, INF, -INF, 1e300, -1e300, *((-1.0,) if positive else ())):

            def change(tree: Tree, at: int = at, value: float = value) -> None:
                list(numbers(tree))[at][1](value)

            yield f"{place} = {value}", forged(model, change)


def forged_parts() -> Iterator[tuple[str, Snapshot]]:
    """Yield states with a part that does not fit the others, with what must be said of each."""
    model = learned()

    def make(change: Callable[[Tree], Any]) -> Snapshot:
        return forged(model, lambda tree: (change(tree), None)[1])

    def second(matrix: str, key: str) -> Callable[[Tree], None]:
        """Return a change of element (1, 0) to one that its neighbours on the diagonal do not allow."""

        def change(tree: Tree) -> None:
            values = tree[matrix][0][key]
            values[1] = 1.001 * math.sqrt(values[0] * values[2])

        return change

    for matrix, key in [("shared_geometries", "covariance"), ("shared_geometries", "sum_zz")]:
        yield f"{key} has a negative eigenvalue", make(second(matrix, key))
    for key in ("covariance", "sum_xx"):
        yield f"{key} has a negative eigenvalue", make(second("arm_geometries", key))
    for zero in ("shared_geometries", "arm_geometries"):
        yield (
            r"covariance\[0, 0\] == 0, must be > 0",
            make(lambda tree, zero=zero: tree[zero][0]["covariance"].__setitem__(0, 0.0)),
        )
    for count in (-1, 0, 1, 2**63):
        yield "moments == |values in its modules|volume == ", make(lambda tree, c=count: tree["heads"][0]["shared"].update(count=c))
        yield (
            "moments == |values in its modules|volume == ",
            make(lambda tree, c=count: tree["heads"][0]["arms"][0]["utility"].update(count=c)),
        )
    for geometry in (99, -1, 2**63):
        yield (
            "geometry == .*, must be below|cannot be read",
            make(lambda tree, g=geometry: tree["heads"][0]["arms"][0]["utility"].update(geometry=g)),
        )
    yield "a geometry that no signal uses", make(lambda tree: tree["arm_geometries"].append(tree["arm_geometries"][0]))
    yield "must be ascending", make(lambda tree: tree["heads"][0]["arms"].reverse())
    yield "must be ascending", make(lambda tree: tree["heads"][0]["arms"][0].update(name=""))
    yield "state has 6 signals, must be 7", make(lambda tree: tree["heads"].pop())
    yield "state has 8 signals, must be 7", make(lambda tree: tree["heads"].append(tree["heads"][-1]))
    for matrix, key in [("shared_geometries", "sum_zz"), ("arm_geometries", "coupling"), ("arm_geometries", "sum_xx")]:
        for edit in (list.pop, lambda values: values.append(0.0), list.clear):
            yield rf"len\({key}\) == ", make(lambda tree, m=matrix, k=key, e=edit: e(tree[m][0][k]))


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


def forged_specifications() -> Iterator[tuple[str, Snapshot]]:
    """Yield snapshots whose specification is not this release's or not their own, with what must be said of each."""
    model = learned()
    good = snapshot_of(model)

    def make(change: Callable[[Any], Any], version: str | None = None) -> Snapshot:
        return respecified(model, lambda specification: (change(specification), None)[1], version=version)

    other = Model(msgspec.json.encode(msgspec.json.decode(good.specification) | {"explorer": {"kind": "uniform", "floor": 0.1}}))
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
    keep = good.model_version
    yield "extra == 1, must be absent", make(lambda s: s.update(extra=1), keep)
    yield r"encoder\.extra == 1, must be absent", make(lambda s: s["encoder"].update(extra=1), keep)
    yield r"learner\.extra == 1, must be absent", make(lambda s: s["learner"].update(extra=1), keep)
    yield r"explorer\.extra == 1, must be absent", make(lambda s: s["explorer"].update(extra=1), keep)
    yield "explorer", make(lambda s: s["explorer"].update(kind="greedy as never seen"), keep)
    yield r"explorer\.floor == 2", make(lambda s: s["explorer"].update(floor=2.0), keep)
    yield r"explorer\.scale", make(lambda s: s["explorer"].update(scale=-1.0), keep)
    yield r"learner\.noise_variance", make(lambda s: s["learner"].update(noise_variance=0.0), keep)
    yield r"encoder\.hashed_dims", make(lambda s: s["encoder"].update(hashed_dims=10**9), keep)
    yield r"learner\.signals == ", make(lambda s: s["learner"]["signals"].reverse())
    yield r"learner\.signals == ", make(lambda s: s["learner"]["signals"].__setitem__(0, "joy"))
    yield "rewards == None", make(lambda s: s.pop("rewards"))
    yield "rewards == ", make(lambda s: s["rewards"].update(version="reward-2"))
    yield "rewards == ", make(lambda s: s["rewards"].update(extra=1))
    yield "rewards == ", make(lambda s: s["rewards"].update(half_values=[1]))
    yield "rewards == ", make(lambda s: s["rewards"]["half_values"].pop("latency_ms"))
    yield "rewards == ", make(lambda s: s["rewards"]["half_values"].update(joy=1.0))
    yield r"half_values\.latency_ms == -1", make(lambda s: s["rewards"]["half_values"].update(latency_ms=-1.0))
    for value in (True, "1", None, [1.0]):
        yield "rewards.half_values == ", make(lambda s, v=value: s["rewards"]["half_values"].update(latency_ms=v))


def all_snapshots() -> list[tuple[str, Snapshot]]:
    return [*forged_parts(), *forged_states(), *forged_specifications()]


def test_unharmed_snapshots_pass() -> None:
    # What the forger takes apart and puts together again is the same: the checks refuse the change and not the forging.
    model = learned()
    for snapshot in (forged(model, lambda _: None), respecified(model, lambda _: None)):
        assert unseal(seal(snapshot)[1])[1] == snapshot == snapshot_of(model)
        assert restore(snapshot).state() == model.state()


def test_every_truncation_and_flipped_bit_is_refused() -> None:
    for damaged in random_damage():
        with pytest.raises(StateError, match="^snapshot"):
            unseal(damaged)


def test_every_body_that_is_no_snapshot_is_refused_for_its_reason() -> None:
    for reason, content in forged_bodies():
        with pytest.raises(StateError, match=reason):
            unseal(content)


def test_every_number_that_no_data_could_leave_is_refused() -> None:
    accepted = []
    for place, snapshot in forged_numbers():
        try:
            restore(snapshot)
            accepted.append(place)
        except StateError:
            pass
    assert accepted == []


def test_every_part_that_does_not_fit_is_refused_for_its_reason() -> None:
    for reason, snapshot in all_snapshots():
        with pytest.raises(StateError, match=reason):
            restore(snapshot)


def test_after_five_hundred_bad_files_the_last_good_one_decides_as_before(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    model = learned()
    kept = registry.keep(model, birth=0, note="good", actor="test", now_us=1)
    whole = (tmp_path / "registry" / f"{1:010d}-{1:018d}-{kept.sha256}.snapshot").read_bytes()
    bad = [*random_damage(), *(content for _, content in forged_bodies())]
    bad += [seal(snapshot)[1] for _, snapshot in [*forged_numbers(), *all_snapshots()]]
    assert len(bad) >= 1000
    outside, before = tmp_path / "file", peak_bytes()
    for i, content in enumerate(bad):
        outside.write_bytes(content)
        with pytest.raises(StateError):
            registry.add_file(outside, now_us=2 + i)
        # As if it had come into the directory itself, under the name that its header claims.
        sha256 = content[10:42].hex()
        if len(sha256) == 64 and content != whole:
            planted = tmp_path / "registry" / f"{2:010d}-{2:018d}-{sha256}.snapshot"
            planted.write_bytes(content)
            with pytest.raises(StateError):
                registry.load(sha256)
            planted.unlink()
    gc.collect()
    assert peak_bytes() - before < 64 * 2**20
    assert [info.sha256 for info in registry.list()] == [kept.sha256]
    assert decisions(registry.load(kept.sha256).model) == decisions(model)


def test_a_small_state_cannot_claim_much_memory() -> None:
    # 20,000 modules that all refer to one geometry of 250 slots: 5 GB if each had its own.
    specification = respecified(learned(), lambda s: s["encoder"].update(hashed_dims=240, text_dims=9)).specification
    model = Model(specification)
    model.learn({}, "", ("module", {}, ()), 0, 0.5)

    def multiply(tree: Tree) -> None:
        [arm] = tree["heads"][0]["arms"]
        tree["heads"][0]["arms"] = [arm | {"name": f"module {i:05d}"} for i in range(20_000)]
        tree["heads"][0]["shared"].update(count=20_000)

    snapshot = msgspec.structs.replace(forged(model, multiply), learned_count=20_000)
    before = peak_bytes()
    restored = restore(snapshot)
    assert restored.learned_count == 20_000
    assert peak_bytes() - before < 1 * 2**30


def test_a_model_that_cannot_decide_is_not_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(_: object, n_modules: int) -> None:
        asked.append(n_modules)
        raise StateError("no")

    monkeypatch.setattr(snapshot_module, "check_choice", refuse)
    with pytest.raises(StateError, match="^snapshot cannot be served: no$"):
        restore(snapshot_of(learned()))
    assert asked == [2]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scores": [NAN, 0.0]}, r"^self-test: scores == \[nan, 0\.0\], must be finite$"),
        ({"uncertainties": [1.0, INF]}, "^self-test: uncertainties == "),
        ({"uncertainties": [1.0, -0.1]}, "^self-test: uncertainties == "),
        ({"pmf": [0.5, 0.4]}, "^self-test: pmf == "),
        ({"pmf": [1.5, -0.5]}, "^self-test: pmf == "),
        ({"pmf": [NAN, 0.5]}, "^self-test: pmf == "),
        ({"pmf": [1.0]}, r"^self-test: lengths == \[1, 2, 2\], must be 2 each$"),
        ({"propensity": 0.3}, r"^self-test: propensity == 0\.3, must be that of the chosen module and > 0$"),
        ({"pmf": [0.0, 1.0], "propensity": 0.0}, "^self-test: propensity == 0"),
    ],
)
def test_an_answer_that_is_none_is_refused(changes: dict[str, Any], reason: str) -> None:
    answer = {"pmf": [0.5, 0.5], "scores": [0.1, 0.2], "uncertainties": [0.1, 0.1], "propensity": 0.5, "index": 0}
    snapshot_module.check_choice(Answer(answer), 2)  # type: ignore[arg-type]  stands in for the core's
    with pytest.raises(StateError, match=reason):
        snapshot_module.check_choice(Answer(answer | changes), 2)  # type: ignore[arg-type]


class Answer:
    """What the core would hand out."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.index, self.propensity = values["index"], values["propensity"]
        self.pmf, self.scores, self.uncertainties = (
            struct.pack(f"{len(values[key])}d", *values[key]) for key in ("pmf", "scores", "uncertainties")
        )


def decisions(model: Model) -> list[tuple[int, bytes, bytes, bytes]]:
    """Return what a model answers to twenty tasks."""
    modules = [(f"module {i}", {"speed": i / 2.0}, ("pdf",)) for i in range(4)]
    weights = (1.0,) * model.n_signals
    answers = (model.decide(bytes([i] * 16), {"pages": i / 3.0}, "tables", modules, weights) for i in range(20))
    return [(answer.index, answer.pmf, answer.scores, answer.uncertainties) for answer in answers]


def peak_bytes() -> int:
    """Return the most memory that this process has had resident."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
