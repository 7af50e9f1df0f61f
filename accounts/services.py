"""What happens to merchants and customers."""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

from accounts.models import Customer, Merchant, normalize_email
from core.errors import ApiError
from core.ids import is_id
from core.state import move_to

SUPPORT = "Support"


class MerchantMissing(ApiError):
    code = "merchant_missing"
    message = "This installation has no default merchant. Send merchant_id."


class MerchantUnknown(ApiError):
    code = "merchant_unknown"
    message = "There is no such merchant."


class MerchantInactive(ApiError):
    status, code = 422, "merchant_inactive"
    message = "This merchant does not take payments at the moment."


def create_merchant(*, name: str, **fields: Any) -> Merchant:
    return add_merchant(Merchant(name=name, **fields))


@transaction.atomic
def add_merchant(merchant: Merchant) -> Merchant:
    """Saves a new merchant; the installation's first is its default one."""
    if not Merchant.objects.filter(is_default=True).exists():
        merchant.is_default = True
    merchant.save(force_insert=True)
    return merchant


@transaction.atomic
def make_default(merchant: Merchant) -> None:
    """Moves the default flag to this merchant."""
    list(Merchant.objects.select_for_update().filter(is_default=True))  # two at once: one after the other
    Merchant.objects.filter(is_default=True).update(is_default=None)
    Merchant.objects.filter(pk=merchant.pk).update(is_default=True)


def approve_merchant(merchant: Merchant) -> None:
    """Lets a merchant take payments, for the first time or again. Raises IllegalTransition."""
    _move(merchant, Merchant.Status.ACTIVE)


def suspend_merchant(merchant: Merchant) -> None:
    """Stops a merchant's new payments; those that were made go on. Raises IllegalTransition."""
    _move(merchant, Merchant.Status.SUSPENDED)


@transaction.atomic
def _move(merchant: Merchant, status: str) -> None:
    locked = Merchant.objects.select_for_update().get(pk=merchant.pk)
    move_to(locked, status)
    locked.save(update_fields=["status"])


def support_group() -> Group:
    """The staff who help: they see everything that the back office shows, and change merchants."""
    group, _created = Group.objects.get_or_create(name=SUPPORT)
    group.permissions.set(Permission.objects.filter(Q(codename__startswith="view_") | Q(codename="change_merchant")))
    return group


def merchant_to_pay(merchant_id: str | None) -> Merchant:
    """The merchant that a public request names, or the default one.

    Raises MerchantMissing or MerchantUnknown (400).
    """
    if merchant_id is None:
        merchant = Merchant.objects.filter(is_default=True).first()
        if merchant is None:
            raise MerchantMissing(param="merchant_id")
    else:
        merchant = Merchant.objects.filter(pk=merchant_id).first() if is_id(merchant_id, "mer") else None
        if merchant is None:
            raise MerchantUnknown(param="merchant_id")
    return merchant


def refuse_inactive(merchant: Merchant) -> None:
    """Raises MerchantInactive (422) unless the merchant takes payments."""
    if not merchant.can_take_payments:
        raise MerchantInactive(param="merchant_id")


def customer_of(merchant: Merchant, *, email: str, name: str, phone: str = "", location: str = "") -> Customer:
    """The merchant's customer with this email, made when there is none; an existing one is never changed,
    for anybody may send a payment with anybody's email."""
    customer, _created = Customer.objects.get_or_create(
        merchant=merchant,
        email=normalize_email(email),
        defaults={"name": name, "phone": phone, "location": location},
    )
    return customer
