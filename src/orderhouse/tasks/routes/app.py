"""All routes of tasks together."""

from fastapi import APIRouter

from orderhouse.runtime.database.database import Database
from orderhouse.runtime.web.fastapi_edge import Edge
from orderhouse.tasks.routes import checklists, comments, history, rules, statistics, tasks
from orderhouse.tasks.service.causes import CauseService
from orderhouse.tasks.service.checklists import ChecklistService
from orderhouse.tasks.service.comments import CommentService
from orderhouse.tasks.service.rules import RuleService
from orderhouse.tasks.service.tasks import TaskService


def routes(edge: Edge, database: Database, service: TaskService, causes: CauseService) -> APIRouter:
    """Return them."""
    whole = APIRouter()
    for router in (
        tasks.routes(edge, database, service),
        history.routes(edge, database),
        comments.routes(edge, database, CommentService()),
        checklists.routes(edge, database, ChecklistService()),
        rules.routes(edge, database, RuleService(causes)),
        statistics.routes(edge, database),
    ):
        # Added as they are: an included router would be matched twice for every request.
        whole.routes.extend(router.routes)
    return whole
