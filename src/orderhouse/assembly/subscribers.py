"""Every reader of facts, as operators see them: how far each is, and what it has parked."""

from collections.abc import Sequence

from orderhouse.assembly.contexts import Contexts
from orderhouse.assembly.facts import REGISTRY
from orderhouse.auth.wiring import users_reader
from orderhouse.runtime.dead_letters import DeadLetters
from orderhouse.runtime.readers import Follower
from orderhouse.runtime.subscribers import ReaderUnknown, Subscriber
from orderhouse.runtime.transports.direct import DirectSource
from orderhouse.tasks.contract import DeadLetter
from orderhouse.tasks.wiring import REST_S as TASKS_REST_S


def kept_in_databases(contexts: Contexts) -> list[Subscriber]:
    """Return the readers whose effects are rows of their own context, each with what runs it."""
    followed = [
        (contexts.customers.database, contexts.orders.customer_reader(), 0.0),
        (contexts.users.database, contexts.orders.user_reader(), 0.0),
        (contexts.users.database, users_reader(contexts.auth), 0.0),
        (contexts.orders.database, contexts.tasks.order_reader(), TASKS_REST_S),
    ]
    return [
        Subscriber(log, REGISTRY.of(log.name), sink, Follower(DirectSource(log), sink, rest_s=rest_s))
        for log, sink, rest_s in followed
    ]


def named(contexts: Contexts, name: str) -> Subscriber:
    """Return one of them by its name; ReaderUnknown, which names those there are."""
    found = {one.name: one for one in kept_in_databases(contexts)}
    if name not in found:
        raise ReaderUnknown(f"Known: {', '.join(found)}.")
    return found[name]


def letters(contexts: Contexts) -> DeadLetters:
    """Return what all of them have parked."""
    return DeadLetters(kept_in_databases(contexts))


class LettersForTasks:
    """What is dead in the whole house, as tasks asks about it."""

    _MOST = 200

    def __init__(self, letters: DeadLetters) -> None:
        """Look at `letters`."""
        self._letters = letters

    async def dead(self) -> Sequence[DeadLetter]:
        """Return what there is now, the earliest first; of very many, the earliest."""
        found = await self._letters.page(state="dead", limit=self._MOST)
        return [DeadLetter(one.id, one.reader, one.parked_at) for one in found]
