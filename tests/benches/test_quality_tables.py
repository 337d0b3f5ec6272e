"""Tables are read as their README says; what is missing is not sent; scenarios are found by layout."""

import gzip
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benches.quality import aslib, classification, extras, llm_routing, tables, wsdream
from benches.quality.found import scenarios
from benches.quality.stream import generator


def texts(*values: str | None) -> NDArray[Any]:
    return np.array(values, dtype=object)


RUNS = {
    "instance": texts("i2", "i1", "i1", "i2", "i3", "i3"),
    "algorithm": texts("a", "a", "b", "b", "a", "b"),
    "runtime": np.array([10.0, 50.0, 2.0, 20.0, 50.0, 50.0]),
    "status": texts("ok", "timeout", "ok", "ok", "timeout", "timeout"),
    "solved": np.array([True, False, True, True, False, False]),
    "par10": np.array([10.0, 500.0, 2.0, 20.0, 500.0, 500.0]),
}
FEATURES = {"instance": texts("i3", "i2", "i1"), "size": np.array([3.0, 2.0, np.nan]), "kind": texts("x", "y", "z")}


def test_aslib_leaves_out_what_nobody_solves_and_what_is_no_number() -> None:
    recorded = aslib.recorded(RUNS, FEATURES, cutoff=50.0)

    assert recorded.features == [{}, {"size": 2.0}]
    assert recorded.cost is not None
    assert recorded.cost.tolist() == [[500.0, 2.0], [10.0, 20.0]]
    assert recorded.signals["completion"].tolist() == [[0.0, 1.0], [1.0, 1.0]]
    assert recorded.signals["latency"].tolist() == [[50.0, 2.0], [10.0, 20.0]]
    assert recorded.signals["censored"].tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_aslib_rewards_are_on_a_log_scale() -> None:
    rewards = aslib.par10_reward(np.array([0.0, 4.0, 500.0]), 50.0)

    # 4 s of 50 s, twentyfold: 1.6.
    assert rewards == pytest.approx([1.0, 1 - math.log(2.6) / math.log(201), 0.0])


def test_aslib_refuses_a_table_with_a_hole() -> None:
    with pytest.raises(ValueError, match="runs has 1 instances without a run, must hold every pair"):
        aslib.recorded({name: values[:5] for name, values in RUNS.items()}, FEATURES, cutoff=50.0)


def test_a_classification_set_pays_for_the_right_label_only() -> None:
    columns = {"x": np.array([1.0, np.nan]), "c": texts("red", "blue"), "label": texts("b", "a")}
    recorded = classification.recorded(columns)

    assert recorded.features == [{"x": 1.0, "c": "red"}, {"c": "blue"}]
    assert recorded.rewards.tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_a_bundled_set_is_passed_again_for_20_000_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    bunch = SimpleNamespace(data=[[1.0], [2.0], [3.0]], target=[0, 1, 1])
    monkeypatch.setattr(classification, "installed", lambda _: SimpleNamespace(load_tiny=lambda: bunch))
    stream = classification.build_bundled("tiny", generator(0))

    assert stream.length == 20_000
    assert all(step.rewards.sum() == 1.0 for _, step in zip(range(10), stream.steps(), strict=False))


ROUTING = {
    "qid": texts("q1", "q2", "q3"),
    "prompt": texts("one", "two", None),
    "subject": texts("maths", "law", "law"),
    "upstream": texts("a", "b", "c"),
    "big": np.array([1, 0, 1], dtype=np.int8),
    "small": np.array([0.5, 0.25, 1.0]),
    "contaminated": np.array([False, True, False]),
}


def test_routing_leaves_out_contaminated_rows_and_takes_numbers_for_models() -> None:
    recorded = llm_routing.recorded(ROUTING)

    assert recorded.rewards.tolist() == [[1.0, 0.5], [1.0, 1.0]]
    assert recorded.texts == ["one", ""]
    assert recorded.task_types == ["maths", "law"]
    assert recorded.features == [{}, {}]


def test_routing_works_without_label_and_not_without_text() -> None:
    bare = {name: values for name, values in ROUTING.items() if name not in ("subject", "contaminated")}

    assert llm_routing.recorded(bare).task_types is None
    with pytest.raises(ValueError, match="must hold query or prompt and a number per model"):
        llm_routing.recorded({"qid": ROUTING["qid"], "big": ROUTING["big"]})


def calls() -> wsdream.Calls:
    services = {f"s{column}": np.full(4, 1000 * (column + 1), dtype=np.int16) for column in range(7)}
    services["s0"] = np.array([-1, 500, 500, 20000], dtype=np.int16)
    services["s6"] = np.array([-1, 700, 700, 700], dtype=np.int16)
    groups = {"service": texts(*services), "group_x": texts("1", "1", "1", "1", "1", "2", "2")}
    groups["group_x"] = texts("1", "1", "1", "1", "1", "1", "2")
    return wsdream.calls(
        {"slot": np.array([2, 2, 1, 1]), "user": np.array([7, 8, 7, 8]), **services}, groups, "group_x"
    )


def test_slots_come_in_order_and_small_groups_are_skipped() -> None:
    steps = list(wsdream.stream(calls(), generator(1)).steps())

    assert [step.round.features["slot"] for step in steps] == [1.0, 1.0, 2.0, 2.0]
    assert {step.round.task_type for step in steps} == {"group1"}
    assert sorted(len(step.round.arms) for step in steps) == [5, 6, 6, 6]


def test_a_timeout_is_censored_costs_20_s_and_earns_nothing() -> None:
    late = next(step for step in wsdream.stream(calls(), generator(1)).steps() if step.cost.max() == 20.0)
    place = int(late.cost.argmax())

    assert late.round.features == {"user": "u8", "slot": 1.0}
    assert late.outcome(place).reward == 0.0
    assert late.outcome(place).signals == {"completion": 0.0, "latency": 20_000.0, "censored": 1.0}
    assert late.outcome(1 - min(place, 1)).signals["censored"] == 0.0


def test_a_missing_library_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_library is not installed, must be: the quality bench needs"):
        extras.installed("no_such_library")


def write_parquet(path: Path, columns: dict[str, list[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    extras.installed("pyarrow.parquet").write_table(extras.installed("pyarrow").table(columns), path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "aslib" / "ANY-2030"
    write_parquet(folder / "runs.parquet", {name: values.tolist() for name, values in RUNS.items()})
    write_parquet(folder / "features.parquet", {name: values.tolist() for name, values in FEATURES.items()})
    (folder / "meta.json").write_text(json.dumps({"cutoff_seconds": 50.0}))
    write_parquet(tmp_path / "aslib" / "half" / "runs.parquet", {"instance": ["a"]})
    write_parquet(
        tmp_path / "cb_classification" / "any.parquet", {"x": [1.0, None], "c": ["u", None], "label": ["a", "b"]}
    )
    write_parquet(tmp_path / "llm_routing" / "any.parquet", {name: values.tolist() for name, values in ROUTING.items()})
    write_parquet(tmp_path / "llm_routing" / "prices.parquet", {"model": ["big"], "usd": [1.0]})
    services: dict[str, list[object]] = {f"s{column}": [100, 200] for column in range(5)}
    write_parquet(tmp_path / "wsdream2" / "response_ms.parquet", {"slot": [1, 2], "user": [1, 1], **services})
    lines = ["service,group_x", *(f"{service},1" for service in services)]
    (tmp_path / "wsdream2" / "groups.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return tmp_path


def test_scenarios_are_found_by_layout_and_their_streams_play(data: Path) -> None:
    found = {scenario.name: scenario for scenario in scenarios(data, []) if scenario.family != "synthetic"}
    of_data = {name for name in found if not name.startswith("sklearn/")}

    assert of_data == {"aslib/ANY-2030", "cb_classification/any", "llm_routing/any", "wsdream2/group_x"}
    lengths = {name: len(list(found[name].build(generator(0)).steps())) for name in sorted(of_data)}
    assert lengths == {"aslib/ANY-2030": 2, "cb_classification/any": 2, "llm_routing/any": 2, "wsdream2/group_x": 2}


def test_a_pattern_that_matches_nothing_and_a_missing_folder_are_refused(data: Path) -> None:
    with pytest.raises(ValueError, match=r"scenarios == nonsense\*, must match one of synthetic/linear, "):
        scenarios(data, ["aslib/*", "nonsense*"])
    with pytest.raises(ValueError, match="must be a folder"):
        scenarios(data / "nowhere", [])


def test_missing_cells_are_left_out(data: Path) -> None:
    columns = tables.parquet_columns(data / "cb_classification" / "any.parquet")

    assert tables.rows_of({name: columns[name] for name in ("x", "c")}) == [{"x": 1.0, "c": "u"}, {}]
    assert tables.rows_of({}) == []
