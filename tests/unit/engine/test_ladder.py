"""Policy → champion → baseline → declared order → safe default → refusal: each step answers for the one before it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilotfish._core import Model
from pilotfish.codes import Mode, Reason, Signal, Source
from pilotfish.engine import deciding
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.helm import Kept
from pilotfish.engine.replaying import replay
from pilotfish.engine.sides import mixture, sides_of
from pilotfish.exceptions import NotFoundError, StateError
from pilotfish.request import Module, Outcome, Request, Task
from pilotfish.safety.breakers import BreakerSettings
from pilotfish.safety.budgets import Budget, BudgetSettings
from pilotfish.safety.settings import SafetySettings
from tests.unit.engine.asking import ask
from tests.unit.engine.test_engine_failures import raising, serve

MakeEngine = Callable[..., Engine]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeEngine]:
    opened: list[Engine] = []

    def engine(load_kept: Any = None, **fields: Any) -> Engine:  # noqa: ANN401
        settings = EngineSettings(**{"mode": Mode.ON, "growth": "off", **fields})
        opened.append(Engine(tmp_path, settings, None, *([load_kept] if load_kept else [])))
        return opened[-1]

    yield engine
    for each in opened:
        each.close()


def tripped(engine: Engine, *names: str) -> None:
    """Let modules fail until their breakers open."""
    for name in names:
        for _ in range(10):
            decision = engine.decide(Request(Task("ocr"), (Module(name), Module("spare"))))
            served = decision.module == name
            engine.record_outcome(Outcome({Signal.COMPLETION: float(not served)}, decision_id=decision.decision_id))
            while not served:
                decision = engine.decide(Request(Task("ocr"), (Module(name),)))
                served = True
                engine.record_outcome(Outcome({Signal.COMPLETION: 0.0}, decision_id=decision.decision_id))


def exact(decision: deciding.Decision) -> float:
    record = decision.record
    place = [record.request.candidates[i].name for i in record.legal].index(decision.module)
    return mixture(*sides_of(record), record.policy_share, place)


def test_champion_answers_for_a_policy_that_fails(make: MakeEngine) -> None:
    engine = make()
    champion = Model(engine.model.specification)
    engine.helm._load_kept = lambda _: Kept(champion, 0)  # noqa: SLF001  a registry of one
    engine.helm.change("promote", "ops", "", control="c" * 64)
    serve(engine, raising(RuntimeError("broken")))
    decision = engine.decide(ask(baseline_module="d"))
    assert decision.source is Source.FALLBACK
    assert {Reason.POLICY_FAILED, Reason.CHAMPION_ANSWERED} <= set(decision.reasons)
    assert decision.propensity == exact(decision) < 1.0
    assert decision.record.control is not None
    assert decision.record.control.kept == "c" * 64


def test_champion_serves_the_units_outside_the_share_and_the_baseline_none(make: MakeEngine) -> None:
    engine = make(mode=Mode.ROLLOUT, rollout_share=0.5)
    engine.helm._load_kept = lambda _: Kept(Model(engine.model.specification), 0)  # noqa: SLF001
    engine.helm.change("promote", "ops", "", control="c" * 64)
    answered = [engine.decide(ask(unit_id=f"{i}", baseline_module="d")) for i in range(200)]
    assert {decision.source for decision in answered} == {Source.POLICY, Source.CHAMPION}
    assert all(decision.propensity == exact(decision) < 1.0 for decision in answered)
    assert len({decision.module for decision in answered if decision.source is Source.CHAMPION}) > 1
    assert [row for row in replay(engine.log, load_kept=engine.helm._load_kept) if row.differs] == []  # noqa: SLF001


def test_baseline_that_raises_leaves_the_declared_order(make: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make(mode=Mode.OFF)
    monkeypatch.setattr(deciding, "choose_baseline", raising(RuntimeError("broken")))
    decision = engine.decide(ask(denied_modules=("a",)))
    assert (decision.module, decision.propensity) == ("b", 1.0)
    assert Reason.DECLARED_ORDER in decision.reasons


@pytest.mark.parametrize(("remaining_s", "near"), [(0.0005, True), (-3.0, True), (0.5, False), (None, False)])
def test_no_model_is_asked_when_the_deadline_is_near(
    make: MakeEngine, remaining_s: float | None, *, near: bool
) -> None:
    engine = make(decide_budget_s=0.001)
    decision = engine.decide(ask(baseline_module="d"), remaining_s)
    assert (Reason.DEADLINE_NEAR in decision.reasons) == near
    if near:
        assert (decision.module, decision.propensity, decision.source) == ("d", 1.0, Source.FALLBACK)
    assert [row for row in replay(engine.log) if row.differs] == []


def test_safe_default_overrules_what_holds_now_and_nothing_else(make: MakeEngine) -> None:
    budget = BudgetSettings(modules={"*": Budget(calls_per_minute=1)})
    engine = make(safety=SafetySettings(budgets=budget, safe_default="a"))
    request = Request(Task("ocr"), (Module("a"), Module("b")))
    assert {engine.decide(request).module for _ in range(2)} == {"a", "b"}
    decision = engine.decide(request)
    assert (decision.module, decision.propensity, decision.source) == ("a", 1.0, Source.FALLBACK)
    assert Reason.SAFE_DEFAULT in decision.reasons
    assert [(removal.index, removal.rule) for removal in decision.record.removed] == [(1, "budget.calls_per_minute")]
    with pytest.raises(StateError, match=r"b .BUDGET_SPENT budget.calls_per_minute"):
        engine.decide(msgspec.structs.replace(request, denied_modules=("a",)))
    assert [row for row in replay(engine.log) if row.differs] == []


def test_refusal_names_each_module_with_its_rule(make: MakeEngine) -> None:
    engine = make(safety=SafetySettings(rules={"never": "false"}, denied_modules=("a",)))
    with pytest.raises(StateError, match=r"a \(DENIED safety.denied_modules\), b \(RULE_VIOLATED never\)") as refused:
        engine.decide(Request(Task("ocr"), (Module("a"), Module("b"))))
    assert refused.value.reason == "NO_LEGAL_MODULE"
    assert engine.log.decision_count == 0


def test_critical_task_explores_nothing_and_says_so(make: MakeEngine) -> None:
    engine = make()
    for _ in range(30):
        decision = engine.decide(ask())
        value = 0.9 if decision.module == "c" else 0.1
        engine.record_outcome(Outcome({Signal.QUALITY: value}, decision_id=decision.decision_id))
    critical = Request(Task("ocr", critical=True), ask().candidates)
    answered = [engine.decide(critical) for _ in range(50)]
    assert {(decision.module, decision.propensity) for decision in answered} == {("c", 1.0)}
    assert all(Reason.CRITICAL in decision.reasons for decision in answered)
    assert [row for row in replay(engine.log) if row.differs] == []


def test_risk_cap_removes_what_may_fail_from_critical_tasks_only(make: MakeEngine) -> None:
    engine = make(safety=SafetySettings(risk_cap=0.5))
    for _ in range(300):
        decision = engine.decide(ask())
        works = float(decision.module != "a")
        engine.record_outcome(Outcome({Signal.COMPLETION: works}, decision_id=decision.decision_id))
    for name in "abcde":
        engine.safeguards.breakers.reset(name)
    critical = engine.decide(Request(Task("ocr", critical=True), ask().candidates))
    assert "safety.risk_cap" in {removal.rule for removal in critical.record.removed if removal.index == 0}
    assert critical.module != "a"
    assert all(removal.rule != "safety.risk_cap" for removal in engine.decide(ask()).record.removed)
    serve(engine, raising(RuntimeError("broken")))
    with pytest.raises(StateError, match=r"RISK_TOO_HIGH safety.risk_cap"):
        engine.decide(Request(Task("ocr", critical=True), ask().candidates))


def test_module_on_probation_is_probed_with_its_exact_probability(make: MakeEngine) -> None:
    engine = make(safety=SafetySettings())
    for name in "abc":
        engine.decide(Request(Task("ocr"), (Module(name),)))
    tripped(engine, "a")
    out = engine.decide(ask())
    assert [(removal.index, removal.reason) for removal in out.record.removed] == [(0, Reason.BREAKER_OPEN)]
    clock = engine._decider._clock  # noqa: SLF001
    engine._decider._clock = lambda: clock() + 11.0  # noqa: SLF001  past open_s
    probes = 0
    for _ in range(60):
        decision = engine.decide(ask())
        assert decision.propensity == exact(decision)
        probes += Reason.PROBE in decision.reasons
        if Reason.PROBE in decision.reasons:
            assert decision.module == "a"
    assert probes >= 1
    assert [row for row in replay(engine.log) if row.differs] == []


@pytest.mark.parametrize("how", ["repeated", "unlogged"])
def test_probe_that_is_not_answered_does_not_count_as_failed(make: MakeEngine, how: str) -> None:
    engine = make(safety=SafetySettings(breakers=BreakerSettings(probe_share=1.0, probe_patience_s=20.0)))
    first = engine.decide(ask(request_id="r"))
    tripped(engine, "a")
    later, clock = [11.0], engine._decider._clock  # noqa: SLF001
    engine._decider._clock = lambda: clock() + later[0]  # noqa: SLF001  past open_s: every decision probes
    if how == "repeated":
        assert engine.decide(ask(request_id="r")) == first
    else:
        engine.log._connection.execute("PRAGMA query_only = 1")  # noqa: SLF001
        assert engine.decide(ask()).decision_id == ""
        engine.log._connection.execute("PRAGMA query_only = 0")  # noqa: SLF001
    later[0] = 32.0  # past its patience: a probe still noted would have failed and opened the breaker again
    assert Reason.PROBE in engine.decide(ask()).reasons


def test_kept_version_that_is_gone_at_a_start_leaves_the_ladder_to_answer(make: MakeEngine, tmp_path: Path) -> None:
    first = make()
    first.helm._load_kept = lambda _: Kept(Model(first.model.specification), 0)  # noqa: SLF001
    first.helm.change("promote", "ops", "", policy="d" * 64)
    assert first.decide(ask()).record.kept == "d" * 64
    first.close()

    def gone(_: str) -> Kept:
        raise NotFoundError("gone")

    again = make(gone)
    decision = again.decide(ask(baseline_module="d"))
    assert (decision.module, decision.propensity, decision.source) == ("d", 1.0, Source.FALLBACK)
    assert Reason.POLICY_FAILED in decision.reasons
    again.close()
    assert tmp_path.exists()
