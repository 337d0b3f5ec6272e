"""What the tests of the registry keep and look at."""

from pathlib import Path

from pilotfish.training.entry import SnapshotInfo
from pilotfish.training.registry import Registry
from tests.unit.training.forging import learned

DAY_US = 86_400_000_000
NOW_US = 20_000 * DAY_US


def keep(registry: Registry, n_values: int, now_us: int = NOW_US) -> SnapshotInfo:
    """Keep a model that has learned `n_values`, which tells it from others."""
    return registry.keep(learned(n_values), birth=7, note=f"after {n_values}", actor="upkeep", now_us=now_us)


def files(directory: Path) -> list[Path]:
    """Return the snapshot files, newest first, and whatever else is there but the lock."""
    return sorted((path for path in directory.iterdir() if path.name != "lock"), reverse=True)
