"""What `pilotfish` exports changes only on purpose: in exports.txt, and so in review."""

import inspect

import pilotfish
from tests.contract.checkout import ROOT

LIST = ROOT / "tests/contract/exports.txt"


def frozen_names() -> list[str]:
    return [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]


def test_the_exports_are_those_of_the_list() -> None:
    assert sorted(pilotfish.__all__) == frozen_names()


def test_each_export_exists_and_is_documented() -> None:
    undocumented = [name for name in pilotfish.__all__ if not inspect.getdoc(getattr(pilotfish, name))]

    assert undocumented == []
