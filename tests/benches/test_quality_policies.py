"""The references compute what their sources say; the adapters tell the libraries what happened."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benches.quality import vowpal
from benches.quality.lin_ucb import LinUcb, TaskVector
from benches.quality.ours import Pilotfish
from benches.quality.play import play
from benches.quality.policies import ENTRIES
from benches.quality.policy import Decision, drawn
from benches.quality.standardise import Standardiser
from benches.quality.stream import Arm, Outcome, Round, generator
from benches.quality.synthetic import hub_modules, linear, stream

ARMS = (Arm("left"), Arm("right"))


def plain(**features: float | str) -> Round:
    return Round("", features, "", ARMS)


def test_numbers_are_standardised_by_the_past_alone() -> None:
    standardiser = Standardiser()
    values = [3.0, 5.0, 5.0, -100.0]
    seen = [float(standardiser.standardise({"x": value, "c": "red"})["x"]) for value in values]

    for count, value in enumerate(values, start=1):
        past = np.array(values[:count])
        expected = 0.0 if count == 1 else (value - past.mean()) / past.std()
        assert seen[count - 1] == pytest.approx(expected)
    assert standardiser.standardise({"c": "red"}) == {"c": "red"}


def test_standardised_numbers_are_clipped() -> None:
    standardiser = Standardiser()
    for _ in range(1_000):
        standardiser.standardise({"x": 0.0})

    assert standardiser.standardise({"x": 1e9})["x"] == 8.0


def test_a_task_vector_holds_bias_numbers_labels_type_and_words() -> None:
    tasks = TaskVector()
    tasks.encode(Round("letter", {"x": 1.0, "c": "red"}, "", ARMS))
    x = tasks.encode(Round("bill", {"x": 3.0, "c": "blue"}, "one one", ARMS))

    # Slots in the order of appearance: bias, x, c = red, letter, c = blue, bill, the word.
    assert x.tolist() == pytest.approx([1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 2.0 / math.sqrt(2.0)])


def test_a_scaled_task_vector_is_divided_by_the_root_of_how_much_it_holds() -> None:
    tasks, twin = TaskVector(scaled=True), TaskVector()
    rounds = [Round("letter", {"x": value, "y": -value, "c": "red"}, "", ARMS) for value in (1.0, 3.0)]
    scaled, plain_one = ([vector.encode(round_) for round_ in rounds][-1] for vector in (tasks, twin))

    assert scaled[0] == plain_one[0] == 1.0
    assert scaled[1:] == pytest.approx(plain_one[1:] / 2.0)


def test_lin_ucb_is_ridge_regression_with_a_bonus() -> None:
    alpha, rng = 0.7, np.random.default_rng(4)
    policy, twin = LinUcb(alpha), TaskVector()
    seen: list[tuple[np.ndarray[Any, Any], int, float]] = []
    for turn in range(60):
        # Labels that come late make the vectors grow in the middle, and mostly 0.
        labels = {"c": f"late {turn % 5}" if turn > 30 else "early"}
        round_ = plain(x=float(rng.normal()), y=float(rng.normal()), **labels)
        x = twin.encode(round_)
        scores = []
        for arm in range(2):
            rows = [(np.pad(row, (0, len(x) - len(row))), reward) for row, served, reward in seen if served == arm]
            gram = np.eye(len(x)) + sum((np.outer(row, row) for row, _ in rows), np.zeros((len(x), len(x))))
            theta = np.linalg.solve(gram, sum((row * reward for row, reward in rows), np.zeros(len(x))))
            scores.append(theta @ x + alpha * math.sqrt(x @ np.linalg.solve(gram, x)))
        decision = policy.decide(round_)
        assert decision == Decision(int(np.argmax(scores)))
        reward = float(rng.random() < (0.8 if decision.index == (x[1] > 0) else 0.3))
        policy.learn(round_, decision, Outcome(reward, {}))
        seen.append((x, decision.index, reward))
    assert {served for _, served, _ in seen} == {0, 1}


def test_lin_ucb_knows_a_module_by_name_wherever_it_stands() -> None:
    policy = LinUcb(0.0)
    for _ in range(3):
        round_ = plain(x=1.0)
        policy.learn(round_, policy.decide(round_), Outcome(1.0, {}))
    swapped = Round("", {"x": 1.0}, "", (Arm("new"), ARMS[1], ARMS[0]))

    assert policy.decide(swapped).index == 2


class Recorder:
    """Stands for VW's workspace: answers with one pmf and keeps what it is told."""

    def __init__(self, flags: str) -> None:
        self.flags = flags
        self.learned: list[Any] = []

    def predict(self, lines: str | list[str]) -> list[float]:
        assert lines
        return [0.25, 0.75]

    def learn(self, lines: str | list[str]) -> None:
        self.learned.append(lines)


@pytest.fixture
def recorders(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    made: list[Recorder] = []

    def workspace(flags: str) -> Recorder:
        made.append(Recorder(flags))
        return made[-1]

    monkeypatch.setattr(vowpal, "installed", lambda _: SimpleNamespace(Workspace=workspace))
    return made


TASK = Round("letter", {"12": 1.5, "kind of": "a:b|c"}, "Two words, 7!", (Arm("1", {"v": 2.0}, ("fast",)), Arm("2")))


def test_vw_gets_features_by_harmless_names_and_the_label_of_what_was_served(recorders: list[Recorder]) -> None:
    policy = vowpal.ActionFeatures("--bag 5", np.random.default_rng(0), 2, standardised=False)
    policy.decide(TASK)
    policy.learn(TASK, Decision(1, 0.75, 2), Outcome(0.5, {}))
    (lines,) = recorders[0].learned

    assert recorders[0].flags.startswith("--cb_explore_adf -q sa --bag 5 --cb_type mtr")
    assert lines[0].startswith("shared |s f")
    assert lines[0].split()[2].endswith(":1.5")
    assert lines[0].endswith("w_two w_words w_7")
    assert lines[1].startswith("|a m=")
    assert lines[2].startswith("0:-0.5:0.75 |a m=")
    words = [word for line in lines for word in line.replace("|s", "").replace("|a", "").split()]
    assert all(word[0].isalpha() or word.startswith("0:-0.5") for word in words)
    assert "a:b" not in " ".join(lines)


def test_vw_with_fixed_actions_counts_them_from_1(recorders: list[Recorder]) -> None:
    policy = vowpal.FixedActions("--epsilon 0.05", np.random.default_rng(0), 2, standardised=True)
    round_ = plain(x=4.0)
    policy.decide(round_)
    policy.learn(round_, Decision(1, 0.75, 2), Outcome(1.0, {}))

    assert recorders[0].flags.startswith("--cb_explore 2 --epsilon 0.05")
    assert recorders[0].learned[0].split()[:3] == ["2:-1:0.75", "|s", "f0:0"]


def test_vw_serves_by_its_pmf(recorders: list[Recorder]) -> None:
    policy = vowpal.FixedActions("", np.random.default_rng(1), 2, standardised=False)
    served = [policy.decide(plain(x=1.0)) for _ in range(2_000)]

    assert recorders[0].learned == []
    # 2,000 draws of probability 3/4: standard deviation 0.0097.
    assert np.mean([decision.index for decision in served]) == pytest.approx(0.75, abs=0.05)
    assert {decision.propensity for decision in served} == {0.25, 0.75}
    assert {decision.support for decision in served} == {2}


def test_support_counts_what_is_not_rare() -> None:
    assert drawn(2, np.array([0.0, 0.005, 0.75, 0.25])) == Decision(2, 0.75, 2, 1 / 0.75 + 4.0)


def test_ours_learns_the_hubs_task_with_propensities_that_hold() -> None:
    world = stream(hub_modules(generator(3), 2_000))
    figures = play(world, Pilotfish(generator(4)))

    assert figures["last_third_share"] > 0.95
    assert figures["inverse_propensity"] == pytest.approx(1.0, abs=5 * figures["inverse_propensity_error"])
    assert figures["inverse_propensity_error"] < 0.2


def test_ours_without_floor_explores_less_than_with_much_of_it() -> None:
    world = stream(linear(generator(3), 1_500))
    bare, floored = (play(world, Pilotfish(generator(4), floor)) for floor in (0.0, 0.5))

    assert bare["last_third_share"] > floored["last_third_share"]


def test_ours_sees_the_tasks_type() -> None:
    policy = Pilotfish(generator(1), 0.0)
    for turn in range(300):
        round_ = Round("ab"[turn % 2], {}, "", ARMS)
        decision = policy.decide(round_)
        policy.learn(round_, decision, Outcome(float(decision.index == turn % 2), {}))
    served = [policy.decide(Round("ab"[turn % 2], {}, "", ARMS)).index == turn % 2 for turn in range(40)]

    assert sum(served) >= 38


def test_policies_have_names_of_their_own_and_the_peers_of_the_claim_are_there() -> None:
    names = [entry.name for entry in ENTRIES]

    assert len(set(names)) == len(names)
    assert {f"VW {explorer} adf" for explorer in vowpal.EXPLORERS} <= set(names)
    assert {entry.name for entry in ENTRIES if entry.needs_fixed_arms} == {
        "VW epsilon-greedy", "VW SquareCB", "VW epsilon-greedy std", "VW SquareCB std",
    }  # fmt: skip
