"""What may be done with customers, decided for one or for many."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol
from uuid import UUID

from orderhouse.customers.contract import (
    CustomerAdded,
    CustomerChanged,
    CustomerDeactivated,
    CustomerReactivated,
)
from orderhouse.customers.errors import CustomerMovedOn, CustomerNotFound
from orderhouse.customers.models import Customer, CustomerState
from orderhouse.customers.repository import CustomerRepository
from orderhouse.customers.schemas import AddCustomer, Change, ImportCustomer
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
