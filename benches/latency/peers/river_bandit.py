"""River: LinUCB with a model per module. Its contexts are mappings, which it turns into vectors at each call."""

from river.bandit import LinUCBDisjoint

from benches.latency.contender import Contender, Work
from benches.latency.world import World


def contenders(world: World) -> list[Contender]:
    """Return the one policy, trained."""
    policy = LinUCBDisjoint(alpha=1.0, seed=1)
    contexts = [dict(enumerate(context)) for context in world.contexts]
    for event in world.history:
        policy.update(world.names[event.module], contexts[event.context], event.utility)
    decisions = [(world.names, context) for context in contexts]
    outcomes = [(world.names[e.module], contexts[e.context], e.utility) for e in world.to_learn]
    return [Contender("River LinUCB", "LinUCB", "action", Work(policy.pull, decisions), Work(policy.update, outcomes))]
