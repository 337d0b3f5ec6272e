"""The model's frozen specification: what a model version is named after.

The defaults were chosen once, by measurement on several real tables (`docs/adr/0005-default-policy.md`).
"""

from typing import Any, Final

import msgspec

from pilotfish.rewards import SIGNAL_NAMES, RewardFunction

DEFAULT_ENCODER: Final[dict[str, Any]] = {
    "declared": [],
    "declared_scale": 1.0,
    "random_dims": 0,
    "random_length": 1.0,
    "random_scale": 1.0,
    "hashed_dims": 32,
    "text_dims": 31,
    "text_scale": 0.15,
    "shared_dims": 48,
    "shared_task": True,
}
DEFAULT_LEARNER: Final[dict[str, Any]] = {
    "module_precision": 4.0,
    "shared_precision": 1.0,
    "noise_variance": 0.25,
    "noise_count": 10.0,
}
DEFAULT_EXPLORER: Final[dict[str, Any]] = {
    "kind": "information_ratio",
    "scale": 1.0,
    "anneal_count": 100.0,
    "floor": 0.01,
}


def model_specification(
    rewards: RewardFunction,
    encoder: dict[str, Any] | None = None,
    learner: dict[str, Any] | None = None,
    explorer: dict[str, Any] | None = None,
) -> bytes:
    """Return the specification as canonical JSON.

    Args:
        rewards: Fixes what the heads learn.
        encoder: Keys that replace the default encoder's.
        learner: Keys that replace the default learner's.
        explorer: The whole explorer, or None for the default.
    """
    return msgspec.json.encode(
        {
            "encoder": {**DEFAULT_ENCODER, **(encoder or {})},
            "learner": {**DEFAULT_LEARNER, **(learner or {}), "signals": SIGNAL_NAMES},
            "explorer": explorer or DEFAULT_EXPLORER,
            "rewards": rewards.specification(),
        },
        order="sorted",
    )
