"""No file, however it was damaged or forged, becomes a model that serves; 500 and more are tried."""

import gc
import resource
import struct
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from pilotfish._core import Model
from pilotfish.exceptions import StateError
from pilotfish.training import snapshot as snapshot_module
from pilotfish.training.registry import Registry
from pilotfish.training.snapshot import restore, seal, unseal
from tests.unit.training.forgeries import INF, NAN, all_snapshots, forged_bodies, forged_numbers, random_damage
from tests.unit.training.forging import Tree, forged, learned, respecified, snapshot_of


def test_unharmed_snapshots_pass() -> None:
    # What the forger takes apart and puts together again is the same: the checks refuse the change and not the forging.
    model = learned()
    for snapshot in (forged(model, lambda _: None), respecified(model, lambda _: None)):
        assert unseal(seal(snapshot)[1])[1] == snapshot == snapshot_of(model)
        assert restore(snapshot).state() == model.state()


def test_every_truncation_and_flipped_bit_is_refused() -> None:
    for damaged in random_damage():
        with pytest.raises(StateError, match=r"^snapshot"):
            unseal(damaged)


def test_every_body_that_is_no_snapshot_is_refused_for_its_reason() -> None:
    for reason, content in forged_bodies():
        with pytest.raises(StateError, match=reason):
            unseal(content)


def test_every_number_that_no_data_could_leave_is_refused() -> None:
    accepted = []
    for place, snapshot in forged_numbers():
        try:
            restore(snapshot)
            accepted.append(place)
        except StateError:
            pass
    assert accepted == []


def test_every_part_that_does_not_fit_is_refused_for_its_reason() -> None:
    for reason, snapshot in all_snapshots():
        with pytest.raises(StateError, match=reason):
            restore(snapshot)


def test_after_five_hundred_bad_files_the_last_good_one_decides_as_before(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    model = learned()
    kept = registry.keep(model, birth=0, note="good", actor="test", now_us=1)
    whole = (tmp_path / "registry" / f"{1:010d}-{1:018d}-{kept.sha256}.snapshot").read_bytes()
    bad = [*random_damage(), *(content for _, content in forged_bodies())]
    bad += [seal(snapshot)[1] for _, snapshot in [*forged_numbers(), *all_snapshots()]]
    assert len(bad) >= 1000
    outside, before = tmp_path / "file", peak_bytes()
    for i, content in enumerate(bad):
        outside.write_bytes(content)
        with pytest.raises(StateError):
            registry.add_file(outside, now_us=2 + i)
        # As if it had come into the directory itself, under the name that its header claims.
        sha256 = content[10:42].hex()
        if len(sha256) == 64 and content != whole:
            planted = tmp_path / "registry" / f"{2:010d}-{2:018d}-{sha256}.snapshot"
            planted.write_bytes(content)
            with pytest.raises(StateError):
                registry.load(sha256)
            planted.unlink()
    gc.collect()
    assert peak_bytes() - before < 64 * 2**20
    assert [info.sha256 for info in registry.list()] == [kept.sha256]
    assert decisions(registry.load(kept.sha256).model) == decisions(model)


def test_a_small_state_cannot_claim_much_memory() -> None:
    # 20,000 modules that all refer to one geometry of 250 slots: 5 GB if each had its own.
    specification = respecified(learned(), lambda s: s["encoder"].update(hashed_dims=240, text_dims=9)).specification
    model = Model(specification)
    model.learn({}, "", ("module", {}, ()), 0, 0.5)

    def multiply(tree: Tree) -> None:
        [arm] = tree["heads"][0]["arms"]
        tree["heads"][0]["arms"] = [arm | {"name": f"module {i:05d}"} for i in range(20_000)]
        tree["heads"][0]["shared"].update(count=20_000)

    snapshot = msgspec.structs.replace(forged(model, multiply), learned_count=20_000)
    before = peak_bytes()
    restored = restore(snapshot)
    assert restored.learned_count == 20_000
    assert peak_bytes() - before < 1 * 2**30


def test_a_model_that_cannot_decide_is_not_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(_: object, n_modules: int) -> None:
        asked.append(n_modules)
        raise StateError("no")

    monkeypatch.setattr(snapshot_module, "check_choice", refuse)
    with pytest.raises(StateError, match=r"^snapshot cannot be served: no$"):
        restore(snapshot_of(learned()))
    assert asked == [2]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scores": [NAN, 0.0]}, r"^self-test: scores == \[nan, 0\.0\], must be finite$"),
        ({"uncertainties": [1.0, INF]}, "^self-test: uncertainties == "),
        ({"uncertainties": [1.0, -0.1]}, "^self-test: uncertainties == "),
        ({"pmf": [0.5, 0.4]}, "^self-test: pmf == "),
        ({"pmf": [1.5, -0.5]}, "^self-test: pmf == "),
        ({"pmf": [NAN, 0.5]}, "^self-test: pmf == "),
        ({"pmf": [1.0]}, r"^self-test: lengths == \[1, 2, 2\], must be 2 each, or none of the last$"),
        ({"propensity": 0.3}, r"^self-test: propensity == 0\.3, must be that of the chosen module and > 0$"),
        ({"pmf": [0.0, 1.0], "propensity": 0.0}, "^self-test: propensity == 0"),
    ],
)
def test_an_answer_that_is_none_is_refused(changes: dict[str, Any], reason: str) -> None:
    answer = {"pmf": [0.5, 0.5], "scores": [0.1, 0.2], "uncertainties": [0.1, 0.1], "propensity": 0.5, "index": 0}
    snapshot_module.check_choice(cast(Any, Answer(answer)), 2)
    with pytest.raises(StateError, match=reason):
        snapshot_module.check_choice(cast(Any, Answer(answer | changes)), 2)


class Answer:
    """What the core would hand out."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.index, self.propensity = values["index"], values["propensity"]
        self.pmf, self.scores, self.uncertainties = (
            struct.pack(f"{len(values[key])}d", *values[key]) for key in ("pmf", "scores", "uncertainties")
        )


def decisions(model: Model) -> list[tuple[int, bytes, bytes, bytes]]:
    """Return what a model answers to twenty tasks."""
    modules = [(f"module {i}", {"speed": i / 2.0}, ("pdf",)) for i in range(4)]
    weights = (1.0,) * model.n_signals
    answers = (model.decide(bytes([i] * 16), {"pages": i / 3.0}, "tables", modules, weights) for i in range(20))
    return [(answer.index, answer.pmf, answer.scores, answer.uncertainties) for answer in answers]


def peak_bytes() -> int:
    """Return the most memory that this process has had resident."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
