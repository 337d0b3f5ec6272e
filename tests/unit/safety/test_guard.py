import math

import pytest

from pilotfish.codes import Mode, Reason
from pilotfish.request import Module, Removal, Request, Task
from pilotfish.safety.constraints import Constraints
from pilotfish.safety.guard import fault_of_answer, fault_of_choice
from pilotfish.safety.legal_set import Asked, Legality


@pytest.mark.parametrize("pmf", [[1.0], [0.25] * 4, [0.0, 1.0], [0.1] * 10])
def test_sound_choice_passes(pmf: list[float]) -> None:
    assert fault_of_choice(pmf, len(pmf) - 1, len(pmf)) == ""


@pytest.mark.parametrize(
    ("pmf", "n_legal", "fault"),
    [
        ([0.5, 0.5], 3, "pmf has 2 entries for 3 legal modules"),
        ([-0.1, 1.1], 2, "pmf has a negative entry or NaN"),
        ([math.nan, 1.0], 2, "pmf has a negative entry or NaN"),
        ([1.0, math.nan], 2, "pmf sums to nan"),
        ([math.inf, 0.0], 2, "pmf sums to inf"),
        ([0.5, 0.4], 2, "pmf sums to 0.9"),
        ([0.5, 0.5 + 2e-9], 2, "pmf sums to 1.0000000020000002"),
        ([0.0, 0.0], 2, "pmf sums to 0.0"),
    ],
)
def test_unsound_pmf_is_named(pmf: list[float], n_legal: int, fault: str) -> None:
    assert fault_of_choice(pmf, 0, n_legal) == fault


REQUEST = Request(Task("t"), (Module("a"), Module("b"), Module("c")), denied_modules=("c",))
REMOVED = (Removal(2, int(Reason.DENIED)),)
NOW = Asked(Mode.ON, 0)


@pytest.mark.parametrize(
    ("served", "propensity", "fault"),
    [
        (3, 0.5, "candidate 3 does not exist"),
        (-1, 0.5, "candidate -1 does not exist"),
        (2, 0.5, "candidate 2 was removed"),
        (0, 0.0, "propensity is 0.0"),
        (0, -0.1, "propensity is -0.1"),
        (0, math.nan, "propensity is nan"),
        (0, 1.1, "propensity is 1.1"),
        (0, math.inf, "propensity is inf"),
    ],
)
def test_answer_that_is_illegal_or_without_propensity_is_named(served: int, propensity: float, fault: str) -> None:
    assert fault_of_answer(REQUEST, served, propensity, REMOVED, Legality(), NOW) == fault


def test_constraints_are_asked_again_and_not_the_legal_set_that_the_core_was_given() -> None:
    assert fault_of_answer(REQUEST, 2, 0.5, (), Legality(), NOW) == "DENIED"
    banned = Legality(Constraints(bans={"t": ("b",)}))
    assert fault_of_answer(REQUEST, 1, 0.5, (), banned, NOW) == "BANNED safety.bans"
    ruled = Legality(Constraints(rules={"no-b": 'module.name != "b"'}))
    assert fault_of_answer(REQUEST, 1, 0.5, (), ruled, NOW) == "RULE_VIOLATED no-b"
    assert fault_of_answer(REQUEST, 0, 0.5, (), ruled, NOW) == ""


def test_sound_answer_passes() -> None:
    assert fault_of_answer(REQUEST, 1, 1.0, REMOVED, Legality(), NOW) == ""
