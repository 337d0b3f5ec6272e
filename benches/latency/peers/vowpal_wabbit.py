"""Vowpal Wabbit: ε-greedy and SquareCB, with examples parsed beforehand and with text, as a service would send it.

`--cb_explore K` and not the ADF form: the modules have no features of their own here, and it is the faster of the two.
"""

from array import array
from collections.abc import Callable, Sequence
from typing import Any

from vowpalwabbit import Workspace

from benches.latency.contender import Contender, Work
from benches.latency.world import World

RULES = {"ε-greedy": "--epsilon 0.05", "SquareCB": "--squarecb"}


def features(context: "array[float]") -> str:
    """Return a context as VW's text, without its bias: VW adds one."""
    return "|x " + " ".join(f"{place}:{value:.9g}" for place, value in enumerate(context[1:]))


def labelled(world: World, module: int, utility: float, context: int) -> str:
    """Return an outcome as text: action (from 1), cost 1 − utility, probability."""
    return f"{module + 1}:{1.0 - utility}:{1.0 / world.n_modules:.6g} {features(world.contexts[context])}"


def contenders(world: World) -> list[Contender]:
    """Return both rules, parsed and as text; the two ways have a workspace each."""
    contexts = [features(context) for context in world.contexts]
    outcomes = [labelled(world, e.module, e.utility, e.context) for e in world.to_learn]

    def make(family: str, way: str, convert: Callable[[Workspace, str], Any]) -> Contender:
        workspace = Workspace(f"--cb_explore {world.n_modules} {RULES[family]} --quiet")
        for event in world.history:
            workspace.learn(labelled(world, event.module, event.utility, event.context))
        assert len(workspace.predict(contexts[0])) == world.n_modules

        def work(function: Callable[[Any], Any], texts: Sequence[str]) -> Work:
            return Work(function, [(convert(workspace, text),) for text in texts])

        decide, learn = work(workspace.predict, contexts), work(workspace.learn, outcomes)
        return Contender(f"VW {family} ({way})", family, "pmf", decide, learn)

    return [
        make(family, way, convert)
        for family in RULES
        for way, convert in (("parsed", Workspace.parse), ("text", lambda _, text: text))
    ]
