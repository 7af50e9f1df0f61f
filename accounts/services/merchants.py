"""What happens to merchants: made, approved, suspended, their settings, and which one a payment is for."""

from contextlib import suppress
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Membership, Merchant, User
from core.errors import ApiError, ParameterInvalid
from core.idempotency import create_once, fingerprint
from core.ids import is_id
from core.money import Money
from core.state import move_to
from core.transactions import unit_of_work

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


class EmailUnverified(ApiError):
    status, type, code = 403, "permission", "email_unverified"
    message = "Confirm your email address first: follow the link that we sent, or have it sent again."


def create_merchant(*, name: str, **fields: Any) -> Merchant:
    return add_merchant(Merchant(name=name, **fields))


@unit_of_work
def add_merchant(merchant: Merchant) -> Merchant:
    """Saves a new merchant; the installation's first is its default one."""
    if not Merchant.objects.filter(is_default=True).exists():
        with suppress(IntegrityError), transaction.atomic():  # another may be first in the same moment
            merchant.is_default = True
            merchant.save(force_insert=True)
            return merchant
    merchant.is_default = None
    merchant.save(force_insert=True)
    return merchant


@unit_of_work
def open_merchant(user: User, *, key: str | None, mode: str, **fields: Any) -> tuple[Merchant, bool]:
    """A further merchant of this user, who owns it, and whether the idempotency `key` had made it before.

    A sandbox one takes payments at once; a live one waits for staff to approve it. Raises EmailUnverified for a
    live one, IdempotencyKeyReused.
    """
    if mode == Merchant.Mode.LIVE and not user.email_verified:
        raise EmailUnverified
    body = fingerprint({"mode": mode, **fields})
    status = Merchant.Status.ACTIVE if mode == Merchant.Mode.SANDBOX else Merchant.Status.ONBOARDING

    def create() -> Merchant:
        merchant = create_merchant(
            mode=mode, status=status, created_by=user, idempotency_key=key, fingerprint=body, **fields
        )
        add_member(merchant, user, Membership.Role.OWNER)
        return merchant

    return create_once(Merchant.objects.filter(created_by=user), key, body, create)


def add_member(merchant: Merchant, user: User, role: str) -> Membership:
    """Makes the user a member without an invitation."""
    return Membership.objects.create(
        merchant=merchant, user=user, email=user.email, role=role, joined_at=timezone.now()
    )


@unit_of_work
def change_merchant(merchant: Merchant, **changes: Any) -> Merchant:
    """Changes settings, all or none. `refund_approval_limit` is a text of digits in the default currency, or None.

    Raises AmountTooPrecise and the like, and ParameterInvalid when the currency changes under a limit that stays.
    """
    locked = Merchant.objects.select_for_update().get(pk=merchant.pk)
    currency = changes.get("default_currency", locked.default_currency)
    if "refund_approval_limit" in changes:
        limit = changes["refund_approval_limit"]
        money = None if limit is None else Money.parse(limit, currency, param="refund_approval_limit")
        changes["refund_approval_limit"] = money and money.amount
    elif currency != locked.default_currency and locked.refund_approval_limit is not None:
        raise ParameterInvalid(
            "The limit is in the default currency: send it along in the new one.", param="refund_approval_limit"
        )
    for name, value in changes.items():
        setattr(locked, name, value)
    locked.save(update_fields=list(changes))
    return locked


@unit_of_work
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


@unit_of_work
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
