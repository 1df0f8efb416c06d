"""Questions about tasks: one, and pages of lists. Plain SQL, the same on both databases."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from orderhouse.kernel import pages
from orderhouse.kernel.pages import COUNTED_TO, PagesDoNotCombine
from orderhouse.kernel.text import words_of
from orderhouse.runtime.database.sql import Row, as_id, as_id_or_none
from orderhouse.runtime.database.transaction import Reading
from orderhouse.tasks.models import TaskState, priority_of, urgency_of
from orderhouse.tasks.schemas import ListTasks

_TASK = (
    "id, title, description, status, urgency, assigned_to, due_on, time_zone, due_at, order_id, customer_id, "
    "created_by, version, created_at, updated_at, closed_at"
)
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


def _whole(reading: Reading, rows: Sequence[Row]) -> list[TaskState]:
    """Return the tasks of `rows` with their tags and watchers, which are asked for all at once."""
    tasks = [_task(row) for row in rows]
    tags = _of_each(reading, "SELECT task_id, tag FROM task_tags WHERE task_id IN :ids ORDER BY tag", tasks)
    watchers = _of_each(
        reading, "SELECT task_id, watcher FROM task_watchers WHERE task_id IN :ids ORDER BY watcher", tasks
    )
    return [replace(task, tags=tuple(tags[task.id]), watchers=tuple(watchers[task.id])) for task in tasks]


def _of_each(reading: Reading, sql: str, tasks: Sequence[TaskState]) -> Mapping[UUID, list[str]]:
    found: defaultdict[UUID, list[str]] = defaultdict(list)
    if tasks:
        for task_id, name in reading.rows(sql, ids=[task.id for task in tasks]):
            found[as_id(task_id)].append(name)
    return found


def _task(row: Row) -> TaskState:
    task_id, title, description, status, urgency, assigned_to, due_on, time_zone, due_at, *rest = row
    order_id, customer_id, created_by, version, created_at, updated_at, closed_at = rest
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
        order_id=as_id_or_none(order_id),
        customer_id=as_id_or_none(customer_id),
        created_by=created_by,
        version=version,
        created_at=created_at,
        updated_at=updated_at,
        closed_at=closed_at,
    )
