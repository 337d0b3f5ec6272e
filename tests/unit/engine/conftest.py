from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotfish.engine.engine import Engine
from tests.unit.engine.asking import open_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(tmp_path)
    yield opened
    opened.close()
