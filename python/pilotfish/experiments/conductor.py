"""Conducts the rollout of an engine: follows decisions and outcomes, judges the stage, and changes what is in force."""

import logging
import sqlite3
import threading
from typing import Any, Final

import msgspec

from pilotfish.codes import Mode
from pilotfish.engine.engine import Engine
from pilotfish.exceptions import ConflictError, InvalidInputError, PilotfishError, StateError
from pilotfish.experience.exposures import LIVE, Exposure
from pilotfish.experience.log import now_us
from pilotfish.experiments.evidence import Evidence
from pilotfish.experiments.following import Following
from pilotfish.experiments.rollout import AUTOMATIC, Action, Kind, RolloutState, promote, restart, step
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.experiments.verdict import Verdict
from pilotfish.rewards import RewardFunction
from pilotfish.training.entry import SnapshotInfo
from pilotfish.training.registry import Registry

KEEP_EVERY_US: Final = 86_400 * 1_000_000
"""The live model is kept when another is born, before each promotion, and once a day."""
INTERVAL_S: Final = 0.25
"""Time between two looks at the evidence: with `settle_s`, what a breach may last once it shows."""

logger = logging.getLogger(__name__)


class Conductor:
    """Follows one engine. Thread-safe; `tick` may be called by hand instead of `start`, as simulations do.

    Args:
        engine: What is conducted.
        settings: The plan.
        rewards: From raw values to utilities.
        registry: Where versions are kept.
    """

    def __init__(self, engine: Engine, settings: RolloutSettings, rewards: RewardFunction, registry: Registry) -> None:
        self.engine = engine
        self.settings = settings
        self.following = Following(engine, settings, rewards)
        self._registry = registry
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pilotfish-conductor", daemon=True)
        self._changes = engine.counters["change", 0]
        self._kept_birth, self._kept_us = engine.serves.live.birth, now_us()

    def start(self) -> None:
        """Look at the evidence now and then, on a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    # -- judging ---------------------------------------------------------------------------------------------------

    def verdict(self) -> tuple[Exposure, Verdict, Evidence]:
        """Return what is in force, what its stage has shown, and the evidence, not to be changed."""
        return self.following.judged()

    def tick(self) -> Exposure | None:
        """Look at the evidence; return what is in force if that changed it.

        Raises:
            StateError: Somebody has changed what is in force meanwhile; that stands.
            sqlite3.Error: The log cannot be written; nothing has changed, and the next look tries again.
        """
        self.following.recall(self._stopping)
        changed = self._judge()
        self._keep_now_and_then()  # last: a slow disk must not hold up a rollback
        return changed

    def _judge(self) -> Exposure | None:
        exposure, verdict, _ = self.verdict()
        if exposure.mode is not Mode.ROLLOUT:
            return None
        if (changes := self.engine.counters["change", 0]) != self._changes:
            # What the stage has shown is of a world that has passed: a mean over both would hide what holds now.
            self._changes = changes
            reason = "the world has changed, and the live model was born again"
            return self._act(exposure, restart(_state(exposure), actor=AUTOMATIC, reason=reason, now_us=now_us()))
        action = step(_state(exposure), verdict, self.settings, now_us())
        if action is None:
            return None
        return self._act(exposure, action)

    def _act(self, exposure: Exposure, action: Action) -> Exposure:
        """Put an action in force unless somebody was faster."""
        if action.kind is Kind.PROMOTE:
            self._keep(f"before {action.to_share:g}", action.actor)
        changed = self.engine.helm.change(
            str(action.kind),
            action.actor,
            _on_record(action.reason, forced=action.forced),
            if_number=exposure.number,
            evidence=msgspec.json.encode(action.evidence).decode() if action.evidence else "",
            mode=Mode.ROLLOUT,
            rollout_share=action.to_share,
            held=exposure.held or action.kind is Kind.ROLLBACK,
            begins_stage=action.kind is Kind.RESTART,
        )
        logger.warning(
            "%s: the policy's share is %g, was %g: %s",
            *(action.kind, action.to_share, action.from_share, action.reason),
        )
        return changed

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.tick()
            except (PilotfishError, sqlite3.Error, OSError) as error:
                logger.warning("the rollout stays as it is, will look again: %s", error)
            except Exception:
                logger.exception("the rollout stays as it is, will look again")
            self._stopping.wait(INTERVAL_S)

    # -- operators -------------------------------------------------------------------------------------------------

    def promote(
        self, actor: str, reason: str, *, version: str = "", share: float | None = None, force: bool = False
    ) -> Exposure:
        """Raise exposure by one stage, or begin the rollout of another policy.

        Args:
            actor: Who.
            reason: Why.
            version: `live`, or a kept version by its SHA-256 or the beginning of it; empty: the present policy.
            share: Where to begin or go on, (0, 1], with `force` only; None: the next stage, or the first.
            force: Past the gate.

        Raises:
            StateError: The gate holds; the message says why.
            PilotfishError: There is no such version, it is refused, or an argument breaks its rule.
        """
        exposure, verdict, _ = self.verdict()
        state = _state(exposure)
        if not version:
            try:
                action = promote(
                    *(state, verdict, self.settings),
                    actor=actor,
                    reason=reason,
                    now_us=now_us(),
                    to_share=share,
                    force=force,
                )
                return self._act(exposure, action)
            except StateError as error:  # the gate holds, or what was in force has changed since it was looked at
                raise _refused(str(error)) from error
        policy = self._named(version)
        if policy == (exposure.policy or LIVE):
            raise _refused(f"version == {version}, is the policy already; promote without a version")
        control = (exposure.policy or LIVE) if state.share >= 1.0 else exposure.control
        if policy == control:
            raise _refused(f"version == {version}, is the control already; roll back instead")
        to_share = self.settings.stages[0] if share is None else share
        if to_share > self.settings.stages[0] and not force:
            raise _refused(f"rollout_share == {to_share:g}, must be {self.settings.stages[0]:g} unless forced")
        return self.engine.helm.change(
            str(Kind.PROMOTE),
            actor,
            _on_record(reason, forced=force),
            mode=Mode.ROLLOUT,
            rollout_share=to_share,
            policy="" if policy == LIVE else policy,
            control=control,
            held=False,
        )

    def rollback(self, actor: str, reason: str, *, version: str = "") -> Exposure:
        """Take exposure away, or put a kept version in the policy's place; from the next decision on.

        Raises:
            PilotfishError: There is no such version, or it is refused; nothing has changed.
        """
        exposure = self.engine.exposure
        fields: dict[str, Any] = {"held": True}
        if version:
            policy = self._named(version)
            fields["policy"] = "" if policy == LIVE else policy
        elif exposure.share > 0.0:
            fields |= {"mode": Mode.ROLLOUT, "rollout_share": 0.0}
        return self.engine.helm.change(str(Kind.ROLLBACK), actor, reason, **fields)

    def hold(self, actor: str, reason: str, *, hold: bool) -> Exposure:
        """Stop the automatic promotion, or let it go on."""
        kind = Kind.HOLD if hold else Kind.RESUME
        return self.engine.helm.change(str(kind), actor, reason, held=hold)

    def pause_learning(self, actor: str, reason: str, *, pause: bool) -> Exposure:
        """Pause learning, or let it go on."""
        action = "pause_learning" if pause else "resume_learning"
        return self.engine.helm.change(action, actor, reason, paused=pause)

    def keep(self, note: str, actor: str) -> SnapshotInfo:
        """Keep the live model as it is now, and let go of versions that are too many and too old.

        Raises:
            PilotfishError: A text breaks its rule.
            OSError: The disk refuses; what was kept stays.
        """
        live, exposure = self.engine.serves.live, self.engine.exposure
        info = self._registry.keep(live.model.frozen(), birth=live.birth, note=note, actor=actor, now_us=now_us())
        pinned = {name for name in (info.sha256, exposure.policy, exposure.control) if name not in {"", LIVE}}
        self._registry.prune(pinned, now_us())
        return info

    def _keep_now_and_then(self) -> None:
        birth = self.engine.serves.live.birth
        if birth == self._kept_birth and now_us() - self._kept_us < KEEP_EVERY_US:
            return
        self._kept_birth, self._kept_us = birth, now_us()
        self._keep("a birth" if birth else "a day", AUTOMATIC)

    def _named(self, version: str) -> str:
        if version == LIVE:
            return LIVE
        try:
            return self._registry.load(version).info.sha256
        except ConflictError as error:  # a prefix of several
            raise InvalidInputError(str(error), reason="MALFORMED_ID", metadata={"field": "policy_version"}) from error

    def _keep(self, note: str, actor: str) -> None:
        # So that there is something to go back to; never in the way of what is done.
        try:
            self.keep(note, actor)
        except (PilotfishError, OSError) as error:
            logger.warning("the live model was not kept: %s", error)


def _on_record(reason: str, *, forced: bool) -> str:
    return f"{reason} (forced)".lstrip() if forced else reason


def _refused(why: str) -> StateError:
    return StateError(why, reason="PROMOTION_REFUSED", metadata={"rule": why})


def _state(exposure: Exposure) -> RolloutState:
    return RolloutState(exposure.share, exposure.stage, exposure.held, exposure.time_us)
