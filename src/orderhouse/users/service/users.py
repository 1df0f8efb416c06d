"""What may be done with users."""

from dataclasses import dataclass
from uuid import UUID

from orderhouse.kernel.email import email_key
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.users.contract import (
    UserChanged,
    UserDeactivated,
    UserEmailVerified,
    UserErased,
    UserJoined,
    UserReactivated,
    UserRoleChanged,
    UsersFact,
)
from orderhouse.users.errors import AddressTaken, CustomerNotAllowed, LastOwner, UserNotFound
from orderhouse.users.models import User, UserState
from orderhouse.users.repository import UserRepository
from orderhouse.users.schemas import AddUser, RoleChange, SignUp, Target, UserChange
from orderhouse.users.service.authority import check_role, check_seen


@dataclass(frozen=True, slots=True)
class SignUpAs:
    """A sign-up under an id that whoever holds the password has chosen."""

    user_id: UUID
    wanted: SignUp


@dataclass(frozen=True, slots=True)
class Verified:
    """That an address is a user's, and which customer record has the same address."""

    user_id: UUID
    email: str
    customer_id: UUID | None


class UserService:
    """Decides what becomes of users; what it returns is kept when the transaction is."""

    @one_by_one
    def add(self, tx: Transaction, asked: Asked[AddUser]) -> UserState:
        """Add a user who may act at once."""
        users = UserRepository(tx)
        wanted = asked.wanted
        check_role(asked.caller, wanted.role, users)
        check_customer(wanted.role, wanted.customer_id)
        user = User.of(
            new_id(),
            email=wanted.email,
            name=wanted.name,
            role=wanted.role,
            customer_id=wanted.customer_id,
            status="active",
            at=asked.at,
        )
        users.add(user)
        return _told(tx, asked, user, _with_role(UserJoined, user))

    @one_by_one
    def sign_up(self, tx: Transaction, asked: Asked[SignUpAs]) -> UserState:
        """Add somebody who came by themselves, as a customer; the same one again is left as it is."""
        users = UserRepository(tx)
        wanted = asked.wanted.wanted
        there = users.user(asked.wanted.user_id)
        if there is not None:
            if there.email_key != email_key(wanted.email):
                raise AddressTaken
            return there.state
        user = User.of(
            asked.wanted.user_id,
            email=wanted.email,
            name=wanted.name,
            role="customer",
            status="active",
            at=asked.at,
        )
        users.add(user)
        return _told(tx, asked, user, _with_role(UserJoined, user))

    @one_by_one
    def verify_email(self, tx: Transaction, asked: Asked[Verified]) -> UserState:
        """Hold an address for verified, and link a customer with their record; nothing changes if it is so already."""
        user = _found(UserRepository(tx).user(asked.wanted.user_id))
        if user.email_verified or user.email != asked.wanted.email:
            return user.state  # Somebody changed the address meanwhile: it is the former one that was verified.
        linked = user.customer_id
        if user.role == "customer" and linked is None:
            linked = asked.wanted.customer_id
        user.become(asked.at, email_verified=True, customer_id=linked)
        return _told(tx, asked, user, _with_role(UserEmailVerified, user))

    @one_by_one
    def change(self, tx: Transaction, asked: Asked[UserChange]) -> UserState:
        """Change a user's name or address, unless they may do more than the caller: an address leads to a password."""
        users = UserRepository(tx)
        user = check_seen(_found(users.user(asked.wanted.id)), asked.wanted.version)
        check_role(asked.caller, user.role, users)
        if not user.change(asked.wanted.wanted, at=asked.at):
            return user.state
        return _told(tx, asked, user, UserChanged(user.id, user.version))

    @one_by_one
    def set_role(self, tx: Transaction, asked: Asked[RoleChange]) -> UserState:
        """Give a user another role: the caller may do all that either allows, and one active owner is left."""
        users = UserRepository(tx)
        found, other_owners = users.user_among_owners(asked.wanted.id)
        user = check_seen(_found(found), asked.wanted.version)
        role, customer_id = asked.wanted.wanted.role, asked.wanted.wanted.customer_id
        check_role(asked.caller, user.role, users)
        check_role(asked.caller, role, users)
        check_customer(role, customer_id)
        if (user.role, user.customer_id) == (role, customer_id):
            return user.state
        if user.is_owner and role != "owner" and not other_owners:
            raise LastOwner
        user.become(asked.at, role=role, customer_id=customer_id)
        return _told(tx, asked, user, _with_role(UserRoleChanged, user))

    @one_by_one
    def deactivate(self, tx: Transaction, asked: Asked[Target]) -> UserState:
        """Let a user do nothing from now on; one active owner is left."""
        users = UserRepository(tx)
        found, other_owners = users.user_among_owners(asked.wanted.id)
        user = check_seen(_found(found), asked.wanted.version)
        check_role(asked.caller, user.role, users)
        if user.is_owner and not other_owners:
            raise LastOwner
        user.deactivate(at=asked.at)
        return _told(tx, asked, user, UserDeactivated(user.id, user.version))

    @one_by_one
    def reactivate(self, tx: Transaction, asked: Asked[Target]) -> UserState:
        """Let a user act again."""
        users = UserRepository(tx)
        user = check_seen(_found(users.user(asked.wanted.id)), asked.wanted.version)
        check_role(asked.caller, user.role, users)
        user.reactivate(at=asked.at)
        return _told(tx, asked, user, UserReactivated(user.id, user.version))

    @one_by_one
    def erase(self, tx: Transaction, asked: Asked[Target]) -> None:
        """Keep nothing of a user but the id in the log; whoever is active is deactivated first."""
        users = UserRepository(tx)
        user = check_seen(_found(users.user(asked.wanted.id)), asked.wanted.version)
        check_role(asked.caller, user.role, users)
        user.may_be_erased()
        users.remove(user)
        tx.tell([UserErased(user.id, user.version + 1).told(asked.at, asked.origin)])

    @one_by_one
    def first_owner(self, tx: Transaction, asked: Asked[SignUp]) -> UserState | None:
        """Add the first owner, if there is nobody at all; the operator answers for the address."""
        users = UserRepository(tx)
        if users.anybody():
            return None
        user = User.of(
            new_id(), email=asked.wanted.email, name=asked.wanted.name, role="owner", status="active", at=asked.at
        )
        user.email_verified = True
        users.add(user)
        return _told(tx, asked, user, _with_role(UserJoined, user))


def check_customer(role: str, customer_id: UUID | None) -> None:
    """Raise CustomerNotAllowed when somebody who is no customer would have a customer record."""
    if customer_id is not None and role != "customer":
        raise CustomerNotAllowed


def _found(user: User | None) -> User:
    if user is None:
        raise UserNotFound
    return user


def _with_role(kind: type[UserJoined | UserRoleChanged | UserEmailVerified], user: User) -> UsersFact:
    return kind(user.id, user.version, user.role, str(user.customer_id) if user.customer_id else None)


def _told(tx: Transaction, asked: Asked[object], user: User, fact: UsersFact) -> UserState:
    tx.tell([fact.told(asked.at, asked.origin)])
    return user.state
