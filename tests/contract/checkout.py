"""Where the repository and the environments made by the Makefile are."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATED = "python/pilotfish/v1/"
PROTO_PYTHON = ROOT / ".tools/proto/bin/python"
OLDEST_PYTHON = ROOT / ".tools/oldest/bin/python"
LOWEST_PYTHON = ROOT / ".tools/lowest/bin/python"


def tracked_files() -> list[str]:
    """Returns the paths that git tracks and that exist, relative to the root."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def generate(*options: str | Path) -> None:
    """Runs proto/generate.py with the pinned tools, offline."""
    assert PROTO_PYTHON.exists(), f"{PROTO_PYTHON} is missing: run the tests with `make test`"
    subprocess.run([PROTO_PYTHON, ROOT / "proto/generate.py", *options], cwd=ROOT, check=True)
