"""Compiles `lin_ucb.c` for this machine and offers it as contenders: the floors that no library can go far below."""

import importlib.util
import subprocess
import sysconfig
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

from benches.latency.contender import Contender, Work
from benches.latency.families import FLOOR, MEANS_FLOOR
from benches.latency.numpy_linear import WIDTH, trained
from benches.latency.world import World

SOURCE = Path(__file__).with_name("lin_ucb.c")
FLAGS = ("-std=gnu11", "-O3", "-march=native", "-ffast-math", "-shared", "-fPIC")


@cache
def compiled() -> ModuleType:
    """Return the extension, compiled into a temporary folder; the loaded library outlives its file."""
    include = sysconfig.get_path("include")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "lin_ucb.so"
        subprocess.run(["cc", *FLAGS, f"-I{include}", str(SOURCE), "-o", str(library), "-lm"], check=True)
        spec = importlib.util.spec_from_file_location("lin_ucb", library)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def contenders(world: World) -> list[Contender]:
    """Return the floors, trained; fails if their bounds and their choice are not those of the NumPy reference."""
    floor, reference = compiled(), trained(world)
    model = floor.make(world.n_modules, world.n_features)
    for event in world.history:
        floor.learn(model, world.contexts[event.context], event.module, event.utility)
    means, deviations = reference.moments(np.array(world.contexts[0]))
    assert floor.greedy(model, world.contexts[0]) == means.argmax()
    np.testing.assert_allclose(
        floor.bounds(model, world.contexts[0]), means + WIDTH * deviations, rtol=1e-8, atol=1e-10
    )
    outcomes = [(model, world.contexts[event.context], event.module, event.utility) for event in world.to_learn]
    decisions = [(model, context) for context in world.contexts]
    learn = Work(floor.learn, outcomes)
    return [
        Contender(FLOOR, "LinUCB", "action", Work(floor.decide, decisions), learn),
        Contender(MEANS_FLOOR, "ε-greedy", "action", Work(floor.greedy, decisions), learn),
    ]
