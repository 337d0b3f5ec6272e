"""The synthetic streams are what their docstrings say, and permutations hide what they must."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from benches.quality import synthetic
from benches.quality.recorded import Recorded, permuted
from benches.quality.stream import Step, Stream, generator, shortened

N = 400


def small(name: str, n: int = N, seed: int = 1) -> Stream:
    draw, _ = synthetic.WORLDS[name]
    return synthetic.stream(draw(generator(seed, name), n))


@pytest.mark.parametrize("name", synthetic.WORLDS)
def test_means_and_rewards_are_in_range_and_no_module_is_best_everywhere(name: str) -> None:
    steps = list(small(name).steps())

    assert len(steps) == N
    for step in steps:
        assert step.rewards.shape == step.expected.shape == (len(step.round.arms),)
        assert 0.0 <= step.expected.min() <= step.expected.max() <= 1.0
        assert 0.0 <= step.rewards.min() <= step.rewards.max() <= 1.0
    assert len({step.round.arms[int(step.expected.argmax())].name for step in steps}) > 1


@pytest.mark.parametrize("name", synthetic.WORLDS)
def test_rewards_have_the_stated_means(name: str) -> None:
    world = synthetic.WORLDS[name][0](generator(2, name), 2_000)
    errors = world.rewards - world.expected

    # Rewards in [0, 1] have a variance of 1/4 at most; 6 standard errors.
    assert abs(errors.mean()) < 6 * 0.5 / np.sqrt(errors.size)


@pytest.mark.parametrize("name", synthetic.WORLDS)
def test_a_stream_plays_the_same_rounds_again(name: str) -> None:
    stream = small(name, 50)
    first, second = list(stream.steps()), list(stream.steps())

    assert [step.round for step in first] == [step.round for step in second]
    assert all(np.array_equal(a.rewards, b.rewards) for a, b in zip(first, second, strict=True))


def test_another_permutation_is_another_world_and_the_same_names_give_the_same_numbers() -> None:
    assert generator(0, "a", 1).random() == generator(0, "a", 1).random()
    assert len({generator(*key).random() for key in ((0, "a", 1), (0, "a", 2), (0, "b", 1), (1, "a", 1))}) == 4


def test_the_right_module_of_exclusive_or_is_worth_half_more() -> None:
    world = synthetic.exclusive_or(generator(1), 100)
    for row in range(100):
        x = world.features(row)
        right = 2 * ((float(x["x0"]) > 0) ^ (float(x["x1"]) > 0)) + (float(x["x2"]) > 0)
        assert world.expected[row, right] == 0.8
        assert sorted(world.expected[row]) == [0.3, 0.3, 0.3, 0.8]


def test_after_the_abrupt_change_each_module_has_the_weights_of_the_one_before() -> None:
    rng, twin = generator(5), generator(5)
    expected = synthetic.abrupt_change(rng, 10).expected
    x, w = twin.normal(size=(10, 10)), twin.normal(size=(5, 10)) * np.sqrt(0.4)
    by_hand = 1.0 / (1.0 + np.exp(-x @ w.T))

    assert expected[4] == pytest.approx(by_hand[4])
    assert expected[5] == pytest.approx(by_hand[5][[4, 0, 1, 2, 3]])


def test_new_actions_come_half_way() -> None:
    assert [len(step.round.arms) for step in small("new_actions", 6).steps()] == [4, 4, 4, 8, 8, 8]


def test_the_hubs_optimum_is_the_published_one() -> None:
    steps = list(small("hub_modules", 3_000).steps())
    best = {str(step.round.features["document"]): step.expected.max() for step in steps}

    assert best == {"pdf": 0.937, "docx": 0.466, "txt": 0.519}
    assert sum(best.values()) / 3 == pytest.approx(0.641, abs=1e-3)


def test_streams_with_changing_or_described_modules_are_not_for_peers_with_fixed_actions() -> None:
    assert {name for name in synthetic.WORLDS if not small(name, 4).fixed_arms} == {"many_actions", "new_actions"}


def test_a_shortened_stream_is_the_beginning_of_the_whole() -> None:
    stream = small("hub_modules", 20)
    short = shortened(stream, 7)

    assert short.length == 7
    assert [step.round for step in short.steps()] == [step.round for step in islice(stream.steps(), 7)]
    assert shortened(stream, 20) is stream
    assert shortened(stream, None) is stream


TABLE = Recorded([{"row": float(row)} for row in range(5)], np.arange(15.0).reshape(5, 3) / 15, {})


def value_by_name(step: Step) -> dict[str, float]:
    return dict(zip((arm.name for arm in step.round.arms), step.rewards.tolist(), strict=True))


def test_a_permutation_passes_each_row_once_and_keeps_a_module_its_name() -> None:
    steps = list(permuted(TABLE, generator(3)).steps())
    rows = [int(float(step.round.features["row"])) for step in steps]

    assert sorted(rows) == [0, 1, 2, 3, 4]
    by_name = [value_by_name(step) for step in steps]
    column = {name: round(value * 15) % 3 for name, value in by_name[0].items()}
    assert all(column == {name: round(value * 15) % 3 for name, value in named.items()} for named in by_name)


def test_neither_name_nor_place_tells_which_module_it_is() -> None:
    first = Counter[int]()
    named = Counter[int]()
    for seed in range(300):
        step = next(permuted(TABLE, generator(seed)).steps())
        first[round(step.rewards[0] * 15) % 3] += 1
        named[round(value_by_name(step)["module-000"] * 15) % 3] += 1

    # 300 draws of probability 1/3: mean 100, standard deviation 8.2.
    assert all(60 < count < 140 for count in (*first.values(), *named.values()))


def test_a_longer_stream_passes_a_table_again_in_another_order() -> None:
    rows = [step.round.features["row"] for step in permuted(TABLE, generator(3), length=12).steps()]

    assert len(rows) == 12
    assert sorted(rows[:5]) == sorted(rows[5:10]) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert rows[:5] != rows[5:10]
