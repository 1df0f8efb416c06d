"""What may be done with tasks."""

from orderhouse.kernel.events import NewFact
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.tasks import contract
from orderhouse.tasks.errors import TaskMovedOn, TaskNotFound
from orderhouse.tasks.models.tasks import Task, TaskState
from orderhouse.tasks.repository import TaskRepository
from orderhouse.tasks.schemas.shared import Target
from orderhouse.tasks.schemas.tasks import AddTask, Change


class TaskService:
    """Decides what becomes of tasks; what it returns is kept when the transaction is."""

    def __init__(self, time_zone: str) -> None:
        """Take a due date for a day of `time_zone` where a task names no other."""
        self._time_zone = time_zone

    @one_by_one
    def add(self, tx: Transaction, asked: Asked[AddTask]) -> TaskState:
        """Add a task."""
        task = Task.add(asked.wanted, by=asked.caller.subject, time_zone=self._time_zone, at=asked.at)
        TaskRepository(tx).add(task)
        tx.tell([added(task.state, asked)])
        return task.state

    @one_by_one
    def change(self, tx: Transaction, asked: Asked[Change]) -> TaskState:
        """Change what is named about a task, or all of it. What makes no difference tells nobody anything."""
        wanted = asked.wanted.wanted
        task = seen(TaskRepository(tx).task(asked.wanted.task_id), asked.wanted.version)
        if isinstance(wanted, AddTask):
            said = wanted.model_dump() | {"time_zone": wanted.time_zone or self._time_zone}
        else:
            said = wanted.model_dump(exclude_unset=True)
        changed = task.change(said, at=asked.at)
        if changed:
            tx.tell([changed_by(task.state, changed, asked)])
        return task.state

    @one_by_one
    def remove(self, tx: Transaction, asked: Asked[Target]) -> None:
        """Remove a task with all that belongs to it; its facts stay, and hold no text."""
        tasks = TaskRepository(tx)
        task = seen(tasks.task(asked.wanted.id), asked.wanted.version)
        tasks.remove(task)
        tx.tell([NewFact(contract.REMOVED, task.id, task.version + 1, {}, asked.at, asked.origin)])


def seen(task: Task | None, version: int | None) -> Task:
    """Return `task` if there is one, at the version the caller last saw if it said so."""
    if task is None:
        raise TaskNotFound
    if version not in (None, task.version):
        raise TaskMovedOn(current=task.version)
    return task


def added(task: TaskState, asked: Asked[object]) -> NewFact:
    """Return the fact that `task` was added."""
    return NewFact(contract.ADDED, task.id, task.version, _data(task), asked.at, asked.origin)


def changed_by(task: TaskState, changed: list[str], asked: Asked[object]) -> NewFact:
    """Return the fact that `task` is as it is since `changed` was."""
    data = {**_data(task), "changed": changed}
    return NewFact(contract.CHANGED, task.id, task.version, data, asked.at, asked.origin)


def _data(task: TaskState) -> dict[str, object]:
    return {
        "status": task.status,
        "priority": task.priority,
        "assigned_to": task.assigned_to,
        "due_at": task.due_at,
        "order_id": task.order_id,
        "customer_id": task.customer_id,
    }
