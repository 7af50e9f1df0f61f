"""What happens to a merchant's customers."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from accounts.models import Customer, Merchant, normalize_email
from core.errors import ApiError
from core.idempotency import create_once, fingerprint
from core.transactions import unit_of_work


class CustomerExists(ApiError):
    status, type, code = 409, "conflict", "customer_exists"
    message = "There is a customer with this email already."


class CustomerInUse(ApiError):
    status, type, code = 409, "conflict", "customer_in_use"
    message = "This customer has payments, which keep their names; it cannot be deleted."


def customer_of(merchant: Merchant, *, email: str, name: str, phone: str = "", location: str = "") -> Customer:
    """The merchant's customer with this email, made when there is none; an existing one is never changed,
    for anybody may send a payment with anybody's email."""
    customer, _created = Customer.objects.get_or_create(
        merchant=merchant,
        email=normalize_email(email),
        defaults={"name": name, "phone": phone, "location": location},
    )
    return customer


@unit_of_work
def create_customer(merchant: Merchant, *, key: str | None, **fields: Any) -> tuple[Customer, bool]:
    """A new customer, and whether the idempotency `key` had made it before. Raises CustomerExists,
    IdempotencyKeyReused."""
    body = fingerprint(fields)

    def create() -> Customer:
        _refuse_taken(merchant, fields["email"])
        return Customer.objects.create(merchant=merchant, idempotency_key=key, fingerprint=body, **fields)

    try:
        return create_once(Customer.objects.filter(merchant=merchant), key, body, create)
    except IntegrityError as error:  # two at once with one email
        raise CustomerExists(param="email") from error


@unit_of_work
def change_customer(customer: Customer, **changes: Any) -> Customer:
    """Raises CustomerExists when the new email is another customer's."""
    if changes.get("email", customer.email) != customer.email:
        _refuse_taken(customer.merchant, changes["email"])
    for name, value in changes.items():
        setattr(customer, name, value)
    try:
        with transaction.atomic():
            customer.save(update_fields=list(changes))
    except IntegrityError as error:
        raise CustomerExists(param="email") from error
    return customer


def delete_customer(customer: Customer) -> None:
    """Raises CustomerInUse when there are payments."""
    try:
        customer.delete()
    except (ProtectedError, IntegrityError) as error:  # the database's: paid at this moment
        raise CustomerInUse from error


def _refuse_taken(merchant: Merchant, email: str) -> None:
    if Customer.objects.filter(merchant=merchant, email=email).exists():
        raise CustomerExists(param="email")
