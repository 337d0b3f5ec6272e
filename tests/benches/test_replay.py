"""The bench of replay makes and replays a small log."""

import json
import subprocess
import sys
from pathlib import Path

from tests.contract.checkout import ROOT


def test_a_small_log_is_written_in_two_processes_and_replays(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benches.replay", "400", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    assert (figures["decisions"], figures["differing"]) == (400, 0)
    assert figures["births"] >= 4
