"""State bytes: the same for the same fold, restored to the bit, refused when damaged."""

import pytest

from pilotfish._core import Model
from pilotfish.exceptions import InvalidInputError, StateError
from tests.unit.core.models import specification


def learned_model() -> Model:
    model = Model(specification())
    for step in range(60):
        model.learn(
            {"pages": step / 7, "type": "pdf"}, "words", (f"module {step % 4}", {}, ("a",)), step % 2, step % 3 / 2
        )
    return model


def test_same_fold_gives_the_same_bytes_and_restores_to_the_bit() -> None:
    state = learned_model().state()
    assert learned_model().state() == state
    restored = Model.from_state(state, specification())
    assert restored.state() == state
    assert restored.arrays() == learned_model().arrays()


def test_state_does_not_depend_on_which_module_was_learned_first() -> None:
    states = []
    for names in (("a", "b"), ("b", "a")):
        model = Model(specification())
        for name in names:
            model.learn({}, "", (name, {}, ()), 0, 1.0)
        states.append([key for key in model.arrays() if "/module/" in key])
    assert states[0] == states[1]


def test_five_hundred_damaged_states_are_refused() -> None:
    state = learned_model().state()
    for i in range(500):
        place = i * (len(state) - 1) // 499
        damaged = state[:place] + bytes([state[place] ^ (1 << i % 8)]) + state[place + 1 :]
        with pytest.raises(StateError):
            Model.from_state(damaged, specification())


def test_state_that_is_cut_short_says_so() -> None:
    state = learned_model().state()
    with pytest.raises(StateError, match=r"^state's checksum differs: the bytes are damaged or cut short$"):
        Model.from_state(state[:-1], specification())
    with pytest.raises(StateError, match=r"^state has 0 bytes, too few to be one$"):
        Model.from_state(b"", specification())


def test_state_of_another_specification_is_refused() -> None:
    with pytest.raises(
        StateError, match=r'^state\'s spec == \{.*"noise_count":10\.0.*, must be \{.*"noise_count":20\.0'
    ):
        Model.from_state(learned_model().state(), specification(noise_count=20))


def test_specification_that_breaks_a_rule_is_refused_before_the_state() -> None:
    with pytest.raises(InvalidInputError, match=r"^learner\.noise_count == -1, must be in "):
        Model.from_state(b"", specification(noise_count=-1))
