"""Users over HTTP."""

from typing import Any
from uuid import UUID

from flask import Blueprint

from orderhouse.kernel.clock import as_text
from orderhouse.kernel.pages import CursorInvalid, PagesDoNotCombine
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import links
from orderhouse.runtime.web.answers import done, etag, json_answer, unchanged
from orderhouse.runtime.web.flask_edge import body, caller, match, match_maybe, needs, once, query, read, unless
from orderhouse.users import reads
from orderhouse.users.errors import (
    AboveYou,
    AddressTaken,
    CustomerNotAllowed,
    CustomerUnknown,
    LastOwner,
    MovedOn,
    NotActive,
    NotDeactivated,
    RoleUnknown,
    StillActive,
    UserNotFound,
)
from orderhouse.users.models import UserState
from orderhouse.users.routes.records import CustomerRecords, check
from orderhouse.users.schemas import (
    USERS,
    AddUser,
    ChangeUser,
    ListUsers,
    RoleChange,
    SetRole,
    Target,
    UserChange,
    UserOut,
    UserPage,
)
from orderhouse.users.service.users import UserService


def blueprint(service: UserService, customers: CustomerRecords) -> Blueprint:
    """Return the users' views."""
    views = Blueprint("users", __name__, url_prefix=USERS)

    @views.post("")
    @needs(
        "users:write",
        AddressTaken,
        AboveYou,
        RoleUnknown,
        CustomerNotAllowed,
        CustomerUnknown,
        key=True,
        body=AddUser,
        answers=UserOut,
        status=201,
    )
    def add_user() -> Answer:
        """Add a user who may act at once, without an invitation."""
        wanted = body(AddUser)
        check(customers, wanted.customer_id)
        return once(service.add, wanted, answer=_created)

    @views.get("")
    @needs("users:read", CursorInvalid, PagesDoNotCombine, query=ListUsers, answers=UserPage)
    def list_users() -> Answer:
        """List users, a page at a time, by cursor or by offset; the latest first."""
        wanted = query(ListUsers)
        page = read(reads.users, wanted)
        return json_answer(shown_page(USERS, wanted, page) | {"total": page.total})

    @views.get("/<uuid:user_id>")
    @needs("users:read", UserNotFound, answers=UserOut, unless=True)
    def get_user(user_id: UUID) -> Answer:
        """Get a user."""
        user = read(reads.user, user_id)
        if user is None:
            raise UserNotFound
        return unchanged(etag(user.version), unless()) or json_answer(
            shown(user, may_write=caller().may("users:write")), etag(user.version)
        )

    @views.patch("/<uuid:user_id>")
    @needs(
        "users:write",
        UserNotFound,
        MovedOn,
        AddressTaken,
        AboveYou,
        key=False,
        match=True,
        body=ChangeUser,
        answers=UserOut,
    )
    def change_user(user_id: UUID) -> Answer:
        """Change a user's name or address. Another address has to be verified anew."""
        return once(service.change, UserChange(user_id, match(), body(ChangeUser)), answer=_changed)

    @views.delete("/<uuid:user_id>")
    @needs("users:write", UserNotFound, MovedOn, StillActive, AboveYou, key=False, match=False, status=204)
    def erase_user(user_id: UUID) -> Answer:
        """Erase a user who is not active: nothing is left but the id in the log of facts."""
        return once(service.erase, Target(user_id, match_maybe()), answer=done)

    _standing(views, service, customers)
    return views


def _standing(views: Blueprint, service: UserService, customers: CustomerRecords) -> None:
    """Add the views of what a user may do: the role, and whether anything."""

    @views.put("/<uuid:user_id>/role")
    @needs(
        "users:write",
        UserNotFound,
        MovedOn,
        LastOwner,
        AboveYou,
        RoleUnknown,
        CustomerNotAllowed,
        CustomerUnknown,
        key=False,
        match=True,
        body=SetRole,
        answers=UserOut,
    )
    def set_role(user_id: UUID) -> Answer:
        """Give a user another role. Nobody is raised above what the caller may do, and one active owner is left."""
        wanted = body(SetRole)
        check(customers, wanted.customer_id)
        return once(service.set_role, RoleChange(user_id, match(), wanted), answer=_changed)

    @views.post("/<uuid:user_id>/deactivation")
    @needs(
        "users:write",
        UserNotFound,
        MovedOn,
        NotActive,
        LastOwner,
        AboveYou,
        key=False,
        match=False,
        answers=UserOut,
    )
    def deactivate_user(user_id: UUID) -> Answer:
        """Deactivate a user: they may do nothing, and every session of theirs ends."""
        return once(service.deactivate, Target(user_id, match_maybe()), answer=_changed)

    @views.post("/<uuid:user_id>/reactivation")
    @needs("users:write", UserNotFound, MovedOn, NotDeactivated, AboveYou, key=False, match=False, answers=UserOut)
    def reactivate_user(user_id: UUID) -> Answer:
        """Reactivate a user: they may act again."""
        return once(service.reactivate, Target(user_id, match_maybe()), answer=_changed)


def _created(user: UserState) -> Answer:
    where = ("location", f"{USERS}/{user.id}")
    return json_answer(shown(user, may_write=True), where, etag(user.version), status=201)


def _changed(user: UserState) -> Answer:
    return json_answer(shown(user, may_write=True), etag(user.version))


def shown_page(path: str, wanted: Any, page: reads.Page[UserState]) -> dict[str, Any]:
    """Return a page of users as it is shown to `caller`."""
    may_write = caller().may("users:write")
    return {
        "items": [shown(user, may_write=may_write) for user in page.items],
        "next": page.next,
        "links": links.of_page(path, wanted, page.next),
    }


def shown(user: UserState, *, may_write: bool) -> dict[str, Any]:
    """Return a user as it is shown."""
    own = f"{USERS}/{user.id}"
    ways = {"self": own, "permissions": f"{own}/permissions"}
    if may_write and user.status == "active":
        ways["deactivation"] = f"{own}/deactivation"
    elif may_write and user.status == "deactivated":
        ways["reactivation"] = f"{own}/reactivation"
    return {
        "id": user.id,
        "email": user.email,
        "email_verified": user.email_verified,
        "name": user.name,
        "status": user.status,
        "role": user.role,
        "customer_id": user.customer_id,
        "version": user.version,
        "created_at": as_text(user.created_at),
        "updated_at": as_text(user.updated_at),
        "links": ways,
    }
