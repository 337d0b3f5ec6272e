"""Damaged and forged model files at every door: is one ever let in, and does the last good one serve on?

The mutations are those of the registry's tests (`tests/unit/training/forgeries.py`): truncated, flipped, appended to,
of another format, forged under good checksums with numbers that no data could leave, matrices that are not positive
semi-definite, parts that do not fit, and specifications of another meaning.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benches.learning.figure import Figure
from pilotfish.codes import Mode
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.helm import Kept
from pilotfish.exceptions import PilotfishError
from pilotfish.request import Module, Request, Task
from pilotfish.training.registry import Registry
from pilotfish.training.snapshot import HEADER_BYTES, seal
from tests.unit.training.forgeries import all_snapshots, forged_bodies, forged_numbers, random_damage
from tests.unit.training.forging import learned

CAMPAIGN: Final = "models"
LEAST: Final = 500
DIGEST: Final = slice(10, HEADER_BYTES)
"""Where a file's header claims what the SHA-256 of its body is."""

MODULES: Final = tuple(Module(f"module {i}", {"speed": i / 2.0}, ("pdf",)) for i in range(4))

Answers = list[tuple[str, float, bytes, bytes]]


def mutations() -> Iterator[tuple[str, bytes]]:
    """Yield the content of every bad file, with its kind."""
    yield from (("damaged", content) for content in random_damage())
    yield from (("body forged", content) for _, content in forged_bodies())
    yield from (("number forged", seal(snapshot)[1]) for _, snapshot in forged_numbers())
    yield from (("part forged", seal(snapshot)[1]) for _, snapshot in all_snapshots())


def answers(engine: Engine, seed: int = 0) -> Answers:
    """Return what the pinned version makes of 20 tasks; the ids are our own, so that draws repeat."""
    policy = engine.serves.policy
    if policy is None:
        return []
    modules = [(module.name, module.features, module.capabilities) for module in MODULES]
    weights = (1.0,) * policy.model.n_signals
    made: Answers = []
    for i in range(20):
        choice = policy.model.decide(bytes([seed + i] * 16), {"pages": i / 3.0}, "tables", modules, weights)
        made.append((MODULES[choice.index].name, choice.propensity, choice.pmf, choice.scores))
    return made


def parts(scale: float) -> list[int]:
    """Return of how many mutations one is tried; all of them at scale 1."""
    return [max(1, round(1.0 / scale))]


def campaign(every: int) -> dict[str, Any]:
    """Offer the bad files to a registry, and to an engine that has a good version pinned.

    Returns:
        Counts of files by kind, of those that a door let in, and of looks at which the pinned version answered
        otherwise than before.
    """
    kinds: Counter[str] = Counter()
    let_in: Counter[str] = Counter()
    changed = 0
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        registry = Registry(folder / "registry")
        good = registry.keep(learned(), birth=0, note="good", actor="bench", now_us=1)

        def load(sha256: str) -> Kept:
            loaded = registry.load(sha256)
            return Kept(loaded.model, loaded.info.birth)

        settings = EngineSettings(mode=Mode.ON, growth="off")
        engine = Engine(folder / "state", settings, load_kept=load)
        try:
            engine.helm.change("promote", "bench", "to be pinned", policy=good.sha256)
            first = answers(engine)
            for number, (kind, content) in enumerate(mutations()):
                if number % every:
                    continue
                kinds[kind] += 1
                before = engine.exposure
                for door in _doors_let_in(engine, registry, folder, content, good.sha256):
                    let_in[f"{kind}: {door}"] += 1
                served = engine.decide(Request(Task("scan"), MODULES))
                still = engine.exposure == before and served.model_version == good.model_version
                changed += not (still and answers(engine) == first)
            names = [info.sha256 for info in registry.list()]
            changed += names != [good.sha256]
        finally:
            engine.close()
        again = _after_damage(folder, settings, load, good.sha256)
    return {
        "kinds": dict(kinds),
        "let_in": dict(let_in),
        "changed": changed,
        "answered_after_damage": again,
    }


def _doors_let_in(engine: Engine, registry: Registry, folder: Path, content: bytes, good: str) -> Iterator[str]:
    """Offer one bad file everywhere and yield each door that let it in."""
    outside = folder / "file"
    outside.write_bytes(content)
    try:
        registry.add_file(outside, now_us=2)
        yield "add_file"
    except PilotfishError:
        pass
    claimed = content[DIGEST].hex()
    if len(claimed) != len(good) or claimed == good:  # too short to claim a name, or that of the good one
        return
    # As if it had come into the directory itself, under the name that its header claims.
    planted = folder / "registry" / f"{2:010d}-{2:018d}-{claimed}.snapshot"
    planted.write_bytes(content)
    try:
        registry.load(claimed)
        yield "load"
    except PilotfishError:
        pass
    try:
        engine.helm.change("promote", "bench", "a bad file", policy=claimed)
        yield "helm"
        engine.helm.change("rollback", "bench", "back", policy=good)
    except PilotfishError:
        pass
    planted.unlink()


def _after_damage(folder: Path, settings: EngineSettings, load: Any, good: str) -> bool:  # noqa: ANN401  as Engine takes it
    """Damage the pinned file itself, open the engine anew, and return whether the ladder answers all the same."""
    (path,) = (folder / "registry").glob(f"*{good}.snapshot")
    path.write_bytes(path.read_bytes()[:-1])
    engine = Engine(folder / "state", settings, load_kept=load)
    try:
        decision = engine.decide(Request(Task("scan"), MODULES, baseline_module="module 2"))
        return engine.serves.policy is None and (decision.module, decision.propensity) == ("module 2", 1.0)
    finally:
        engine.close()


def figures(results: Sequence[dict[str, Any]]) -> list[Figure]:
    """Return the rows of the table."""
    (result,) = results
    kinds, let_in = result["kinds"], result["let_in"]
    n = sum(kinds.values())
    detail = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
    return [
        Figure(CAMPAIGN, "bad files", n, None, ">=", LEAST, detail),
        Figure(CAMPAIGN, "let in", sum(let_in.values()), None, "<=", 0.0, ", ".join(let_in)),
        Figure(CAMPAIGN, "times the last good one did not serve on alike", result["changed"], None, "<=", 0.0),
        Figure(CAMPAIGN, "answered after the pinned file was damaged", result["answered_after_damage"], None, ">=", 1),
    ]
