"""MABWiser: LinGreedy, LinUCB and LinTS. It keeps the inverse and inverts anew at each learn."""

import numpy as np
from mabwiser.mab import MAB, LearningPolicy

from benches.latency.contender import Contender, Work
from benches.latency.world import World

POLICIES = {
    "MABWiser LinGreedy": ("ε-greedy", LearningPolicy.LinGreedy(epsilon=0.05)),
    "MABWiser LinUCB": ("LinUCB", LearningPolicy.LinUCB(alpha=1.0)),
    "MABWiser LinTS": ("LinTS", LearningPolicy.LinTS(alpha=1.0)),
}


def contenders(world: World) -> list[Contender]:
    """Return the three policies, fitted on the history at once."""
    rows = [np.array(context)[np.newaxis] for context in world.contexts]
    modules = [world.names[event.module] for event in world.history]
    utilities = [event.utility for event in world.history]
    contexts = np.concatenate([rows[event.context] for event in world.history])
    outcomes = [([world.names[e.module]], [e.utility], rows[e.context]) for e in world.to_learn]
    ready = []
    for name, (family, policy) in POLICIES.items():
        bandit = MAB(arms=world.names, learning_policy=policy, seed=1)
        bandit.fit(modules, utilities, contexts)
        decide = Work(bandit.predict, [(row,) for row in rows])
        ready.append(Contender(name, family, "action", decide, Work(bandit.partial_fit, outcomes)))
    return ready
