"""The table and its yardsticks."""

import gzip
import json
from pathlib import Path

import pytest

from pilotfish.simulate.hub import described
from pilotfish.simulate.table import DATA_FILE, Table, TableModule, TableRequest, load_table

SMALL = TableModule("small", "7B", 0.2, 0.4)
LARGE = TableModule("large", "51B", 1.0, 2.0)
TINY = Table(
    (SMALL, LARGE),
    (
        TableRequest("a", "x" * 400, (0.0, 1.0)),
        TableRequest("b", "y", (0.8, 0.4)),
        TableRequest("a", "z", (0.1, 0.7)),
    ),
)


@pytest.fixture(scope="module")
def shipped() -> Table:
    return load_table()


def test_the_shipped_table_is_whole(shipped: Table) -> None:
    assert len(shipped.requests) == 3591
    assert len(shipped.modules) == 9
    assert len({request.task for request in shipped.requests}) == 14
    assert all(len(request.qualities) == 9 for request in shipped.requests)
    assert all(0.0 <= quality <= 1.0 for request in shipped.requests for quality in request.qualities)


def test_the_shipped_yardsticks_are_the_published_ones(shipped: Table) -> None:
    module, quality = shipped.best_fixed()

    assert shipped.random_quality() == pytest.approx(0.4288, abs=1e-4)
    assert module.name == "llama-3.1-nemotron-51b-instruct"
    assert quality == pytest.approx(0.6210, abs=1e-4)
    assert shipped.oracle_quality() == pytest.approx(0.7991, abs=1e-4)


def test_every_query_fits_into_a_description(shipped: Table) -> None:
    assert max(len(request.query.encode()) for request in shipped.requests) <= 16_384


@pytest.mark.parametrize("name", ["LICENSE", "ORIGIN.md"])
def test_licence_and_origin_stand_beside_the_data(name: str) -> None:
    text = (DATA_FILE.parent / name).read_text()

    assert "U Lab @UIUC" in text


def test_yardsticks_worked_by_hand() -> None:
    module, quality = TINY.best_fixed()

    assert TINY.random_quality() == pytest.approx((0.5 + 0.6 + 0.4) / 3)
    assert module == LARGE
    assert quality == pytest.approx(2.1 / 3)
    assert TINY.oracle_quality() == pytest.approx(2.5 / 3)


def test_other_orders_keep_every_score_with_its_module() -> None:
    turned = TINY.shuffled([2, 0, 1], [1, 0])

    assert turned.modules == (LARGE, SMALL)
    assert [request.qualities for request in turned.requests] == [(0.7, 0.1), (1.0, 0.0), (0.4, 0.8)]
    assert turned.best_fixed()[0] == LARGE


@pytest.mark.parametrize(("limit", "n_requests"), [(None, 3), (2, 2), (9, 3)])
def test_first_takes_as_many_as_there_are(limit: int | None, n_requests: int) -> None:
    assert len(TINY.first(limit).requests) == n_requests


def test_cost_is_list_price_of_both_directions() -> None:
    # 400 characters are 100 input tokens; 256 output tokens are assumed.
    assert SMALL.cost_usd("x" * 400) == pytest.approx((100 * 0.2 + 256 * 0.4) / 1e6)


def test_what_the_hub_tells_of_a_module_holds_no_quality(shipped: Table) -> None:
    told = {
        (features["size_class"], features["usd_per_mtok"])
        for features in (described(module).features for module in shipped.modules)
        if len(features) == 2
    }

    assert told == {("small", 0.1), ("small", 0.2), ("large", 0.9)}


def test_a_table_is_read_from_its_documented_format(tmp_path: Path) -> None:
    model = {"name": "m", "size": "8B", "input_price_per_mtok": 0.1, "output_price_per_mtok": 0.3}
    lines = [json.dumps({"models": [model]}), json.dumps(["task", "two\nlines", [1]])]
    path = tmp_path / "table.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))

    table = load_table(path)

    assert table.modules == (TableModule("m", "8B", 0.1, 0.3),)
    assert table.modules[0].billions == 8.0
    assert table.requests == (TableRequest("task", "two\nlines", (1.0,)),)
