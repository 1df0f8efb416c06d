"""The registry of the whole product, and who reads whose facts."""

from collections.abc import Collection, Mapping
from typing import Any

from orderhouse.analytics import readers as analytics
from orderhouse.auth import readers as auth
from orderhouse.customers import contract as customers
from orderhouse.jobs import contract as jobs
from orderhouse.orders import contract as orders
from orderhouse.orders import readers as orders_readers
from orderhouse.runtime import asyncapi as runtime_asyncapi
from orderhouse.runtime.registry import Kinds, Registry
from orderhouse.tasks import contract as tasks
from orderhouse.tasks import readers as tasks_readers
from orderhouse.users import contract as users

REGISTRY = Registry(
    Kinds("customers", customers.FACT_KINDS),
    Kinds("jobs", jobs.FACT_KINDS),
    Kinds("orders", orders.FACT_KINDS),
    Kinds("tasks", tasks.FACT_KINDS),
    Kinds("users", users.FACT_KINDS),
)
"""Every kind of fact there is."""

READS: Mapping[str, Mapping[str, Collection[str]]] = {
    "orders": orders_readers.READS,
    "analytics": analytics.READS,
    "tasks": tasks_readers.READS,
    "auth": auth.READS,
}
"""By context: whose facts it reads, and which of them."""


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI document of the whole product."""
    return runtime_asyncapi.document(REGISTRY, READS, version="1")
