"""contextualbandits: LinUCB, and ε-greedy over its own linear regression; one job, because one thread is timed."""

import numpy as np
from contextualbandits.linreg import LinearRegression
from contextualbandits.online import EpsilonGreedy, LinUCB

from benches.latency.contender import Contender, Work
from benches.latency.world import World


def contenders(world: World) -> list[Contender]:
    """Return both policies, fitted on the history at once."""
    n = world.n_modules
    policies = {
        "LinUCB": LinUCB(nchoices=n, alpha=1.0, fit_intercept=False, random_state=1, njobs=1),
        "ε-greedy": EpsilonGreedy(
            LinearRegression(lambda_=1.0, fit_intercept=False),
            nchoices=n,
            explore_prob=0.05,
            decay=None,
            beta_prior=None,
            batch_train=True,
            random_state=1,
            njobs=1,
        ),
    }
    rows = [np.array(context)[np.newaxis] for context in world.contexts]
    contexts = np.concatenate([rows[event.context] for event in world.history])
    modules = np.array([event.module for event in world.history])
    utilities = np.array([event.utility for event in world.history])
    outcomes = [(rows[e.context], np.array([e.module]), np.array([e.utility])) for e in world.to_learn]
    ready = []
    for family, policy in policies.items():
        policy.partial_fit(contexts, modules, utilities)
        decide = Work(policy.predict, [(row,) for row in rows])
        ready.append(
            Contender(f"contextualbandits {family}", family, "action", decide, Work(policy.partial_fit, outcomes))
        )
    return ready
