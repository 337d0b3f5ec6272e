"""Every scenario there is: what the data folder holds, found by layout, and the synthetic streams."""

from fnmatch import fnmatch
from pathlib import Path

from benches.quality import aslib, classification, llm_routing, synthetic, wsdream
from benches.quality.stream import Scenario


def scenarios(data: Path, patterns: list[str]) -> list[Scenario]:
    """Return the scenarios whose name matches one of the patterns (all without any), in a fixed order.

    Raises:
        ValueError: The data folder does not exist, or a pattern matches nothing.
    """
    if not data.is_dir():
        raise ValueError(f"data == {data}, must be a folder")
    sources = (synthetic.scenarios(), *(part.scenarios(data) for part in (classification, llm_routing, aslib, wsdream)))
    every = [scenario for source in sources for scenario in source]
    for pattern in patterns:
        if not any(fnmatch(scenario.name, pattern) for scenario in every):
            names = ", ".join(scenario.name for scenario in every)
            raise ValueError(f"scenarios == {pattern}, must match one of {names}")
    return [each for each in every if not patterns or any(fnmatch(each.name, pattern) for pattern in patterns)]
