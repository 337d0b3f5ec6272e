from pathlib import Path

import pytest

from pilotfish.experience.checkpoints import KEEP, Checkpoint, Checkpoints

VERSION, BIRTH = "v", 7


def checkpoint(sequence: int, model_version: str = VERSION, birth: int = BIRTH) -> Checkpoint:
    return Checkpoint(sequence, model_version, b"model" * 20, b"health", birth)


def files(directory: Path) -> list[Path]:
    return sorted((directory / "checkpoints").iterdir())


def test_newest_comes_first_and_old_ones_go(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for sequence in range(1, KEEP + 3):
        checkpoints.write(checkpoint(sequence))
    assert [c.sequence for c in checkpoints.newest(VERSION, BIRTH, up_to=10**9)] == [5, 4, 3]
    assert len(files(tmp_path)) == KEEP


@pytest.mark.parametrize("other", [checkpoint(2, "other"), checkpoint(2, birth=BIRTH - 1), checkpoint(4)])
def test_state_of_another_version_or_birth_or_from_beyond_the_log_is_not_used(
    tmp_path: Path, other: Checkpoint
) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(checkpoint(1))
    checkpoints.write(other)
    assert [c.sequence for c in checkpoints.newest(VERSION, BIRTH, up_to=3)] == [1]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied", "foreign"])
def test_damaged_file_is_passed_over_for_the_last_good_one(tmp_path: Path, damage: str) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(checkpoint(1))
    checkpoints.write(checkpoint(2))
    path = files(tmp_path)[-1]
    content = path.read_bytes()
    path.write_bytes(
        {
            "truncated": content[:-1],
            "flipped": content[:60] + bytes([content[60] ^ 1]) + content[61:],
            "emptied": b"",
            "foreign": b"something else altogether, long enough to hold a header",
        }[damage]
    )
    assert [c.sequence for c in checkpoints.newest(VERSION, BIRTH, up_to=10)] == [1]


def test_unfinished_write_is_invisible(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(checkpoint(1))
    (tmp_path / "checkpoints" / f"{2:016d}.tmp").write_bytes(b"half")
    assert [c.sequence for c in checkpoints.newest(VERSION, BIRTH, up_to=10)] == [1]
