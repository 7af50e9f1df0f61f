"""What happens to merchants and customers."""

from django.db import transaction

from accounts.models import Customer, Merchant, normalize_email
from core.errors import ApiError
from core.ids import is_id


class MerchantMissing(ApiError):
    code = "merchant_missing"
    message = "This installation has no default merchant. Send merchant_id."


class MerchantUnknown(ApiError):
    code = "merchant_unknown"
    message = "There is no such merchant."


class MerchantInactive(ApiError):
    status, code = 422, "merchant_inactive"
    message = "This merchant does not take payments at the moment."


def create_merchant(*, name: str, **fields: object) -> Merchant:
    """A merchant; the installation's first is its default one."""
    with transaction.atomic():
        first = not Merchant.objects.filter(is_default=True).exists()
        return Merchant.objects.create(name=name, is_default=True if first else None, **fields)


def make_default(merchant: Merchant) -> None:
    """Moves the default flag to this merchant."""
    with transaction.atomic():
        Merchant.objects.filter(is_default=True).update(is_default=None)
        Merchant.objects.filter(pk=merchant.pk).update(is_default=True)


def merchant_to_pay(merchant_id: str | None) -> Merchant:
    """The merchant that a public request names, or the default one.

    Raises MerchantMissing, MerchantUnknown (400) or MerchantInactive (422).
    """
    if merchant_id is None:
        merchant = Merchant.objects.filter(is_default=True).first()
        if merchant is None:
            raise MerchantMissing(param="merchant_id")
    else:
        merchant = Merchant.objects.filter(pk=merchant_id).first() if is_id(merchant_id, "mer") else None
        if merchant is None:
            raise MerchantUnknown(param="merchant_id")
    if not merchant.can_take_payments:
        raise MerchantInactive(param="merchant_id")
    return merchant


def customer_of(merchant: Merchant, *, email: str, name: str, phone: str = "", location: str = "") -> Customer:
    """The merchant's customer with this email, made when there is none; an existing one is never changed,
    for anybody may send a payment with anybody's email."""
    customer, _created = Customer.objects.get_or_create(
        merchant=merchant,
        email=normalize_email(email),
        defaults={"name": name, "phone": phone, "location": location},
    )
    return customer
