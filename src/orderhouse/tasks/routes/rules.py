"""The rules that raise tasks, over HTTP."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from orderhouse.kernel.clock import as_text
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import done, etag, json_answer, unchanged
from orderhouse.runtime.web.fastapi_edge import Edge, IfMatch, IfMatchMaybe, IfNoneMatch, Once, needs
from orderhouse.tasks import reads
from orderhouse.tasks.errors import RuleMovedOn, RuleNotFound, RulesFull
from orderhouse.tasks.models.rules import RuleState
from orderhouse.tasks.schemas.rules import RULES, AddRule, ChangeRule, RuleChange, RuleOut, RulesOut
from orderhouse.tasks.schemas.shared import TASKS, Target
from orderhouse.tasks.service.rules import RuleService


def routes(edge: Edge, database: Database, service: RuleService) -> APIRouter:
    """Return the rules' routes."""
    router = edge.router(RULES, "tasks")

    @router.post("", status_code=201, response_model=RuleOut, **needs("tasks:rules", RulesFull, key=True))
    async def add_task_rule(wanted: AddRule, once: Once) -> Answer:
        """Add a rule that raises a task when something happens, and closes it when that is over."""
        return await once(service.add, wanted, answer=_created)

    @router.get("", response_model=RulesOut, **needs("tasks:read"))
    async def list_task_rules() -> Answer:
        """List the rules, all of them, in the order of adding."""
        return json_answer({"items": [_shown(rule) for rule in await database.read(reads.rules)]})

    @router.get(
        "/{rule_id}",
        response_model=RuleOut,
        **needs("tasks:read", RuleNotFound),
    )
    async def get_task_rule(rule_id: UUID, unless: IfNoneMatch) -> Answer:
        """Get a rule."""
        rule = await database.read(reads.rule, rule_id)
        if rule is None:
            raise RuleNotFound
        return unchanged(etag(rule.version), unless) or json_answer(_shown(rule), etag(rule.version))

    @router.patch("/{rule_id}", response_model=RuleOut, **needs("tasks:rules", RuleNotFound, RuleMovedOn))
    async def change_task_rule(rule_id: UUID, wanted: ChangeRule, match: IfMatch, once: Once) -> Answer:
        """Change a rule; tasks it would not raise any more are cancelled, those it would raise now are raised."""
        return await once(service.change, RuleChange(rule_id, wanted, match), answer=_changed)

    @router.delete(
        "/{rule_id}", status_code=204, response_model=None, **needs("tasks:rules", RuleNotFound, RuleMovedOn)
    )
    async def remove_task_rule(rule_id: UUID, match: IfMatchMaybe, once: Once) -> Answer:
        """Remove a rule; what it raised and nobody has done yet is cancelled."""
        return await once(service.remove, Target(rule_id, match), answer=done)

    return router


def _created(rule: RuleState) -> Answer:
    return json_answer(_shown(rule), ("location", f"{RULES}/{rule.id}"), etag(rule.version), status=201)


def _changed(rule: RuleState) -> Answer:
    return json_answer(_shown(rule), etag(rule.version))


def _shown(rule: RuleState) -> dict[str, Any]:
    return {
        "id": rule.id,
        "title": rule.title,
        "when": rule.when.model_dump(),
        "enabled": rule.enabled,
        "priority": rule.priority,
        "assigned_to": rule.assigned_to,
        "due_in_days": rule.due_in_days,
        "version": rule.version,
        "created_at": as_text(rule.created_at),
        "updated_at": as_text(rule.updated_at),
        "links": {"self": f"{RULES}/{rule.id}", "tasks": f"{TASKS}?rule_id={rule.id}"},
    }
