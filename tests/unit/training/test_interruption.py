"""A write that is cut off leaves what was there, and threads take turns."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pilotfish.exceptions import NotFoundError
from pilotfish.training.entry import SnapshotInfo
from pilotfish.training.registry import Registry
from pilotfish.training.snapshot import seal
from tests.unit.training.forging import learned, snapshot_of
from tests.unit.training.keeping import DAY_US, NOW_US, files, keep


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def failing(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
@pytest.mark.parametrize("how", ["keep", "add_file"])
def test_a_write_that_fails_leaves_what_was_there(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, how: str
) -> None:
    first = keep(registry, 10)
    outside = tmp_path / "outside"
    outside.write_bytes(seal(snapshot_of(learned(30)))[1])
    before = files(tmp_path)
    original: Callable[..., Any] = Path.open
    with monkeypatch.context() as patch:
        if step == "fsync":
            patch.setattr(os, "fsync", failing)
        elif step == "replace":
            patch.setattr(Path, "replace", failing)
        else:
            patch.setattr(Path, "open", lambda self, mode="r": (failing if "w" in mode else original)(self, mode))
        with pytest.raises(OSError, match=r"No space left"):
            keep(registry, 20) if how == "keep" else registry.add_file(outside, now_us=NOW_US)
    assert files(tmp_path) == before
    assert registry.list() == [first]
    assert registry.load(first.sha256).model.learned_count == 10
    second = keep(registry, 20)
    assert (second.sequence, registry.list()) == (2, [second, first])


KILLED = """
import os, signal, sys
from pathlib import Path
from pilotfish.training.registry import Registry
from tests.unit.training.forging import learned

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

registry = Registry(Path(sys.argv[1]))
if sys.argv[2] == "fsync":
    os.fsync = die
else:
    Path.replace = die
registry.keep(learned(20), birth=0, note="", actor="test", now_us=5)
"""


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_process_that_is_killed_while_it_writes_leaves_what_was_there(
    registry: Registry, tmp_path: Path, step: str
) -> None:
    first = keep(registry, 10)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), step], check=False, timeout=60, env=os.environ | search_path()
    )
    assert killed.returncode == -9
    assert (tmp_path / "unfinished.tmp").stat().st_size > 0
    assert registry.list() == [first]
    # The lock died with its holder.
    second = keep(registry, 20)
    assert registry.list() == [second, first]
    (tmp_path / "unfinished.tmp").write_bytes(b"half")
    Registry(tmp_path)
    assert not (tmp_path / "unfinished.tmp").exists()


def search_path() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parents[3])])}


def test_the_file_is_flushed_before_it_gets_its_name_and_the_directory_after(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    flush, replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        steps.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        flush(descriptor)

    def rename(path: Path, target: Path) -> Path:
        steps.append(f"rename {path.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    keep(registry, 10)
    assert steps == ["fsync unfinished.tmp", "rename unfinished.tmp", f"fsync {tmp_path.name}"]


def test_threads_may_keep_list_load_and_prune_at_once(tmp_path: Path) -> None:
    # Two registries of one directory, as two processes have.
    registries = [Registry(tmp_path, keep_count=3, keep_s=0.0) for _ in range(2)]
    models = [learned(n) for n in range(40)]
    deadline = time.monotonic() + 20

    def keeper(worker: int) -> list[SnapshotInfo]:
        return [
            registries[worker % 2].keep(models[n], birth=0, note="", actor=f"worker {worker}", now_us=NOW_US + n)
            for n in range(worker, 40, 4)
        ]

    def reader(worker: int) -> int:
        n_loaded = n_tried = 0
        while n_tried < 20 or (n_loaded == 0 and time.monotonic() < deadline):  # none is there yet, or all are removed
            n_tried += 1
            listed = registries[worker % 2].list()
            assert all(info.damage == "" for info in listed)
            assert [info.sequence for info in listed] == sorted({info.sequence for info in listed}, reverse=True)
            for info in listed[:1]:
                try:
                    assert registries[0].load(info.sha256).info == info
                    n_loaded += 1
                except NotFoundError:
                    pass
        return n_loaded

    def pruner(worker: int) -> list[str]:
        return [sha256 for _ in range(20) for sha256 in registries[worker % 2].prune((), NOW_US + DAY_US)]

    with ThreadPoolExecutor(8) as pool:
        kept = [pool.submit(keeper, worker) for worker in range(4)]
        loaded = [pool.submit(reader, worker) for worker in range(2)]
        pruned = [pool.submit(pruner, worker) for worker in range(2)]
        ids = {info.sha256: info.sequence for future in kept for info in future.result(deadline)}
        gone = [sha256 for future in pruned for sha256 in future.result(deadline)]
        assert all(future.result(deadline) for future in loaded)
    assert len(ids) == 40
    assert len(gone) == len(set(gone))
    gone += registries[0].prune((), NOW_US + DAY_US)
    # The three that came last are left; nothing was lost, nothing came back.
    by_age = sorted(ids, key=lambda sha256: ids[sha256], reverse=True)
    assert [info.sha256 for info in registries[0].list()] == by_age[:3]
    assert set(gone) == set(by_age[3:])
    assert len(files(tmp_path)) == 3
