"""What `pilotfish explain` says of a score."""

import math
import re

import click
import pytest

from pilotfish.cli.explain import SHOWN_CONTRIBUTIONS, as_text
from pilotfish.v1 import Contribution, Decision, ExplainDecisionResponse, Explanation, PresentScore, RankedModule


def answer(*parts: tuple[str, float], then: float = 0.25, **others: float) -> ExplainDecisionResponse:
    ranking = [RankedModule(module="a", score=then, probability=1.0)]
    present = PresentScore(
        module="a",
        score=sum(value for _, value in parts) + others.get("other_contributions", 0.0),
        uncertainty=0.125,
        contributions=[Contribution(part=part, value=value) for part, value in parts],
        other_contributions=others.get("other_contributions", 0.0),
        other_count=int(others.get("other_count", 0)),
    )
    return ExplainDecisionResponse(
        decision=Decision(module="a", model_version="f" * 64),
        explanation=Explanation(ranking=ranking, learned_count=7, policy_evaluated=True),
        present_scores=[present],
        present_learned_count=7,
        present_model_version="f" * 64,
    )


def block(text: str) -> list[str]:
    """Return the lines of the first module's block."""
    return re.split(r"\n\n", text[text.index("What the scores are made of") :])[1].splitlines()


def test_each_contribution_has_a_bar_as_long_as_it_is_large() -> None:
    lines = block(click.unstyle(as_text(answer(("bias", 0.4), ("feature:size", -0.1), ("text:tables", 0.0001)))))

    assert lines == [
        "a *: 0.3001 ± 0.1250; 0.2500 at the decision",
        f"  +0.4000  {'+' * 24}  bias",
        f"  -0.1000  {'-' * 6:<24}  feature:size",
        f"  +0.0001  {'+':<24}  text:tables",
    ]


def test_an_uncertainty_that_the_policy_does_without_is_a_dash() -> None:
    message = answer(("bias", 0.4))
    message.present_scores[0].uncertainty = message.explanation.ranking[0].uncertainty = math.nan

    text = click.unstyle(as_text(message))

    assert block(text)[0] == "a *: 0.4000 ± -; 0.2500 at the decision"
    assert next(line.split() for line in text.splitlines() if line.startswith("a *"))[-1] == "-"


def test_bars_are_coloured_for_terminals_only_by_click() -> None:
    text = as_text(answer(("bias", 0.4), ("feature:size", -0.1)))

    assert click.style("+" * 24, fg="green") in text
    assert click.style("-" * 6 + " " * 18, fg="red") in text


def test_what_is_not_shown_is_summed_up() -> None:
    parts = [(f"text:word {i:02}", 0.01) for i in range(SHOWN_CONTRIBUTIONS + 2)]

    lines = block(click.unstyle(as_text(answer(*parts, ("text:idle", 0.0), other_contributions=-0.5, other_count=3))))

    assert len(lines) == 1 + SHOWN_CONTRIBUTIONS + 1
    assert lines[-1].split() == ["-0.4800", "6", "others"]


@pytest.mark.parametrize(
    ("then", "head", "score"),
    [
        (0.4, "What the scores are made of; they are still those of the decision.", "a *: 0.4000 ± 0.1250"),
        (
            0.25,
            "What the scores are made of by the model as it is now, with 7 signal values learned.",
            "a *: 0.4000 ± 0.1250; 0.2500 at the decision",
        ),
    ],
)
def test_scores_of_then_and_now_are_told_apart(then: float, head: str, score: str) -> None:
    text = as_text(answer(("bias", 0.4), then=then))

    assert head in text.splitlines()
    assert block(text)[0] == score


def test_nothing_learned_has_no_bars() -> None:
    assert block(as_text(answer(("bias", 0.0), ("shared:bias", 0.0))))[1].split() == ["+0.0000", "2", "others"]


def test_without_present_scores_there_is_no_such_part() -> None:
    silent = answer(("bias", 0.4))
    del silent.present_scores[:]

    assert "made of" not in as_text(silent)
