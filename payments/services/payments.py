"""The verbs of a payment: create, attempt, return, cancel, expire."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts.models import Customer, Merchant, normalize_email
from accounts.services import customer_of, refuse_inactive
from core.errors import ApiError
from core.idempotency import create_once, fingerprint
from core.money import Money
from core.state import IllegalTransition, move_to, predicate
from core.transactions import unit_of_work, with_retries
from payments.cards import CardSource
from payments.models import (
    CARD_METHODS,
    UNPAID,
    CancellationReason,
    Payment,
    Status,
    Transaction,
    TransactionStatus,
)
from payments.return_urls import read_return_url
from payments.services.status import (
    OrderTaken,
    drop_attempt,
    move_payment,
    order_key,
    start_processing,
    tell,
)
from payments.services.transactions import open_transaction

PAYMENT_LIFETIME = timedelta(hours=settings.PAYMENT_LIFETIME_HOURS)
EXPIRY_RETRY = timedelta(minutes=5)  # while a transaction is in flight its payment does not expire
MAX_PAYER_ATTEMPTS = 5


class NotPayable(ApiError):
    status, type, code = 409, "conflict", "not_payable"
    message = "This payment cannot be paid any more."


class PaymentInFlight(ApiError):
    status, type, code = 409, "conflict", "payment_in_flight"
    message = "A transaction of this payment is in flight. Wait for its outcome."


class OrderAlreadyPaid(ApiError):
    status, type, code = 409, "conflict", "order_already_paid"
    message = "This order has been paid already."


class MethodUnavailable(ApiError):
    status, code = 400, "payment_method_unavailable"
    message = "This merchant does not offer that payment method."


class ProviderNotConnected(ApiError):
    status, code = 422, "provider_not_connected"
    message = "This merchant has no payment provider connected yet."


def create_payment(
    *, merchant: Merchant, money: Money, key: str | None, card: CardSource | None = None, **fields: Any
) -> tuple[Payment, bool]:
    """A payment, and whether the idempotency `key` (SHA-256) had made it before. A card in the request is a
    single attempt, due at once. Raises IdempotencyKeyReused, MerchantInactive, MethodUnavailable,
    ProviderNotConnected, OrderAlreadyPaid, UrlForbidden."""
    fields["customer_email"] = normalize_email(fields["customer_email"])
    body = fingerprint(
        {"merchant": merchant.pk, "money": str(money), "currency": money.currency, "card": card} | fields
    )
    fields |= {"idempotency_key": key, "fingerprint": body}
    return with_retries(
        lambda: create_once(merchant.payments.all(), key, body, lambda: _insert(merchant, money, card, fields))
    )


def _insert(merchant: Merchant, money: Money, card: CardSource | None, fields: dict[str, Any]) -> Payment:
    """What depends on the day is asked here: a replay answers with what was made, whatever has changed since."""
    refuse_inactive(merchant)
    refuse_unavailable_method(merchant, fields.get("payment_method"))
    refuse_paid_order(merchant, fields.get("order_id"))
    if fields.get("return_url"):
        read_return_url(fields["return_url"], merchant.return_origins, sandbox=merchant.is_sandbox)
    expires_at = timezone.now() + PAYMENT_LIFETIME
    payment = Payment.objects.create(
        merchant=merchant,
        customer=_customer(merchant, fields),
        amount=money.amount,
        currency=money.currency,
        provider=provider_of(merchant),
        expires_at=expires_at,
        due_at=expires_at,
        payer_attempts=1 if card else 0,
        **fields,
        **card_fields(card),
    )
    tell(payment, "payment.created")
    if card is not None:
        open_transaction(payment, method=payment.payment_method, source=card.token, phone="", is_last_attempt=True)
    return payment


def _customer(merchant: Merchant, fields: dict[str, Any]) -> Customer:
    return customer_of(
        merchant,
        email=fields["customer_email"],
        name=fields["customer_name"],
        phone=fields.get("customer_phone", ""),
        location=fields.get("customer_location", ""),
    )


def refuse_unavailable_method(merchant: Merchant, method: str | None) -> None:
    """Raises MethodUnavailable. A payment without a method has all of them: its payer chooses."""
    if method and method not in merchant.payment_methods:
        raise MethodUnavailable(param="payment_method")


def refuse_paid_order(merchant: Merchant, order_id: str | None) -> None:
    """Raises OrderAlreadyPaid. One that is in flight may still fail, so its order is open to another payment."""
    if order_id is None:
        return
    holder = Payment.objects.filter(order_key=order_key(merchant.pk, order_id)).first()
    if holder is not None and holder.status != Status.PROCESSING:
        raise OrderAlreadyPaid(param="order_id")


def provider_of(merchant: Merchant) -> str:
    """The provider that takes this merchant's payments."""
    if not merchant.is_sandbox:
        raise ProviderNotConnected(param="merchant_id")
    return "sandbox"


def card_fields(card: CardSource | None) -> dict[str, Any]:
    if card is None:
        return {}
    return {
        "card_brand": card.brand,
        "card_last4": card.last4,
        "card_expiry_month": card.expiry_month,
        "card_expiry_year": card.expiry_year,
    }


@unit_of_work
def start_attempt(
    *,
    payment_id: str,
    attempt: int,
    method: str,
    card: CardSource | None = None,
    phone: str = "",
    language: str = "en",
) -> Payment:
    """The payer tries a method on the checkout page. `attempt` is how many tries they had seen: a double click
    or a stale page changes nothing. Mails to them are in the page's `language` from now on.

    Raises NotPayable, MethodUnavailable.
    """
    payment = Payment.objects.locked(pk=payment_id)
    if attempt != payment.payer_attempts or payment.in_flight:
        return payment
    if payment.status != Status.PENDING or payment.expires_at <= timezone.now():
        raise NotPayable
    refuse_unavailable_method(payment.merchant, method)
    if (method in CARD_METHODS) != (card is not None):
        raise MethodUnavailable(param="payment_method")
    drop_attempt(payment)
    payment.payer_attempts += 1
    payment.payment_method = method
    payment.language = language
    payment.failure_code = ""
    payment.next_action = None
    for name, value in card_fields(card).items():
        setattr(payment, name, value)
    payment.save()
    open_transaction(
        payment,
        method=method,
        source=card.token if card else "",
        phone=phone,
        is_last_attempt=payment.payer_attempts >= MAX_PAYER_ATTEMPTS,
    )
    return payment


@unit_of_work
def customer_returned(*, payment_id: str) -> Payment:
    """The payer came back from the provider's page. Proves nothing: the provider is asked at once."""
    payment = Payment.objects.locked(pk=payment_id)
    txn = Transaction.objects.filter(open_for=payment_id, status=TransactionStatus.REQUIRES_ACTION).first()
    if txn is None:
        return payment
    txn.due_at = timezone.now()
    if payment.status == Status.REQUIRES_ACTION:
        try:
            start_processing(payment)
            move_to(txn, TransactionStatus.PROCESSING)
        except OrderTaken:
            pass  # decided when the provider's answer is known
    txn.save()
    return payment


@unit_of_work
def cancel_payment(*, payment_id: str, reason: str = CancellationReason.REQUESTED_BY_CUSTOMER) -> Payment:
    """Cancels an unpaid payment. Raises PaymentInFlight while a provider is at work, IllegalTransition later."""
    return cancel_locked(Payment.objects.locked(pk=payment_id), reason)


def cancel_locked(payment: Payment, reason: str) -> Payment:
    """cancel_payment for a payment whose row the caller has locked."""
    if payment.status == Status.AUTHORIZED:
        raise IllegalTransition("The money of this payment is reserved: only its merchant can have it released.")
    if Transaction.objects.filter(open_for=payment.pk, status=TransactionStatus.PROCESSING).exists():
        raise PaymentInFlight
    if payment.status not in UNPAID:
        raise IllegalTransition(f"A payment that {predicate(payment.status)} cannot become cancelled.")
    drop_attempt(payment)
    payment.cancellation_reason = reason
    move_payment(payment, Status.CANCELLED)
    return payment


def expire_payment(payment: Payment) -> None:
    """Cancels a payment that nobody paid in time; one in flight is looked at again later."""
    try:
        cancel_payment(payment_id=payment.pk, reason=CancellationReason.EXPIRED)
    except PaymentInFlight:
        Payment.objects.filter(pk=payment.pk, status__in=UNPAID).update(due_at=timezone.now() + EXPIRY_RETRY)
