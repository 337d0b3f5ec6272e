"""Conservative exploration: the policy serves only while what it may lose has been earned.

Source: Kazerouni, Ghavamzadeh, Abbasi-Yadkori, Van Roy, "Conservative contextual linear bandits" (2017), whose
condition is kept and whose linear model is not needed: what the policy has lost is known from what it was paid.

Let n_c and n_p be the decisions served by the control and by the policy so far, R_p the sum of the policy's rewards
that have come, and μ the control's mean reward. Before a decision the gate asks whether, should the policy serve it and
earn nothing,

    R_p + n_c · μ >= (1 − loss) · (n_c + n_p + 1) · μ      for every μ in the confidence sequence [L, U],

that is R_p >= U · ((1 − loss) · (n_p + 1) − loss · n_c): where the bracket is negative it holds whatever μ is, and
where it is not, U is the worst case.

**Guarantee.** With probability at least 1 − `CONFIDENCE_ALPHA`, at all times at once: the policy's rewards plus the
control's expected ones are at least (1 − loss) times what the control would have been expected to earn on all
decisions.
*Proof.* With that probability μ is in [L, U] at all times. When the policy serves, the condition held at this μ with
nothing for this decision. In between, R_p and n_c only grow, and with them the left side minus the right. ∎

**Assumptions.** Rewards are in [0, 1]. The expected reward of the control, given the past, is the same μ for decisions
on either side: tasks come from one population, and units are put on sides by a hash. Which of the control's rewards
come does not depend on their value. The policy's may be late or never come: they count 0 until they do.

**What it costs.** The policy starts once the control has served (1 − loss) / loss decisions. One that earns g μ, with
g < 1 − loss, serves a share of about loss / (1 − g) at most. While the gate is closed nobody is compared, so those
decisions are no evidence.

The gate knows history only and is asked before the side is drawn, for every decision: so a decision's probabilities are
those of the stage if it is open, and the control's if it is closed, exactly.
"""

from typing import Final

from pilotfish.exceptions import InvalidInputError
from pilotfish.experiments.sequences import CORE, Sequence, Statistics

CONFIDENCE_ALPHA: Final = 0.05
"""Chance that the guarantee fails at any time."""


class ConservativeGate:
    """Says before each decision whether the policy may serve.

    Feed every decision whose reward counts, each once, in the order of the log; rewards may come in any order.

    Args:
        loss: The share in (0, 1) of the control's cumulative reward that may be lost.
        statistics: Where the control's confidence sequence comes from.

    Raises:
        InvalidInputError: The loss is out of its range.
    """

    __slots__ = ("_control", "_loss", "n_control", "n_policy", "policy_reward")

    def __init__(self, loss: float, statistics: Statistics = CORE) -> None:
        if not 0.0 < loss < 1.0:
            raise InvalidInputError(f"loss == {loss}, must be in (0, 1)")
        self._loss = loss
        self._control: Sequence = statistics.sequence(0.0, 1.0, 0.0, 1.0, CONFIDENCE_ALPHA, None, None)
        self.n_control = 0
        """Decisions that the control has served."""
        self.n_policy = 0
        """Decisions that the policy has served."""
        self.policy_reward = 0.0
        """Sum of the policy's rewards so far."""

    def may_explore(self) -> bool:
        """Return whether the policy may serve the next decision; asked before its side is drawn."""
        return self.missing() == 0.0

    def missing(self) -> float:
        """Return the sum of rewards, >= 0, that the policy would have to be paid before it may serve again."""
        _, upper = self._control.interval()
        unearned = (1.0 - self._loss) * (self.n_policy + 1) - self._loss * self.n_control
        return max(unearned * upper - self.policy_reward, 0.0)

    def served(self, *, by_policy: bool) -> None:
        """Take in who served a decision, before the gate is asked for the next."""
        if by_policy:
            self.n_policy += 1
        else:
            self.n_control += 1

    def rewarded(self, reward: float, *, by_policy: bool) -> None:
        """Take in the reward of a decision that was served.

        Raises:
            InvalidInputError: The reward is not in [0, 1]; nothing was changed.
        """
        if not 0.0 <= reward <= 1.0:  # NaN fails the comparison too
            raise InvalidInputError(f"reward == {reward}, must be in [0, 1]")
        if by_policy:
            self.policy_reward += reward
        else:
            self._control.observe(reward)
