import ast
import inspect

import msgspec
import pytest

from pilotfish.exceptions import InvalidInputError
from pilotfish.experiments.settings import RolloutSettings


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stages": ()}, "stages == [], must be at least one share in (0, 1]"),
        ({"stages": (0.0, 0.5)}, "stages == [0.0, 0.5], must be at least one share in (0, 1]"),
        ({"stages": (0.5, 1.1)}, "stages == [0.5, 1.1], must be at least one share in (0, 1]"),
        ({"stages": (0.5, 0.5)}, "stages == [0.5, 0.5], must rise"),
        ({"stages": (0.5, 0.25)}, "stages == [0.5, 0.25], must rise"),
        ({"guardrails": {}}, "guardrails == {}, must name at least one metric: nothing else lets a stage pass"),
        ({"guardrails": {"reward": -0.01}}, "guardrails.reward == -0.01, must be in [0, 1]"),
        ({"guardrails": {"reward": float("nan")}}, "guardrails.reward == nan, must be in [0, 1]"),
        ({"alpha": 0.0}, "alpha == 0.0, must be in (0, 0.5]"),
        ({"srm_alpha": 0.6}, "srm_alpha == 0.6, must be in (0, 0.5]"),
        ({"min_outcomes": 0}, "min_outcomes == 0, must be >= 1"),
        ({"min_stage_s": float("inf")}, "min_stage_s == inf, must be finite and >= 0"),
        ({"settle_s": -1.0}, "settle_s == -1.0, must be in [0, 86400]"),
        ({"min_stage_s": 60.0}, "outcome_window_s == 600.0, must be in [0, min_stage_s == 60.0]"),
        ({"conservative_loss": 1.0}, "conservative_loss == 1.0, must be in (0, 1) or absent"),
    ],
)
def test_rule_that_is_broken_is_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        RolloutSettings(**fields)  # type: ignore[arg-type]

    assert str(raised.value) == message


def test_unknown_metric_is_refused_with_the_list() -> None:
    with pytest.raises(
        InvalidInputError, match=r"guardrails\.speed is unknown, must be one of reward, completion, lat"
    ):
        RolloutSettings(guardrails={"speed": 0.1})


@pytest.mark.parametrize("text", [b'{"stages": [2]}', b'{"stage": [0.5]}', b'{"guardrails": {"speed": 0}}'])
def test_file_is_held_to_the_same_rules(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=RolloutSettings)


def test_stages_follow_one_another_from_any_share() -> None:
    settings = RolloutSettings()

    assert [settings.next_stage(share) for share in (0.0, 0.05, 0.07, 0.1, 0.5, 1.0)] == [
        0.05,
        0.1,
        0.1,
        0.25,
        1.0,
        None,
    ]


def test_every_field_has_its_reason() -> None:
    body = ast.parse(inspect.getsource(RolloutSettings)).body[0]
    assert isinstance(body, ast.ClassDef)
    for field, following in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign):
            assert isinstance(following, ast.Expr), ast.unparse(field)
