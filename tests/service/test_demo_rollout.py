"""The rollout demo, played whole: what it tells is what the sidecar logged."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pilotfish.cli import main
from pilotfish.simulate.rollout.story import BAD_SHARE, OPEN_S


@pytest.mark.timeout(400)
def test_policy_rises_on_evidence_a_bad_version_falls_and_a_dead_module_comes_back(tmp_path: Path) -> None:
    report, picture = tmp_path / "story.json", tmp_path / "story.png"
    done = CliRunner().invoke(main, ["demo-rollout", "--json", str(report), "--plot", str(picture)])
    assert done.exit_code == 0, done.output
    told = json.loads(report.read_text())
    figures, lines = told["figures"], [line for _, line in told["lines"]]
    acts = [line.split(":")[0] for line in lines if line.startswith(("promote", "rollback"))]
    assert acts == [
        *(f"promote to {share}% by automatic" for share in (10, 25, 50, 100)),
        f"promote to {BAD_SHARE:.0%} by demo",
        "rollback to 0% by automatic",
    ]
    assert figures["harmed"] <= 200
    assert figures["dead_share"] < 0.02
    # The module may have been healed at any moment of its open time, and a look takes a while on a busy machine.
    assert figures["return_s"] <= 2 * OPEN_S + 2.0
    assert picture.read_bytes().startswith(b"\x89PNG")
