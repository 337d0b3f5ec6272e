import random

import pytest

from pilotfish.exceptions import InvalidInputError
from pilotfish.experiments.conservative import ConservativeGate

CONTROL = (0.8, 0.5)
"""Success of the baseline's module in each of two contexts."""
OTHERS = ((0.1, 0.9), (0.95, 0.1), (0.2, 0.2))
"""Success of the policy's modules in each context; at first it takes the worst."""


class Learner:
    """Greedy on counts by context and module, with an initial belief in what is worst."""

    def __init__(self) -> None:
        self._sums = [[1.0 - success for success in module] for module in OTHERS]
        self._counts = [[1.0, 1.0] for _ in OTHERS]

    def choose(self, context: int, generator: random.Random) -> int:
        if generator.random() < 0.1:
            return generator.randrange(len(OTHERS))
        return max(range(len(OTHERS)), key=lambda m: self._sums[m][context] / self._counts[m][context])

    def learn(self, context: int, module: int, reward: float) -> None:
        self._sums[module][context] += reward
        self._counts[module][context] += 1.0


def run(
    seed: int, *, n: int, share: float, loss: float, gated: bool = True, lost: float = 0.2
) -> tuple[bool, int, int]:
    """Return whether the condition held at all times, and how often the policy served in each half of the run."""
    generator = random.Random(seed)
    gate = ConservativeGate(loss)
    learner = Learner()
    mean = sum(CONTROL) / 2.0
    earned, held, served = 0.0, True, [0, 0]
    waiting: list[tuple[int, int, int, float, bool]] = []
    for t in range(n):
        is_open = gate.may_explore() or not gated
        context = generator.randrange(2)
        by_policy = is_open and generator.random() < share
        gate.served(by_policy=by_policy)
        module = learner.choose(context, generator) if by_policy else 0
        reward = float(generator.random() < (OTHERS[module] if by_policy else CONTROL)[context])
        earned += reward if by_policy else mean
        served[2 * t // n] += by_policy
        held = held and earned >= (1.0 - loss) * (t + 1) * mean - 1e-9
        if generator.random() >= lost:
            waiting.append((t + generator.randrange(50), context, module, reward, by_policy))
        for arrived in [item for item in waiting if item[0] <= t]:
            waiting.remove(arrived)
            _, context, module, reward, by_policy = arrived
            gate.rewarded(reward, by_policy=by_policy)
            if by_policy:
                learner.learn(context, module, reward)
    return held, served[0], served[1]


def test_at_no_time_more_than_the_stated_loss() -> None:
    """200 runs with late and lost rewards; the baseline has 0.65, the policy starts at 0.1."""
    runs = [run(seed, n=1500, share=0.5, loss=0.1) for seed in range(200)]

    kept = sum(held for held, _, _ in runs)
    print(f"kept in {kept} of 200 runs; the policy served {sum(a + b for _, a, b in runs) / 200:.0f} of 1500")  # noqa: T201
    assert kept >= 190
    assert all(second > 50 for _, _, second in runs), "the gate never opens"


def test_without_the_gate_the_same_policy_breaks_the_condition() -> None:
    assert sum(run(seed, n=300, share=0.5, loss=0.1, gated=False)[0] for seed in range(20)) <= 2


def test_policy_that_has_learned_serves_its_share() -> None:
    _, _, second = run(1, n=6000, share=0.3, loss=0.1, lost=0.0)

    assert second >= 0.9 * 0.3 * 3000


@pytest.mark.parametrize(("loss", "n_control"), [(0.5, 1), (0.4, 2), (0.1, 9), (0.01, 99)])
def test_gate_opens_when_the_control_has_earned_one_decision(loss: float, n_control: int) -> None:
    """Loss · n_c >= 1 − loss, whatever the control is worth: so without any reward so far."""
    gate = ConservativeGate(loss)
    n = 0
    while not gate.may_explore():
        gate.served(by_policy=False)
        n += 1

    assert n == n_control


def test_pending_decisions_of_the_policy_count_nothing() -> None:
    gate = ConservativeGate(0.1)
    for _ in range(1000):
        gate.served(by_policy=False)
        gate.rewarded(0.5, by_policy=False)
    n = 0
    while gate.may_explore():
        gate.served(by_policy=True)
        n += 1

    assert n == 111  # the largest with 0.1 · 1000 >= 0.9 · n
    gate.rewarded(1.0, by_policy=True)
    assert gate.may_explore()


def test_asking_changes_nothing() -> None:
    gate = ConservativeGate(0.1)
    missing = {gate.missing() for _ in range(3) if gate.may_explore() is False}

    assert missing == {0.9}
    assert (gate.n_control, gate.n_policy) == (0, 0)


@pytest.mark.parametrize("loss", [0.0, 1.0, -0.1, float("nan")])
def test_loss_is_a_share(loss: float) -> None:
    with pytest.raises(InvalidInputError, match=r"loss == .*, must be in \(0, 1\)"):
        ConservativeGate(loss)


@pytest.mark.parametrize("by_policy", [False, True])
@pytest.mark.parametrize("reward", [-0.1, 1.1, float("nan"), float("inf")])
def test_impossible_reward_is_refused_and_changes_nothing(reward: float, by_policy: bool) -> None:  # noqa: FBT001
    gate = ConservativeGate(0.1)
    before = gate.missing()

    with pytest.raises(InvalidInputError, match=r"reward == .*, must be in \[0, 1\]"):
        gate.rewarded(reward, by_policy=by_policy)

    assert gate.missing() == before
