import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotfish.codes import Mode, Source
from pilotfish.experience import upkeep
from pilotfish.experience.log import FOLD_WAL_BYTES, ExperienceLog, now_us
from pilotfish.experience.record import RECORD_FORMAT, DecisionRecord
from pilotfish.experience.upkeep import Upkeep
from pilotfish.request import Module, Request, Task


class Learned:
    """Counts what upkeep asks of it."""

    def __init__(self, fail: Callable[[], None] = lambda: None) -> None:
        self.checkpoint_due = True
        self.written = threading.Event()
        self.calls = 0
        self._fail = fail

    def bear(self) -> None:
        pass

    def expire(self, _: int) -> bool:
        return False

    def checkpoint(self) -> None:
        self.calls += 1
        if self.calls > 1:
            self.written.set()
        self._fail()


def write(log: ExperienceLog, n_decisions: int) -> None:
    request = Request(Task("t", "x" * 10_000), (Module("a"),))
    record = DecisionRecord(RECORD_FORMAT, request, Mode.ON, 1.0, True, (0,), (), 0, (), (1.0,) * 7, 0)  # noqa: FBT003
    number = log.register_model("v", b"")
    for _ in range(n_decisions):
        log.append_decisions([(log.new_decision_id(), "a", 1.0, Source.POLICY, number, record)])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "INTERVAL_S", 0.005)


@pytest.mark.usefixtures("quick")
def test_wal_is_folded_and_starts_over_so_that_it_does_not_grow_for_ever(tmp_path: Path) -> None:
    log = ExperienceLog(tmp_path)
    wal = log.path.with_name(log.path.name + "-wal")
    keeping = Upkeep(log.path, Learned())
    sizes = []
    for _ in range(12):
        write(log, 400)  # about 5 MB
        sizes.append(wal.stat().st_size)
        threading.Event().wait(0.05)
    keeping.stop()
    assert max(sizes) < 3 * FOLD_WAL_BYTES
    assert log.path.stat().st_size > FOLD_WAL_BYTES
    log.close()


@pytest.mark.usefixtures("quick")
def test_failed_checkpoint_is_tried_again(tmp_path: Path) -> None:
    def full() -> None:
        raise OSError("disk full")

    log, learned = ExperienceLog(tmp_path), Learned(full)
    keeping = Upkeep(log.path, learned)
    assert learned.written.wait(10)
    keeping.stop()
    log.close()


@pytest.mark.usefixtures("quick")
def test_windows_expire_batch_by_batch_until_nothing_is_due(tmp_path: Path) -> None:
    done = threading.Event()
    times = []

    class Overdue(Learned):
        def expire(self, now_us: int) -> bool:
            times.append(now_us)
            if len(times) == 5:
                done.set()
            return len(times) < 5

    log, before = ExperienceLog(tmp_path), now_us()
    keeping = Upkeep(log.path, Overdue())
    assert done.wait(10)
    keeping.stop()
    log.close()
    assert before <= times[0] <= times[4] <= now_us()
