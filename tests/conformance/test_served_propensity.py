"""What is logged is the probability with which the served module was chosen, after every stage."""

import dataclasses
import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from pilotfish import _core
from pilotfish._core import Model
from pilotfish.codes import Mode, Reason, Source
from pilotfish.engine import deciding
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.helm import Kept
from pilotfish.engine.sides import both_sides, mixture, sides_of
from pilotfish.request import Module, Outcome, Request, Task
from tests.conformance.propensity_audit import Audit, Draws, audit

N_CONFIGURATIONS = 2000
N_DRAWS = 60
NAMES = tuple(f"m{i}" for i in range(8))
TASKS = ("ocr", "search", "answer")


@pytest.fixture(scope="module", params=_core.explorer_names())
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine per explorer that has learned a little, so that scores differ and no arm is hopeless."""
    explorer = json.loads(_core.explorer_default(request.param))
    opened = Engine(
        tmp_path_factory.mktemp("state"), EngineSettings(mode=Mode.ON, growth="off", id_seed="audit", explorer=explorer)
    )
    teach(opened, random.Random(5))
    yield opened
    opened.close()


def teach(engine: Engine, rng: random.Random) -> None:
    for _ in range(150):
        decision = engine.decide(Request(Task(rng.choice(TASKS)), tuple(Module(name) for name in NAMES)))
        quality = 0.3 + 0.05 * NAMES.index(decision.module) + 0.1 * rng.random()
        engine.record_outcome(Outcome({4: quality}, decision_id=decision.decision_id))


def configurations(engine: Engine, n_configurations: int, n_draws: int, seed: int) -> Iterator[Draws]:
    rng = random.Random(seed)
    for _ in range(n_configurations):
        mode = rng.choice(list(Mode))
        engine.set_mode(mode, rng.choice((0.0, 0.05, 0.3, 0.5, 0.9, 1.0, rng.random())), "test", "")
        request = Request(
            Task(
                rng.choice(TASKS),
                features={"task.type": rng.choice(TASKS), "load": rng.uniform(-2, 2)},
                required_capabilities=("c",) * rng.randint(0, 1),
                data_size_bytes=rng.choice((None, 5, 50)),
            ),
            (
                *(
                    Module(name, {"size": rng.random()}, ("c",) * rng.randint(0, 1), rng.choice((None, 10)))
                    for name in rng.sample(NAMES, rng.randint(1, len(NAMES)))
                ),
                Module("always", {}, ("c",)),
            ),
            baseline_module=rng.choice(("", "always")),
            denied_modules=tuple(rng.sample(NAMES, rng.randint(0, 2))),
        )
        yield draw(engine, request, n_draws, rng)


def draw(engine: Engine, request: Request, n_draws: int, rng: random.Random) -> Draws:
    probabilities: list[float] = []
    served, propensities = [], []
    for _ in range(n_draws):
        decision = engine.decide(msgspec.structs.replace(request, unit_id=f"{rng.getrandbits(64):x}"))
        if not decision.decision_id:
            continue  # a slow disk: not on record, whatever was drawn
        record = decision.record
        names = [record.request.candidates[i].name for i in record.legal]
        probabilities = served_pmf(decision)
        served.append(names.index(decision.module))
        propensities.append(decision.propensity)
    return probabilities, served, propensities


def served_pmf(decision: deciding.Decision) -> list[float]:
    record = decision.record
    sides = sides_of(record)
    return [mixture(*sides, record.policy_share, place) for place in range(len(record.legal))]


def test_served_propensity_is_exact_over_random_configurations(engine: Engine) -> None:
    share = math.ceil(N_CONFIGURATIONS / len(_core.explorer_names()))
    result = audit(configurations(engine, share, N_DRAWS, seed=11))
    assert result.configurations == share
    assert result.passes, result


def test_served_pmf_sums_to_one_and_floors_every_legal_module(engine: Engine) -> None:
    engine.set_mode(Mode.ON, None, "test", "")
    floor = json.loads(_core.explorer_default(engine.model.explorer)).get("floor", 0.0)
    for probabilities, _, _ in configurations(engine, 200, 1, seed=3):
        assert math.fsum(probabilities) == pytest.approx(1.0, abs=1e-9)
    engine.set_mode(Mode.ON, None, "test", "")
    decision = engine.decide(Request(Task("ocr"), tuple(Module(name) for name in NAMES)))
    assert min(served_pmf(decision)) >= floor / len(NAMES) - 1e-12


class FaultyModel:
    """Stands in for the core with one of the bugs that systems were seen to ship."""

    def __init__(
        self, model: _core.Model, fault: Callable[[list[float], random.Random], tuple[int, list[float]]]
    ) -> None:
        self._model, self._fault, self._rng = model, fault, random.Random(1)
        self.version = model.version

    def decide(self, *arguments: Any) -> SimpleNamespace:  # noqa: ANN401  whatever the core takes
        choice = self._model.decide(*arguments)
        index, pmf = self._fault(list(memoryview(choice.pmf).cast("d")), self._rng)
        packed = memoryview(bytearray(8 * len(pmf))).cast("d")
        packed[:] = memoryview(bytes(choice.pmf)).cast("d")
        for i, p in enumerate(pmf):
            packed[i] = p
        kept = {name: getattr(choice, name) for name in ("scores", "uncertainties", "learned_count")}
        return SimpleNamespace(index=index, pmf=bytes(packed), **kept)


def softmax_logged_for_argmax(pmf: list[float], _: random.Random) -> tuple[int, list[float]]:
    total = math.fsum(math.exp(p) for p in pmf)
    return pmf.index(max(pmf)), [math.exp(p) / total for p in pmf]


def monte_carlo_counts_its_own_draw(pmf: list[float], rng: random.Random) -> tuple[int, list[float]]:
    draws = rng.choices(range(len(pmf)), pmf, k=8)
    return draws[0], [draws.count(i) / 8 for i in range(len(pmf))]


def explore_branch_logs_epsilon_over_k(pmf: list[float], rng: random.Random) -> tuple[int, list[float]]:
    n, epsilon, greedy = len(pmf), 0.5, pmf.index(max(pmf))
    if n == 1:
        return 0, [1.0]
    explore = rng.random() < epsilon
    served = rng.randrange(n) if explore else greedy
    propensity = epsilon / n if explore else 1 - epsilon + epsilon / n
    return served, [propensity if i == served else (1 - propensity) / (n - 1) for i in range(n)]


def one_over_n_logged_for_thompson(pmf: list[float], rng: random.Random) -> tuple[int, list[float]]:
    return rng.choices(range(len(pmf)), pmf)[0], [1 / len(pmf)] * len(pmf)


def override_keeps_the_drawn_propensity(pmf: list[float], rng: random.Random) -> tuple[int, list[float]]:
    drawn = rng.choices(range(len(pmf)), pmf)[0]
    return (len(pmf) - 1 if rng.random() < 0.2 else drawn), pmf


@pytest.fixture
def thompson(tmp_path: Path) -> Iterator[Engine]:
    opened = Engine(
        tmp_path,
        EngineSettings(
            mode=Mode.ON, growth="off", id_seed="audit", explorer={"kind": "thompson", "scale": 1.0, "floor": 0.05}
        ),
    )
    teach(opened, random.Random(5))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "fault",
    [
        softmax_logged_for_argmax,
        monte_carlo_counts_its_own_draw,
        explore_branch_logs_epsilon_over_k,
        one_over_n_logged_for_thompson,
        override_keeps_the_drawn_propensity,
    ],
)
def test_known_propensity_bug_is_caught(
    thompson: Engine,
    fault: Callable[[list[float], random.Random], tuple[int, list[float]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving = thompson._learner.grown.serving  # noqa: SLF001  the bug has to sit inside
    faulty = FaultyModel(thompson.model, fault)
    monkeypatch.setattr(type(thompson._learner.grown), "serving", serving._replace(model=faulty))  # type: ignore[arg-type]  # noqa: SLF001
    assert not audit(configurations(thompson, 100, N_DRAWS, seed=2)).passes


def test_mixture_that_ignores_the_rollout_share_is_caught(thompson: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        deciding,
        "mixture",
        lambda policy, control, _share, place: policy.probability(place) or control.probability(place),
    )
    assert not audit(configurations(thompson, 100, N_DRAWS, seed=2)).passes


@pytest.fixture
def besieged(thompson: Engine) -> Engine:
    """Modules on probation, a champion in the baseline's place, and a gate that closes now and then."""
    thompson.helm._load_kept = lambda _: Kept(Model(thompson.model.specification), 0)  # noqa: SLF001
    thompson.helm.change("promote", "test", "", control="c" * 64)
    breakers = thompson.safeguards.breakers
    for name in NAMES[:3]:
        for i in range(6):
            breakers.record(name, failed=True, latency_ms=None, now_s=i * 0.1)
    # Long past the opening; probes are not counted, so that a module stays on probation for all draws.
    thompson._decider._clock = lambda: 60.0  # noqa: SLF001
    breakers.begin_probe = lambda *_: None  # type: ignore[method-assign]
    rng = random.Random(9)
    gates, before = [rng.random() < 0.9 for _ in range(1000)], thompson.log.decision_count
    thompson.hold_back_by(lambda: gates[(thompson.log.decision_count - before) // N_DRAWS])  # the same for all draws
    return thompson


def test_propensity_is_exact_through_probes_champion_and_gate(besieged: Engine) -> None:
    draws = list(configurations(besieged, 200, N_DRAWS, seed=21))
    result = audit(draws)
    assert result.passes, dataclasses.asdict(result)
    records = [decision.record for decision in besieged.log.decisions()]
    assert sum(bool(record.probing) for record in records) > len(records) / 3
    assert sum(record.control is not None for record in records) > len(records) / 3
    assert sum(int(Reason.HELD_BACK) in record.reasons for record in records) > 100


def test_probe_whose_probability_is_not_mixed_in_is_caught(besieged: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = both_sides
    monkeypatch.setattr(deciding, "both_sides", lambda policy, control, at, *_: honest(policy, control, at, (), 0.0))
    assert not audit(configurations(besieged, 200, N_DRAWS, seed=21)).passes


def test_honest_engine_passes_where_the_mutants_fail(thompson: Engine) -> None:
    result = audit(configurations(thompson, 100, N_DRAWS, seed=2))
    assert result.passes, dataclasses.asdict(result)


def test_audit_notices_a_small_lie() -> None:
    rng = random.Random(4)
    honest, lying = Audit(), Audit()
    for _ in range(200):
        served = rng.choices(range(3), (0.5, 0.3, 0.2), k=100)
        for told, result in (((0.5, 0.3, 0.2), honest), ((0.52, 0.3, 0.18), lying)):
            result.add((list(told), served, [told[i] for i in served]))
    assert honest.passes
    assert not lying.passes


def test_source_says_who_chose(thompson: Engine) -> None:
    request = Request(Task("ocr"), tuple(Module(name) for name in NAMES), unit_id="u")
    expected = {Mode.OFF: Source.BASELINE, Mode.SHADOW: Source.BASELINE, Mode.ON: Source.POLICY}
    for mode, source in expected.items():
        thompson.set_mode(mode, None, "test", "")
        assert thompson.decide(request).source is source
