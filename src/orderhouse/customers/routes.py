"""Customers over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from orderhouse.customers import reads, schemas
from orderhouse.customers.errors import (
    AlreadyActive,
    AlreadyInactive,
    CustomerMovedOn,
    CustomerNotFound,
    EmailTaken,
    ExternalIdTaken,
)
from orderhouse.customers.models import CustomerState
from orderhouse.customers.schemas import (
    AddCustomer,
    Change,
    ChangeCustomer,
    CustomerOut,
    CustomerPage,
    ListCustomers,
    Seen,
)
from orderhouse.customers.service import CustomerService
from orderhouse.kernel.clock import as_text
from orderhouse.kernel.pages import CursorInvalid, PagesDoNotCombine
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import links
from orderhouse.runtime.web.answers import etag, json_answer, unchanged
from orderhouse.runtime.web.fastapi_edge import Asker, Edge, IfMatch, IfMatchMaybe, IfNoneMatch, Once, needs


def routes(edge: Edge, database: Database, service: CustomerService) -> APIRouter:
    """Return the customers' routes."""
    router = edge.router(schemas.PATH, "customers")

    @router.post(
        "",
        status_code=201,
        response_model=CustomerOut,
        **needs("customers:write", EmailTaken, ExternalIdTaken, key=True),
    )
    async def add_customer(wanted: AddCustomer, once: Once) -> Answer:
        """Add a customer."""
        return await once(service.add, wanted, answer=_created)

    @router.get("", response_model=CustomerPage, **needs("customers:read", CursorInvalid, PagesDoNotCombine))
    async def list_customers(wanted: Annotated[ListCustomers, Query()], caller: Asker) -> Answer:
        """List the customers you may see, a page at a time, by cursor or by offset; the latest first."""
        page = await database.read(reads.page, wanted, caller)
        return json_answer(_page(wanted, page, may_write=caller.may("customers:write")))

    @router.get(
        "/{customer_id}",
        response_model=CustomerOut,
        **needs("customers:read", CustomerNotFound),
    )
    async def get_customer(customer_id: UUID, caller: Asker, unless: IfNoneMatch) -> Answer:
        """Get a customer."""
        customer = await database.read(reads.one, customer_id, caller)
        if customer is None:
            raise CustomerNotFound
        return unchanged(etag(customer.version), unless) or json_answer(
            _shown(customer, may_write=caller.may("customers:write")), etag(customer.version)
        )

    @router.patch(
        "/{customer_id}",
        response_model=CustomerOut,
        **needs("customers:write", CustomerNotFound, CustomerMovedOn, EmailTaken),
    )
    async def change_customer(customer_id: UUID, wanted: ChangeCustomer, match: IfMatch, once: Once) -> Answer:
        """Change what the body names about a customer; null takes an e-mail address or a country away."""
        return await once(service.change, Change(customer_id, wanted, match), answer=_changed)

    @router.post(
        "/{customer_id}/deactivation",
        response_model=CustomerOut,
        **needs("customers:write", CustomerNotFound, CustomerMovedOn, AlreadyInactive),
    )
    async def deactivate_customer(customer_id: UUID, match: IfMatchMaybe, once: Once) -> Answer:
        """Deactivate a customer: it stays with all its orders, and can place no more."""
        return await once(service.deactivate, Seen(customer_id, match), answer=_changed)

    @router.post(
        "/{customer_id}/reactivation",
        response_model=CustomerOut,
        **needs("customers:write", CustomerNotFound, CustomerMovedOn, AlreadyActive),
    )
    async def reactivate_customer(customer_id: UUID, match: IfMatchMaybe, once: Once) -> Answer:
        """Reactivate a customer: it can place orders again."""
        return await once(service.reactivate, Seen(customer_id, match), answer=_changed)

    return router


def _created(customer: CustomerState) -> Answer:
    where = ("location", schemas.SELF.format(customer.id))
    return json_answer(_shown(customer, may_write=True), where, etag(customer.version), status=201)


def _changed(customer: CustomerState) -> Answer:
    return json_answer(_shown(customer, may_write=True), etag(customer.version))


def _page(wanted: ListCustomers, page: reads.Page, *, may_write: bool) -> dict[str, Any]:
    return {
        "items": [_shown(customer, may_write=may_write) for customer in page.customers],
        "next": page.next,
        "total": page.total,
        "links": links.of_page(schemas.PATH, wanted, page.next),
    }


def _shown(customer: CustomerState, *, may_write: bool) -> dict[str, Any]:
    ways = {name: path.format(customer.id) for name, path in schemas.LINKS.items()}
    if may_write and customer.active:
        ways["deactivation"] = schemas.DEACTIVATION.format(customer.id)
    elif may_write:
        ways["reactivation"] = schemas.REACTIVATION.format(customer.id)
    return {
        "id": customer.id,
        "name": customer.name,
        "email": customer.email,
        "external_id": customer.external_id,
        "source": customer.source,
        "country": customer.country,
        "active": customer.active,
        "version": customer.version,
        "created_at": as_text(customer.created_at),
        "updated_at": as_text(customer.updated_at),
        "links": ways,
    }
