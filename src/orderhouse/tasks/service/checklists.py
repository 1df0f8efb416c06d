"""What may be done with checklists."""

from orderhouse.kernel.events import NewFact
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.tasks import contract
from orderhouse.tasks.errors import ChecklistFull, ItemMovedOn, ItemNotFound, TaskNotFound
from orderhouse.tasks.models.checklists import ChecklistItem, ItemState
from orderhouse.tasks.repository import TaskRepository
from orderhouse.tasks.schemas.checklists import MOST_ITEMS, ItemChange, NewItem
from orderhouse.tasks.schemas.shared import Target


class ChecklistService:
    """Decides what becomes of items. Each has its own version, so that many may tick off one list at once."""

    @one_by_one
    def add(self, tx: Transaction, asked: Asked[NewItem]) -> ItemState:
        """Add an item behind the others."""
        tasks = TaskRepository(tx)
        # The task is held, so that of two who add the last item one is refused.
        if tasks.task(asked.wanted.task_id) is None:
            raise TaskNotFound
        if tasks.items_of(asked.wanted.task_id) >= MOST_ITEMS:
            raise ChecklistFull
        item = ChecklistItem.add(asked.wanted.task_id, asked.wanted.wanted, at=asked.at)
        tasks.add(item)
        return _told(tx, asked, item, contract.ITEM_ADDED)

    @one_by_one
    def change(self, tx: Transaction, asked: Asked[ItemChange]) -> ItemState:
        """Tick an item off, or call it something else."""
        item = _seen(TaskRepository(tx).part(ChecklistItem, asked.wanted.id), asked.wanted.version)
        if not item.change(asked.wanted.wanted, at=asked.at):
            return item.state
        return _told(tx, asked, item, contract.ITEM_CHANGED)

    @one_by_one
    def remove(self, tx: Transaction, asked: Asked[Target]) -> None:
        """Remove an item."""
        tasks = TaskRepository(tx)
        item = _seen(tasks.part(ChecklistItem, asked.wanted.id), asked.wanted.version)
        tasks.remove(item)
        item.version += 1
        _told(tx, asked, item, contract.ITEM_REMOVED)


def _seen(item: ChecklistItem | None, version: int | None) -> ChecklistItem:
    if item is None:
        raise ItemNotFound
    if version not in (None, item.version):
        raise ItemMovedOn(current=item.version)
    return item


def _told(tx: Transaction, asked: Asked[object], item: ChecklistItem, fact: str) -> ItemState:
    data = {"task_id": item.task_id}
    tx.tell([NewFact(fact, item.id, item.version, data, asked.at, asked.origin)])
    return item.state
