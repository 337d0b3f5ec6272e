"""The share of units at every stage against the hash, and whether nothing at all is different at 0 %."""

import hashlib
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final

from benches.learning.figure import Figure
from benches.safety.adversarial import Ids
from benches.safety.oracle import broken_rules
from benches.safety.world import HostileModel, drawn_request, drawn_settings
from pilotfish.codes import Mode, Signal
from pilotfish.engine.baseline import choose_baseline
from pilotfish.engine.deciding import Decider, InForce
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.growth import Serving
from pilotfish.engine.health import Health
from pilotfish.exceptions import StateError
from pilotfish.experience.exposures import Exposure
from pilotfish.request import Module, Outcome, Request, Task
from pilotfish.safety.breakers import BreakerSettings
from pilotfish.safety.budgets import BudgetSettings
from pilotfish.safety.safeguards import Safeguards
from pilotfish.safety.settings import SafetySettings

CAMPAIGN: Final = "share"
STAGES: Final = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)
UNITS: Final = 200_000
REQUESTS: Final = 20_000
PER_WORLD: Final = 500
SALT: Final = b"campaign"
CONFIDENCE: Final = 0.999

Part = tuple[str, float, int]
"""What is played, the stage, and the number of units or requests."""


def place(unit: str) -> float:
    """Return a unit's place in [0, 1) as documented: 53 bits of BLAKE2b-64, keyed by the salt."""
    digest = hashlib.blake2b(unit.encode(), digest_size=8, key=SALT).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def limits(n: int, share: float) -> tuple[float, float]:
    """Return between which counts n draws of a share lie with probability `CONFIDENCE`.

    By the normal distribution, whose error is far below one unit at these n; at 0 and 1 there is one count.
    """
    half = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2.0) * (n * share * (1.0 - share)) ** 0.5
    return n * share - half, n * share + half


def stage(share: float, n: int) -> dict[str, Any]:
    """Ask for every unit at a stage.

    Returns:
        Units on the policy's side, units that differ from the hash, and a digest of who is on the policy's side.
    """
    rng = random.Random(1)
    model = Serving(HostileModel(rng, "policy", 0.0), 1, 0)  # type: ignore[arg-type]
    decider = Decider(
        in_force=InForce(Exposure(mode=Mode.ROLLOUT, rollout_share=share), model, model, None),
        log=Ids(rng),  # type: ignore[arg-type]
        health=Health(),
        safeguards=Safeguards(SafetySettings()),
        constraints_number=0,
        default_weights=(1.0,) * len(Signal),
        salt=SALT,
        live_reward=False,
        decide_budget_s=0.001,
        counters=Counter(),
    )
    task, modules = Task("scan"), (Module("m0"), Module("m1"))
    treated, wrong, left = 0, 0, 0
    below = max((other for other in STAGES if other < share), default=0.0)
    for i in range(n):
        unit = f"unit-{i}"
        record = decider.choose(Request(task, modules, baseline_module="m0", unit_id=unit)).record
        at = place(unit)
        treated += record.in_policy_share
        wrong += record.in_policy_share is not (at < share)
        # Who was on the policy's side at the stage before, by the hash, which that stage was compared with.
        left += at < below and not record.in_policy_share
    return {"units": n, "treated": treated, "wrong": wrong, "left": left}


def _requests(rng: random.Random, n: int) -> Iterator[tuple[SafetySettings, Request]]:
    """Yield requests in worlds whose constraints are drawn; what depends on the moment is off."""
    for _ in range(n):
        drawn = drawn_settings(rng)
        kept = {name: getattr(drawn, name) for name in SafetySettings.__struct_fields__}
        kept |= {"breakers": BreakerSettings(enabled=False), "budgets": BudgetSettings(), "risk_cap": None}
        yield SafetySettings(**kept | {"safe_default": ""}), drawn_request(rng)


def baseline(mode: Mode, n: int, seed: int) -> dict[str, Any]:
    """Serve requests at 0 % or off, and choose for them by the plain function on a legal set of our own."""
    rng = random.Random(seed)
    served, chosen, uncertain = bytearray(), bytearray(), 0
    for first in range(0, n, PER_WORLD):
        safety = next(_requests(rng, 1))[0]
        settings = EngineSettings(mode=mode, rollout_share=0.0, growth="off", id_seed=f"{seed}-{first}", safety=safety)
        with tempfile.TemporaryDirectory() as directory:
            engine = Engine(Path(directory), settings)
            try:
                for _ in range(min(PER_WORLD, n - first)):
                    asked = drawn_request(rng)
                    legal = tuple(i for i, m in enumerate(asked.candidates) if not any(broken_rules(safety, asked, m)))
                    name = ""
                    if legal:
                        # The same health: what is compared is who is asked, and not what is known.
                        name = asked.candidates[choose_baseline(asked, legal, engine._learner.health)[0]].name  # noqa: SLF001
                    chosen += name.encode() + b"\n"
                    try:
                        decision = engine.decide(asked)
                    except StateError:
                        served += b"\n"
                        continue
                    served += decision.module.encode() + b"\n"
                    uncertain += decision.propensity != 1.0
                    signals: dict[int, float] = {
                        Signal.COMPLETION: float(rng.random() < 0.8),
                        Signal.LATENCY_MS: rng.uniform(1.0, 2e3),
                    }
                    engine.record_outcome(Outcome(signals, decision_id=decision.decision_id))
            finally:
                engine.close()
    digests = [hashlib.sha256(names).hexdigest() for names in (served, chosen)]
    differ = sum(one != other for one, other in zip(served.split(b"\n"), chosen.split(b"\n"), strict=True))
    return {"requests": n, "differ": differ, "uncertain": uncertain, "same_bytes": digests[0] == digests[1]}


def parts(scale: float) -> list[Part]:
    """Return the stages, and the ways of giving the policy nothing."""
    units, requests = max(100, round(UNITS * scale)), max(100, round(REQUESTS * scale))
    ways = ("0 %", "off", "shadow")
    return [*(("stage", share, units) for share in STAGES), *((way, 0.0, requests) for way in ways)]


def campaign(part: Part) -> dict[str, Any]:
    """Play one part."""
    what, share, n = part
    if what == "stage":
        return {"what": what, "share": share, **stage(share, n)}
    mode = {"0 %": Mode.ROLLOUT, "off": Mode.OFF, "shadow": Mode.SHADOW}[what]
    return {"what": what, **baseline(mode, n, seed=int(mode))}


def figures(results: Sequence[dict[str, Any]]) -> list[Figure]:
    """Return the rows of the table."""
    stages = [result for result in results if result["what"] == "stage"]
    plain = [result for result in results if result["what"] != "stage"]
    rows = []
    outside = 0
    for result in stages:
        low, high = limits(result["units"], result["share"])
        outside += not low <= result["treated"] <= high
        rows.append(
            Figure(
                *(CAMPAIGN, f"observed at {result['share']:.0%}", result["treated"] / result["units"]),
                detail=f"{result['treated']:,} of {result['units']:,}, 99.9 % limits {low:,.0f} to {high:,.0f}",
            )
        )
    ways = ", ".join(f"{result['what']}: {result['requests']:,} requests" for result in plain)
    return [
        *rows,
        Figure(CAMPAIGN, "stages outside the limits", outside, None, "<=", 0.0),
        Figure(CAMPAIGN, "units against the hash", sum(each["wrong"] for each in stages), None, "<=", 0.0),
        Figure(CAMPAIGN, "units that left as the share grew", sum(each["left"] for each in stages), None, "<=", 0.0),
        Figure(
            CAMPAIGN, "served otherwise than by the baseline", sum(r["differ"] for r in plain), None, "<=", 0.0, ways
        ),
        Figure(CAMPAIGN, "of them without certainty", sum(r["uncertain"] for r in plain), None, "<=", 0.0),
    ]
