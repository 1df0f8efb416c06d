"""The latest facts of a log, as this process told or read them: who follows it here need not ask for them again."""

from collections.abc import Sequence
from itertools import takewhile

from orderhouse.kernel.events import Fact


class Recent:
    """Some facts of one log by their positions. Facts never change, so whoever knows one may tell it."""

    MOST = 4000
    """How many are remembered: followers rest, and are not far from each other."""

    def __init__(self) -> None:
        """Remember none."""
        self._facts: dict[int, Fact] = {}
        self._latest = 0
        self._forgotten = 0

    def behind(self, after: int, limit: int) -> list[Fact]:
        """Return up to `limit` facts behind position `after`, in order, up to the first that is not here."""
        known = self._facts
        return [known[position] for position in takewhile(known.__contains__, range(after + 1, after + limit + 1))]

    def add(self, facts: Sequence[Fact]) -> None:
        """Remember `facts`, in whatever order they come; those that are too old by now are left out."""
        self._latest = max(self._latest, facts[-1].position)
        least = self._latest - self.MOST
        self._facts |= {fact.position: fact for fact in facts if fact.position > least}
        if least - self._forgotten > len(self._facts):
            self._facts = {position: fact for position, fact in self._facts.items() if position > least}
        else:
            for position in range(self._forgotten + 1, least + 1):
                self._facts.pop(position, None)
        self._forgotten = max(self._forgotten, least)
