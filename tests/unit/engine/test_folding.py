"""Where a start begins: at the newest checkpoint that this release can read, else at the last birth in the log."""

from hashlib import sha256
from pathlib import Path
from shutil import rmtree

import msgspec
import pytest

from pilotfish.experience.checkpoints import Checkpoint, Checkpoints
from tests.unit.engine.growing import live, open_grown


def as_format_1(detector: bytes) -> bytes:
    """Return a detector's state under the seal of format 1, whose body had the same shape."""
    content = detector[:8] + (1).to_bytes(2, "little") + detector[10:-32]
    return content + sha256(content).digest()


def test_a_checkpoint_whose_detectors_are_of_format_1_gives_way_to_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_grown(tmp_path)
    live(engine, 50)  # the last birth is at 32, so that the detectors have evidence
    state, watched, last = engine.state_sha256(), engine._learner.grown.watch(), engine.log.last_signal_sequence()  # noqa: SLF001
    engine.close()
    newest = checkpoint_at(tmp_path, last)
    assert newest.detectors == watched[0]
    rmtree(tmp_path / "checkpoints")
    old = msgspec.structs.replace(newest, detectors=tuple(as_format_1(each) for each in newest.detectors))
    Checkpoints(tmp_path).write(old)

    engine = open_grown(tmp_path)
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"checkpoint {last} ignored: state's format version == 1, must be 2"]
    assert engine.state_sha256() == state
    assert engine._learner.grown.watch() == watched  # noqa: SLF001
    live(engine, 1, 2)
    last = engine.log.last_signal_sequence()
    engine.close()

    caplog.clear()
    assert checkpoint_at(tmp_path, last).detectors != old.detectors
    open_grown(tmp_path).close()  # what was written since is of the present format
    assert [record.getMessage() for record in caplog.records] == []


def checkpoint_at(state_dir: Path, sequence: int) -> Checkpoint:
    path = state_dir / "checkpoints" / f"{sequence:016d}.ckpt"
    return msgspec.msgpack.decode(path.read_bytes()[40:], type=Checkpoint)
