"""The registry keeps what it promised, whatever the disk, the clock and other threads do."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilotfish._core import Model
from pilotfish.exceptions import ConflictError, InvalidInputError, NotFoundError, StateError
from pilotfish.training.entry import Entry, SnapshotInfo
from pilotfish.training.registry import Registry
from pilotfish.training.snapshot import seal
from tests.unit.training.forging import learned, small_specification, snapshot_of
from tests.unit.training.keeping import DAY_US, NOW_US, files, keep


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def test_what_is_loaded_is_what_was_kept_to_the_bit(registry: Registry, tmp_path: Path) -> None:
    model = learned(60)
    info = registry.keep(model, birth=7, note="before the change", actor="ada", now_us=NOW_US)
    state = model.state()
    model.learn({}, "", ("module 0", {}, ()), 0, 1.0)
    loaded = Registry(tmp_path).load(info.sha256)
    assert (loaded.model.state(), loaded.info) == (state, info)
    [path] = files(tmp_path)
    assert info == SnapshotInfo(
        sha256=path.name[30:94],
        sequence=1,
        kept_us=NOW_US,
        created_us=NOW_US,
        model_version=model.version,
        birth=7,
        learned_count=60,
        state_sha256=info.state_sha256,
        note="before the change",
        actor="ada",
        size_bytes=path.stat().st_size,
    )


def test_a_model_that_has_learned_nothing_can_be_kept(registry: Registry) -> None:
    info = registry.keep(Model(small_specification()), birth=0, note="", actor="test", now_us=0)
    assert registry.load(info.sha256).model.learned_count == 0


def test_whatever_half_values_were_configured_can_be_kept(registry: Registry) -> None:
    specification = small_specification()
    for half_value in (b"250", b"250.5"):
        assert specification.count(b'"latency_ms":1000.0') == 1
        model = Model(specification.replace(b'"latency_ms":1000.0', b'"latency_ms":' + half_value))
        info = registry.keep(model, birth=0, note="", actor="test", now_us=0)
        assert registry.load(info.sha256).info.model_version == model.version


def test_the_same_learning_is_not_kept_twice_in_a_row(registry: Registry, tmp_path: Path) -> None:
    first = keep(registry, 10)
    assert keep(registry, 10, NOW_US + 5) == first
    assert len(files(tmp_path)) == 1
    other_birth = registry.keep(learned(10), birth=8, note="", actor="upkeep", now_us=NOW_US)
    assert [info.sha256 for info in registry.list()] == [other_birth.sha256, first.sha256]


def test_a_model_of_another_release_is_not_kept(registry: Registry, tmp_path: Path) -> None:
    specification = msgspec.json.decode(small_specification())
    specification["learner"]["signals"] = ["joy"]
    with pytest.raises(StateError, match=r"learner\.signals == \['joy'\], must be "):
        registry.keep(Model(msgspec.json.encode(specification)), birth=0, note="", actor="test", now_us=0)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"birth": -1}, r"^birth == -1, must be >= 0$"),
        ({"now_us": -1}, r"^now_us == -1, must be in \[0, 253402300800000000\)$"),
        ({"now_us": 253_402_300_800_000_000}, "^now_us == "),
        ({"note": "n" * 1025}, "^note == 'n{50}', must be 0 to 1024 printable characters$"),
        ({"note": "\ud800"}, r"^note == '\\ud800', must be 0 to 1024 printable characters$"),
        ({"actor": ""}, "^actor == '', must be 1 to 128 printable characters$"),
        ({"actor": "a\nb"}, r"^actor == 'a\\nb', must be "),
    ],
)
def test_an_argument_that_breaks_its_rule_is_named(registry: Registry, changes: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"birth": 0, "note": "", "actor": "test", "now_us": 0}
    with pytest.raises(InvalidInputError, match=message):
        registry.keep(learned(1), **(good | changes))


def test_settings_that_break_their_rule_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"^keep_count == 0, must be >= 1$"):
        Registry(tmp_path, keep_count=0)
    with pytest.raises(InvalidInputError, match=r"^keep_s == inf, must be finite and >= 0$"):
        Registry(tmp_path, keep_s=float("inf"))
    with pytest.raises(InvalidInputError, match=r"^bytes_max == 41, must be >= 42$"):
        Registry(tmp_path, bytes_max=41)
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"^registry .*file cannot be used: File exists$"):
        Registry(tmp_path / "file")


def test_a_prefix_names_a_snapshot_if_only_one_begins_with_it(registry: Registry, tmp_path: Path) -> None:
    info = keep(registry, 10)
    assert registry.load(info.sha256[:8]).info == info
    digit = "0" if info.sha256[8] != "0" else "1"
    twin = info.sha256[:8] + digit * 56
    (tmp_path / f"{5:010d}-{0:018d}-{twin}.snapshot").touch()
    with pytest.raises(ConflictError, match=rf"^sha256 == {info.sha256[:8]}, must name one snapshot: .*{twin}"):
        registry.load(info.sha256[:8])
    assert registry.load(info.sha256[:9]).info == info
    for wrong in ("", info.sha256[:7], info.sha256[:8].upper() + "G", info.sha256 + "0", "../../etc/passwd", "*" * 8):
        with pytest.raises(InvalidInputError, match=r"^sha256 == .*, must be 8 to 64 digits of 0-9, a-f$"):
            registry.load(wrong)
    with pytest.raises(NotFoundError, match=rf"^sha256 == {'f' * 64}, must name a kept snapshot$"):
        registry.load("f" * 64)


def test_damaged_files_are_listed_with_what_is_wrong_and_stay(registry: Registry, tmp_path: Path) -> None:
    kept = [keep(registry, n) for n in (10, 20, 30)]
    newest, middle, _ = files(tmp_path)
    newest.write_bytes(newest.read_bytes()[:-1])
    middle.write_bytes(files(tmp_path)[2].read_bytes())
    (tmp_path / "strange.snapshot").write_bytes(b"12345")
    (tmp_path / "dangling.snapshot").symlink_to("nowhere")
    listed = registry.list()
    assert [(info.sha256, info.sequence, info.damage) for info in listed[:3]] == [
        (kept[2].sha256, 3, "snapshot's SHA-256 differs: the file is damaged or cut short"),
        (kept[1].sha256, 2, f"snapshot's SHA-256 == {kept[0].sha256}, must be {kept[1].sha256}, its name"),
        (kept[0].sha256, 1, ""),
    ]
    assert [(info.size_bytes, info.damage) for info in listed[3:]] == [
        (7, "'dangling.snapshot' is no snapshot's name"),
        (5, "'strange.snapshot' is no snapshot's name"),
    ]
    assert len(files(tmp_path)) == 5
    for info in kept[1:]:
        with pytest.raises(StateError, match=r"^snapshot's SHA-256 "):
            registry.load(info.sha256)


def test_the_newest_ten_stay_however_old(registry: Registry) -> None:
    kept = [keep(registry, n, NOW_US + n).sha256 for n in range(13)]
    assert registry.prune((), NOW_US + 1000 * DAY_US) == [kept[2], kept[1], kept[0]]
    assert [info.sha256 for info in registry.list()] == kept[:2:-1]


def test_all_that_were_the_newest_in_the_last_ten_days_stay(registry: Registry) -> None:
    # One a day at noon; on day 29 at noon the one of day 18 had been the newest until 10 days before.
    kept = [keep(registry, day, NOW_US + day * DAY_US).sha256 for day in range(30)]
    registry = Registry(registry._directory, keep_count=1)  # noqa: SLF001  so that only the age counts
    now_us = NOW_US + 29 * DAY_US
    assert registry.prune((), now_us - 1) == kept[17::-1]
    assert registry.prune((), now_us) == [kept[18]]
    assert [info.sha256 for info in registry.list()] == kept[:18:-1]


def test_more_than_ten_stay_if_they_are_young(registry: Registry) -> None:
    for n in range(15):
        keep(registry, n, NOW_US + n)
    assert registry.prune((), NOW_US + 9 * DAY_US) == []
    assert len(registry.list()) == 15


def test_pinned_snapshots_stay(registry: Registry) -> None:
    kept = [keep(registry, n, NOW_US + n).sha256 for n in range(14)]
    assert registry.prune({kept[1], kept[13], "0" * 64}, NOW_US + 99 * DAY_US) == [kept[3], kept[2], kept[0]]
    assert registry.load(kept[1]).info.learned_count == 1
    with pytest.raises(InvalidInputError, match=r"^pinned holds '.{10}', must be full SHA-256 ids$"):
        registry.prune([kept[1][:10]], NOW_US)


def test_damaged_files_do_not_count_among_the_newest_and_are_not_pruned(registry: Registry, tmp_path: Path) -> None:
    kept = [keep(registry, n, NOW_US + n).sha256 for n in range(12)]
    for path in files(tmp_path)[:2]:
        path.write_bytes(b"")
    assert registry.prune((), NOW_US + 99 * DAY_US) == []
    assert [info.sha256 for info in registry.list()] == kept[::-1]


def test_a_clock_that_jumps_back_changes_neither_order_nor_what_stays(registry: Registry) -> None:
    registry = Registry(registry._directory, keep_count=2)  # noqa: SLF001
    clock = [NOW_US, NOW_US + DAY_US, NOW_US - 300 * DAY_US, NOW_US - 299 * DAY_US, 0]
    kept = [keep(registry, n, now_us).sha256 for n, now_us in enumerate(clock)]
    assert [info.sha256 for info in registry.list()] == kept[::-1]
    # By the wrong clock nothing is old; by the right one only what both it and its successor say.
    assert registry.prune((), 0) == []
    assert registry.prune((), NOW_US + 2 * DAY_US) == [kept[2]]
    assert [info.sha256 for info in registry.list()] == [kept[4], kept[3], kept[1], kept[0]]


def test_a_file_from_elsewhere_keeps_its_id(registry: Registry, tmp_path: Path) -> None:
    info = keep(registry, 10)
    [path] = files(tmp_path)
    other = Registry(tmp_path / "other")
    keep(other, 20)
    taken = other.add_file(path, now_us=NOW_US + 5)
    assert taken == msgspec.structs.replace(info, sequence=2, kept_us=NOW_US + 5)
    assert other.load(info.sha256).model.state() == registry.load(info.sha256).model.state()
    assert other.list()[0] == taken
    assert other.add_file(path, now_us=NOW_US + 9) == taken
    with pytest.raises(InvalidInputError, match=r"^now_us == -1"):
        other.add_file(path, now_us=-1)


def test_a_damaged_file_is_made_good_by_a_whole_one(registry: Registry, tmp_path: Path) -> None:
    info = keep(registry, 10)
    [path] = files(tmp_path)
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    path.write_bytes(b"damaged")
    assert registry.add_file(copy, now_us=NOW_US).sha256 == info.sha256
    assert [(listed.sha256, listed.damage) for listed in registry.list()] == [(info.sha256, "")]
    assert registry.load(info.sha256).model.learned_count == 10


def test_the_file_that_replaced_a_damaged_one_counts_while_both_are_there(registry: Registry, tmp_path: Path) -> None:
    # As a crash between the renaming and the deletion leaves them.
    info = keep(registry, 10)
    [path] = files(tmp_path)
    (tmp_path / path.name.replace(f"{1:010d}-", f"{2:010d}-")).write_bytes(path.read_bytes())
    path.write_bytes(b"damaged")
    assert registry.load(info.sha256).info.sequence == 2


def test_what_is_no_regular_file_of_a_bearable_size_is_refused(tmp_path: Path) -> None:
    sha256, content = seal(snapshot_of(learned(10)))
    registry = Registry(tmp_path / "registry", bytes_max=len(content))
    path = tmp_path / "file"
    path.write_bytes(content + b"\0")
    with pytest.raises(StateError, match=rf"^file has {len(content) + 1} bytes, must be at most {len(content)}$"):
        registry.add_file(path, now_us=0)
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(StateError, match=r"^file has 1099511627776 bytes, must be at most "):
        registry.add_file(path, now_us=0)
    path.write_bytes(content)
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StateError, match=r"^link is a symbolic link, must be a regular file$"):
        registry.add_file(tmp_path / "link", now_us=0)
    for name in ("pipe", "registry"):
        with pytest.raises(StateError, match=rf"^{name} is no regular file$"):
            registry.add_file(tmp_path / name, now_us=0)
    with pytest.raises(StateError, match=r"no regular file|cannot be read"):
        registry.add_file(Path("/dev/zero"), now_us=0)
    with pytest.raises(NotFoundError, match=r"does not exist$"):
        registry.add_file(tmp_path / "absent", now_us=0)
    with pytest.raises(StateError, match=r"cannot be read: Not a directory$"):
        registry.add_file(path / "below", now_us=0)
    assert registry.list() == []
    assert registry.add_file(path, now_us=0).sha256 == sha256
    with pytest.raises(StateError, match=rf"^snapshot has \d+ bytes, must be at most {len(content)}$"):
        registry.keep(learned(11), birth=0, note="n" * 200, actor="test", now_us=0)
    # A link in the directory itself is not followed either.
    planted = tmp_path / "registry" / f"{2:010d}-{0:018d}-{'a' * 64}.snapshot"
    planted.symlink_to(path)
    with pytest.raises(StateError, match=r"is a symbolic link"):
        registry.load("a" * 64)


def test_a_name_says_order_time_and_id() -> None:
    path = Path(f"{12:010d}-{34:018d}-{'ab' * 32}.snapshot")
    assert Entry.of(path) == (12, 34, "ab" * 32, path)
    for other in (
        "x",
        f"{12:010d}-{34:018d}-{'AB' * 32}.snapshot",
        f"-1-{34:018d}-{'ab' * 32}.snapshot",
        f"{path}.tmp",
    ):
        assert Entry.of(Path(other)) is None
