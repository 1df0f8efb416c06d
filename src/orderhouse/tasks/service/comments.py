"""What may be done with comments."""

from orderhouse.kernel.events import NewFact
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.tasks import contract
from orderhouse.tasks.errors import CommentMovedOn, CommentNotFound, CommentNotYours, TaskNotFound
from orderhouse.tasks.models.comments import CommentState, TaskComment
from orderhouse.tasks.repository import TaskRepository
from orderhouse.tasks.schemas.comments import CommentChange, NewComment
from orderhouse.tasks.schemas.shared import Target


class CommentService:
    """Decides what becomes of comments. A task is not changed by what is said about it."""

    @one_by_one
    def add(self, tx: Transaction, asked: Asked[NewComment]) -> CommentState:
        """Say something about a task."""
        tasks = TaskRepository(tx)
        if tasks.task(asked.wanted.task_id) is None:
            raise TaskNotFound
        said = asked.wanted.wanted.text
        comment = TaskComment.add(asked.wanted.task_id, said, by=asked.caller.subject, at=asked.at)
        tasks.add(comment)
        return _told(tx, asked, comment, contract.COMMENT_ADDED)

    @one_by_one
    def change(self, tx: Transaction, asked: Asked[CommentChange]) -> CommentState:
        """Say it differently: only who said it may."""
        comment = _seen(TaskRepository(tx).part(TaskComment, asked.wanted.id), asked.wanted.version)
        if comment.author != asked.caller.subject:
            raise CommentNotYours
        if not comment.change(asked.wanted.wanted.text, at=asked.at):
            return comment.state
        return _told(tx, asked, comment, contract.COMMENT_CHANGED)

    @one_by_one
    def remove(self, tx: Transaction, asked: Asked[Target]) -> None:
        """Remove a comment: who said it may, and whoever may remove tasks."""
        tasks = TaskRepository(tx)
        comment = _seen(tasks.part(TaskComment, asked.wanted.id), asked.wanted.version)
        if not _may_remove(asked.caller, comment):
            raise CommentNotYours
        tasks.remove(comment)
        comment.version += 1
        _told(tx, asked, comment, contract.COMMENT_REMOVED)


def _may_remove(caller: Principal, comment: TaskComment) -> bool:
    return comment.author == caller.subject or caller.may("tasks:remove")


def _seen(comment: TaskComment | None, version: int | None) -> TaskComment:
    if comment is None:
        raise CommentNotFound
    if version not in (None, comment.version):
        raise CommentMovedOn(current=comment.version)
    return comment


def _told(tx: Transaction, asked: Asked[object], comment: TaskComment, fact: str) -> CommentState:
    data = {"task_id": comment.task_id}
    tx.tell([NewFact(fact, comment.id, comment.version, data, asked.at, asked.origin)])
    return comment.state
