"""Questions about tasks: one, pages of lists, what belongs to one, and counts. Plain SQL."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

from orderhouse.kernel import pages
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.pages import COUNTED_TO, PagesDoNotCombine
from orderhouse.kernel.text import words_of
from orderhouse.runtime import facts
from orderhouse.runtime.database.sql import Row, as_id, as_id_or_none
from orderhouse.runtime.database.transaction import Reading
from orderhouse.tasks.contract import PRIORITIES, STATUSES, DeadLetter
from orderhouse.tasks.models.checklists import ItemState
from orderhouse.tasks.models.comments import CommentState
from orderhouse.tasks.models.priorities import priority_of, urgency_of
from orderhouse.tasks.models.rules import RuleState, rule_state
from orderhouse.tasks.models.tasks import TaskState
from orderhouse.tasks.schemas.checklists import MOST_ITEMS
from orderhouse.tasks.schemas.rules import MOST_RULES
from orderhouse.tasks.schemas.shared import ListParts
from orderhouse.tasks.schemas.statistics import MOST_PEOPLE
from orderhouse.tasks.schemas.tasks import ListTasks

_TASK = (
    "id, title, description, status, urgency, assigned_to, due_on, time_zone, due_at, order_id, customer_id, "
    "created_by, version, created_at, updated_at, closed_at, rule_id"
)
_COMMENT = "id, task_id, text, author, version, created_at, updated_at"
_ITEM = "id, task_id, text, done, version, created_at, updated_at"
_RULE = "id, title, condition, enabled, urgency, assigned_to, due_in_days, version, created_at, updated_at"
_BEFORE_ALL = UUID(int=0)
_NO_END = 2**31 - 1
_MOST_WORDS = 5
_BEHIND_ALL = "\U0010ffff"

# Ids are in the order of adding, so the primary key is the list by time.
_KEYS: dict[str, dict[str, type]] = {
    "created_at": {"id": UUID},
    "due": {"due_at": int, "id": UUID},
    "priority": {"urgency": int, "due_at": int, "id": UUID},
}

_FILTERS = {
    "status": "status = :status",
    "open": "open = :open",
    "priority": "urgency = :priority",
    "assigned_to": "assigned_to = :assigned_to",
    "order_id": "order_id = :order_id",
    "customer_id": "customer_id = :customer_id",
    "rule_id": "rule_id = :rule_id",
    "due_before": "due_at < :due_before",
    "tag": "id IN (SELECT task_id FROM task_tags WHERE tag = :tag)",
    "watcher": "id IN (SELECT task_id FROM task_watchers WHERE watcher = :watcher)",
}


class Page(NamedTuple):
    """Some tasks of a list; the cursor of the next page, and for a page by offset how many there are."""

    tasks: Sequence[TaskState]
    next: str | None
    total: int | None


def one(reading: Reading, task_id: UUID) -> TaskState | None:
    """Return a task."""
    found = reading.row(f"SELECT {_TASK} FROM tasks WHERE id = :id", id=task_id)
    return _whole(reading, [found])[0] if found else None


def page(reading: Reading, wanted: ListTasks) -> Page:
    """Return the page that is wanted, read by an index; what is searched for is looked up by its words."""
    if wanted.cursor is not None and wanted.offset is not None:
        raise PagesDoNotCombine
    filters, values = _filters(wanted)
    total = None if wanted.offset is None else _counted(reading, filters, values)
    behind, key = _behind(wanted)
    found = reading.rows(
        f"SELECT {_TASK} FROM tasks{_where(filters + behind)} ORDER BY {_order(wanted)} LIMIT :limit OFFSET :offset",
        **values,
        **key,
        limit=wanted.limit + 1,
        offset=wanted.offset or 0,
    )
    rows = found[: wanted.limit]
    following = _cursor(wanted, rows[-1]) if len(found) > wanted.limit else None
    return Page(_whole(reading, rows), following, total)


def _filters(wanted: ListTasks) -> tuple[list[str], dict[str, object]]:
    values = {name: value for name in _FILTERS if (value := getattr(wanted, name)) is not None}
    filters = [_FILTERS[name] for name in values]
    if wanted.open is not None:
        values["open"] = wanted.open == "true"
    if wanted.priority is not None:
        values["priority"] = urgency_of(wanted.priority)
    if wanted.assigned_to == "none":
        filters[filters.index(_FILTERS["assigned_to"])] = "assigned_to IS NULL"
        del values["assigned_to"]
    if wanted.search is not None:
        _search(wanted.search, filters, values)
    return filters, values


def _search(search: str, filters: list[str], values: dict[str, object]) -> None:
    words = words_of(search)[:_MOST_WORDS]
    for letter, word in zip("abcde", words, strict=False):
        filters.append(f"id IN (SELECT task_id FROM task_words WHERE word >= :word_{letter} AND word < :end_{letter})")
        values[f"word_{letter}"], values[f"end_{letter}"] = word, word + _BEHIND_ALL
    if not words:
        filters.append("id IS NULL")  # Whatever has no letters is in no title.


def _counted(reading: Reading, filters: Sequence[str], values: Mapping[str, object]) -> int:
    # In the order of an index, so that it is the index that is counted, and no further than anybody pages.
    some = f"SELECT 1 FROM tasks{_where(filters)} ORDER BY id LIMIT {COUNTED_TO}"
    found = reading.row(f"SELECT count(*) FROM ({some}) AS counted", **values)
    assert found is not None, "a count is always answered"
    return int(found[0])


def _behind(wanted: ListTasks) -> tuple[list[str], dict[str, object]]:
    if wanted.cursor is None:
        return [], {}
    keys = _keys(wanted)
    key = pages.key_of(_list(wanted), wanted.cursor, *keys.values())
    condition = f"({', '.join(keys)}) {'<' if _falls(wanted) else '>'} ({', '.join(f':after_{name}' for name in keys)})"
    return [condition], {f"after_{name}": part for name, part in zip(keys, key, strict=True)}


def _cursor(wanted: ListTasks, row: Row) -> str:
    key = {"id": as_id(row[0]), "urgency": row[4], "due_at": row[8]}
    return pages.cursor_of(_list(wanted), *(key[name] for name in _keys(wanted)))


def _order(wanted: ListTasks) -> str:
    return ", ".join(f"{name} DESC" if _falls(wanted) else name for name in _keys(wanted))


def _keys(wanted: ListTasks) -> dict[str, type]:
    return _KEYS[wanted.sort.removeprefix("-")]


def _falls(wanted: ListTasks) -> bool:
    return wanted.sort.startswith("-")


def _list(wanted: ListTasks) -> str:
    return f"tasks {wanted.sort}"


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


# What belongs to a task


class Parts(NamedTuple):
    """Some of what belongs to a task, and the cursor of the next page."""

    items: Sequence[Any]
    next: str | None


def comment(reading: Reading, comment_id: UUID) -> CommentState | None:
    """Return a comment."""
    found = reading.row(f"SELECT {_COMMENT} FROM task_comments WHERE id = :id", id=comment_id)
    return _comment(found) if found else None


def comments(reading: Reading, task_id: UUID, wanted: ListParts) -> Parts | None:
    """Return a page of what was said about a task, the first first; None when there is no such task."""
    if not _there_is(reading, task_id):
        return None
    (after,) = pages.key_of("comments", wanted.cursor, UUID) if wanted.cursor else (_BEFORE_ALL,)
    found = reading.rows(
        f"SELECT {_COMMENT} FROM task_comments WHERE task_id = :task AND id > :after ORDER BY id LIMIT :limit",
        task=task_id,
        after=after,
        limit=wanted.limit + 1,
    )
    shown = [_comment(row) for row in found[: wanted.limit]]
    return Parts(shown, pages.cursor_of("comments", shown[-1].id) if len(found) > wanted.limit else None)


def item(reading: Reading, item_id: UUID) -> ItemState | None:
    """Return an item of a checklist."""
    found = reading.row(f"SELECT {_ITEM} FROM checklist_items WHERE id = :id", id=item_id)
    return _item(found) if found else None


def checklist(reading: Reading, task_id: UUID) -> list[ItemState] | None:
    """Return a task's checklist, whole; None when there is no such task."""
    if not _there_is(reading, task_id):
        return None
    found = reading.rows(
        f"SELECT {_ITEM} FROM checklist_items WHERE task_id = :task ORDER BY id LIMIT {MOST_ITEMS}", task=task_id
    )
    return [_item(row) for row in found]


def history(reading: Reading, task_id: UUID, wanted: ListParts) -> Parts | None:
    """Return a page of what happened to a task, latest first; None when there is no such task."""
    if not _there_is(reading, task_id):
        return None
    (before,) = pages.key_of("history", wanted.cursor, int) if wanted.cursor else (_NO_END,)
    assert isinstance(before, int), "its shape says so"
    # A cursor can be forged: what no column holds asks for nothing beyond it.
    before = max(0, min(before, _NO_END))
    found = facts.history(reading, task_id, before=before, limit=wanted.limit + 1)
    shown = found[: wanted.limit]
    return Parts(shown, pages.cursor_of("history", shown[-1].sequence) if len(found) > wanted.limit else None)


def _there_is(reading: Reading, task_id: UUID) -> bool:
    return reading.row("SELECT 1 FROM tasks WHERE id = :id", id=task_id) is not None


# Rules


def rule(reading: Reading, rule_id: UUID) -> RuleState | None:
    """Return a rule."""
    found = reading.row(f"SELECT {_RULE} FROM task_rules WHERE id = :id", id=rule_id)
    return rule_state(as_id(found[0]), *found[1:]) if found else None


def rules(reading: Reading) -> list[RuleState]:
    """Return all rules, in the order of adding."""
    found = reading.rows(f"SELECT {_RULE} FROM task_rules ORDER BY id LIMIT {MOST_RULES}")
    return [rule_state(as_id(row[0]), *row[1:]) for row in found]


def next_due(reading: Reading) -> Instant | None:
    """Return when there is something to do about a cause or a reminder; None for never. Reads two ends of indexes."""
    found = reading.row(
        "SELECT min(next_at) FROM (SELECT min(next_at) AS next_at FROM task_causes WHERE next_at IS NOT NULL "
        "UNION ALL SELECT min(next_at) FROM task_reminders WHERE next_at IS NOT NULL) AS firsts"
    )
    return None if found is None or found[0] is None else int(found[0])


def letters_differ(reading: Reading, letters: Sequence[DeadLetter]) -> bool:
    """Whether rules would see other causes in `letters` than those they see now."""
    for rule in rules(reading):
        if rule.enabled and rule.when.kind == "dead_letter":
            found = reading.rows(
                "SELECT subject FROM task_causes WHERE rule_id = :rule AND ended IS NULL", rule=rule.id
            )
            if {as_id(row[0]) for row in found} != {one.id for one in letters if rule.cause_of_letter(one)}:
                return True
    return False


# Statistics


class Statistics(NamedTuple):
    """How much there is to do: counts by status, of what is open by priority, and by who is to do it."""

    by_status: Mapping[str, int]
    open_by_priority: Mapping[str, int]
    overdue: int
    unassigned: int
    people: Sequence[tuple[str, int, int]]
    """Who, how many open, how many of them overdue."""


def statistics(reading: Reading, now: Instant) -> Statistics:
    """Return how much there is to do as of `now`; each count reads one index, those of what is open its open part."""
    counted: dict[str, int] = dict(reading.rows("SELECT status, count(*) FROM tasks GROUP BY status"))
    by_urgency: dict[int, int] = dict(
        reading.rows("SELECT urgency, count(*) FROM tasks WHERE open = :open GROUP BY urgency", open=True)
    )
    people = reading.rows(
        "SELECT assigned_to, count(*), sum(CASE WHEN due_at < :now THEN 1 ELSE 0 END) FROM tasks "
        "WHERE open = :open AND assigned_to IS NOT NULL GROUP BY assigned_to "
        "ORDER BY count(*) DESC, assigned_to LIMIT :most",
        now=now,
        open=True,
        most=MOST_PEOPLE,
    )
    return Statistics(
        {status: counted.get(status, 0) for status in STATUSES},
        {priority: by_urgency.get(urgency_of(priority), 0) for priority in PRIORITIES},
        _count(reading, "open = :open AND due_at < :now", open=True, now=now),
        _count(reading, "open = :open AND assigned_to IS NULL", open=True),
        [(who, int(many), int(late)) for who, many, late in people],
    )


def _count(reading: Reading, condition: str, **values: object) -> int:
    found = reading.row(f"SELECT count(*) FROM tasks WHERE {condition}", **values)
    assert found is not None, "a count is always answered"
    return int(found[0])


def _whole(reading: Reading, rows: Sequence[Row]) -> list[TaskState]:
    """Return the tasks of `rows` with their tags, watchers and reminders, which are asked for all at once."""
    tasks = [_task(row) for row in rows]
    tags = _of_each(reading, "SELECT task_id, tag FROM task_tags WHERE task_id IN :ids ORDER BY tag", tasks)
    watchers = _of_each(
        reading, "SELECT task_id, watcher FROM task_watchers WHERE task_id IN :ids ORDER BY watcher", tasks
    )
    reminders = _of_each(
        reading,
        "SELECT task_id, hours_before FROM task_reminders WHERE task_id IN :ids ORDER BY hours_before",
        tasks,
    )
    return [
        replace(
            task,
            tags=tuple(tags[task.id]),
            watchers=tuple(watchers[task.id]),
            remind_hours_before=tuple(reminders[task.id]),
        )
        for task in tasks
    ]


def _of_each(reading: Reading, sql: str, tasks: Sequence[TaskState]) -> Mapping[UUID, list[Any]]:
    found: defaultdict[UUID, list[Any]] = defaultdict(list)
    if tasks:
        for task_id, name in reading.rows(sql, ids=[task.id for task in tasks]):
            found[as_id(task_id)].append(name)
    return found


def _task(row: Row) -> TaskState:
    task_id, title, description, status, urgency, assigned_to, due_on, time_zone, due_at, *rest = row
    order_id, customer_id, created_by, version, created_at, updated_at, closed_at, rule_id = rest
    return TaskState(
        id=as_id(task_id),
        title=title,
        description=description,
        status=status,
        priority=priority_of(urgency),
        tags=(),
        assigned_to=assigned_to,
        watchers=(),
        due_on=due_on,
        time_zone=time_zone,
        due_at=None if due_on is None else due_at,
        remind_hours_before=(),
        order_id=as_id_or_none(order_id),
        customer_id=as_id_or_none(customer_id),
        created_by=created_by,
        version=version,
        created_at=created_at,
        updated_at=updated_at,
        closed_at=closed_at,
        rule_id=as_id_or_none(rule_id),
    )


def _comment(row: Row) -> CommentState:
    comment_id, task_id, *rest = row
    return CommentState(as_id(comment_id), as_id(task_id), *rest)


def _item(row: Row) -> ItemState:
    item_id, task_id, said, done, *rest = row
    return ItemState(as_id(item_id), as_id(task_id), said, bool(done), *rest)
