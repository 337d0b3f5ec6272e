"""Each safety campaign is silent on sound code, and speaks when what it guards is broken."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benches.safety import adversarial, breach, models
from benches.safety.__main__ import arguments, main
from benches.safety.breaker import Case, Rates
from benches.safety.campaigns import CAMPAIGNS, Job, run
from benches.safety.conducted import Wall, believing, hub, turned
from benches.safety.oracle import broken_rules
from benches.safety.share import limits, place
from pilotfish.engine import deciding
from pilotfish.engine.sides import unit_fraction
from pilotfish.experience.exposures import Exposure
from pilotfish.experiments import following
from pilotfish.experiments.conductor import Conductor
from pilotfish.experiments.following import Following
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.experiments.verdict import Judgement, Verdict, judge
from pilotfish.request import Module, Request, Task
from pilotfish.safety.breaker import Breaker
from pilotfish.safety.breakers import NOTHING, Breakers, State
from pilotfish.safety.budgets import Budgets
from pilotfish.safety.legal_set import Legality
from pilotfish.safety.settings import SafetySettings
from pilotfish.training import registry as registry_module
from tests.unit.training.forging import learned

Break = Callable[[pytest.MonkeyPatch], None]

HARM = "success 0.2, not 0.9"
TINY: dict[str, list[Any]] = {
    "adversarial": [(0, 5_000)],
    "faults": [(1, 90)],
    "breaker": [Case(3, "off, declared", 50.0, 0.1, 0)],
    "share": [("stage", 0.25, 400), ("0 %", 0.0, 200), ("off", 0.0, 200)],
    "breach": [(HARM, 0)],
    "never": [("sound", 0), ("partial data", 0), ("inconclusive", 0), ("held", 0)],
    "conservative": [0, 1],
    "models": [25],
    "cost": [3],
}
BESIDE = ("share of ", "fault scenarios", "bad files", "safety stages", f"{HARM}: longest")
"""Beginnings of figures that tell of a campaign's size or of how busy the machine is, and of nothing guarded."""


def unmet(name: str) -> set[str]:
    """Play the tiny parts of a campaign and return what is not as asked for."""
    results = [run(Job(name, number, part)) for number, part in enumerate(TINY[name])]
    rows = CAMPAIGNS[name].figures(results)
    return {row.what for row in rows if row.is_met is False and not row.what.startswith(BESIDE)}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adversarial, "PER_WORLD", 500)
    monkeypatch.setattr(breach, "HARMS", {HARM: breach.HARMS[HARM]})


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_sound_code_leaves_a_campaign_silent(name: str) -> None:
    assert unmet(name) == set()


def everything_is_legal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Legality, "split", lambda _, request, __: (tuple(range(len(request.candidates))), ()))
    patch.setattr(deciding, "fault_of_answer", lambda *_: "")


def budgets_are_endless(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Budgets, "spent", lambda *_: {})


def breakers_never_eject(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Breakers, "eject", lambda *_: NOTHING)


def nothing_is_critical(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Legality, "is_critical", lambda *_: False)


def propensities_are_guessed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(deciding, "mixture", lambda *_: 0.5)


def causes_are_kept_secret(patch: pytest.MonkeyPatch) -> None:
    account = deciding._account  # noqa: SLF001
    patch.setattr(deciding, "_account", lambda *args, **named: (account(*args, **named)[0], ()))


def probes_are_not_judged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Breaker, "_judge_probe", lambda *_, **__: None)


def the_worst_count_as_well(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Breaker, "failure_rate", lambda *_: 0.0)


def the_hash_is_a_coin(patch: pytest.MonkeyPatch) -> None:
    coin = random.Random(1)
    patch.setattr(deciding, "unit_fraction", lambda *_: coin.random())


def nothing_is_a_share(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Exposure, "share", property(lambda _: 0.5))


def nobody_looks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Conductor, "tick", lambda _: None)
    patch.setattr(breach, "AT_MOST_S", 2.0)


def doubt_is_a_pass(patch: pytest.MonkeyPatch) -> None:
    def passed(evidence: Any) -> Verdict:  # noqa: ANN401
        return msgspec.structs.replace(judge(evidence), judgement=Judgement.PASS)

    patch.setattr(following, "judge", passed)


def nobody_is_held_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Following, "_may_explore", lambda _: True)


def files_are_not_checked(patch: pytest.MonkeyPatch) -> None:
    model = learned()
    patch.setattr(registry_module, "restore", lambda _: model)


@pytest.mark.parametrize(
    ("name", "damage", "what"),
    [
        ("adversarial", everything_is_legal, "violations"),
        ("adversarial", budgets_are_endless, "violations"),
        ("adversarial", breakers_never_eject, "violations"),
        ("adversarial", nothing_is_critical, "violations"),
        ("adversarial", propensities_are_guessed, "violations"),
        ("breaker", breakers_never_eject, "largest share after 100 calls"),
        ("breaker", probes_are_not_judged, "longest return ÷ open time"),
        ("breaker", the_worst_count_as_well, "not by the least bad"),
        ("share", the_hash_is_a_coin, "units against the hash"),
        ("share", the_hash_is_a_coin, "units that left as the share grew"),
        ("share", nothing_is_a_share, "served otherwise than by the baseline"),
        ("breach", nobody_looks, f"{HARM}: seeds not rolled back"),
        ("never", doubt_is_a_pass, "runs that were promoted"),
        ("conservative", nobody_is_held_back, "runs in which the promise was broken"),
        ("models", files_are_not_checked, "let in"),
    ],
)
def test_broken_code_is_reported(name: str, damage: Break, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(monkeypatch)

    assert what in unmet(name)


@pytest.mark.parametrize("damage", [propensities_are_guessed, causes_are_kept_secret])
def test_a_faulted_answer_without_cause_or_propensity_is_reported(
    damage: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(monkeypatch)

    result = run(Job("faults", 0, (1, 90)))

    assert result["violations"] > 0


def test_a_legal_set_that_forgets_a_rule_is_no_bargain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Legality, "split", lambda _, request, __: (tuple(range(len(request.candidates))), ()))

    with pytest.raises(AssertionError, match="DENIED"):
        run(Job("cost", 0, 3))


def test_the_oracle_reads_the_hash_and_the_limits_by_itself() -> None:
    assert [place(f"u{i}") for i in range(50)] == [unit_fraction(f"u{i}", b"campaign") for i in range(50)]
    # 200,000 · 0.05 ± 3.2905 · sqrt(200,000 · 0.05 · 0.95)
    assert [round(limit) for limit in limits(200_000, 0.05)] == [9_679, 10_321]
    assert limits(100, 0.0) == (0.0, 0.0)


def test_the_oracle_knows_a_ban_and_a_rule_when_it_sees_them() -> None:
    safety = SafetySettings(bans={"scan": ("m1",)}, rules={"no-odd": "!(module.name in ['m1', 'm3', 'm5'])"})
    asked = Request(Task("scan"), (Module("m1"), Module("m2")))

    assert list(broken_rules(safety, asked, asked.candidates[0])) == ["ban", "rule no-odd"]
    assert list(broken_rules(safety, asked, asked.candidates[1])) == []


def test_rates_lie_between_those_of_nine_and_ten_tenths() -> None:
    rates = Rates(30.0)
    for at_s, failed in ((1.0, True), (2.0, True), (20.0, False), (29.0, True)):
        rates.came("m", at_s, failed=failed)

    assert rates.between("m", 30.0) == (0.5, 0.75)
    rates.moved("m", State.HALF_OPEN, State.CLOSED)
    assert rates.between("m", 30.0) == (0.0, 0.0)


def test_a_hub_with_a_clock_that_is_turned_dates_its_decisions_by_it() -> None:
    wall = Wall()
    with turned(wall), hub(("a", "b"), RolloutSettings(), 0.5, believing({"a": 0.0, "b": 1.0})) as play:
        wall.pass_s(5.0)
        decisions = [play.ask(f"u{i}", baseline="a") for i in range(100)]

    assert {decision.record.asked_us for decision in decisions} == {wall.now_us}
    treated = [decision.module for decision in decisions if decision.record.in_policy_share]
    assert treated.count("b") > 0.9 * len(treated)


def test_every_kind_of_bad_file_is_tried() -> None:
    kinds = {kind for kind, _ in models.mutations()}

    assert kinds == {"damaged", "body forged", "number forged", "part forged"}


def test_the_command_prints_and_writes_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "safety.json"

    code = main(["--campaigns", "share", "--scale", "0.001", "--jobs", "1", "--json", str(file)])

    report = json.loads(file.read_text())
    printed = capsys.readouterr()
    assert code == 0
    assert "share: units against the hash" in printed.out
    assert "share: 9/9" in printed.err
    assert report["settings"] == {"scale": 0.001, "campaigns": ["share"]}
    assert all(figure["is_met"] is not False for figure in report["figures"])


def test_the_command_fails_with_a_campaign(monkeypatch: pytest.MonkeyPatch) -> None:
    the_hash_is_a_coin(monkeypatch)

    assert main(["--campaigns", "share", "--scale", "0.001", "--jobs", "1"]) == 1


@pytest.mark.parametrize(("words", "message"), [(["--jobs", "0"], "jobs == 0"), (["--scale", "0"], "scale == 0")])
def test_sizes_that_are_none_are_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(words)
    assert message in capsys.readouterr().err
