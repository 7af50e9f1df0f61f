"""The one place where a payment's status changes: table, order, event and row together.

Every function here expects the payment's row to be locked by the caller's transaction.
"""

import hashlib
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from core.state import move_to
from core.transactions import unit_of_work
from ledger.services import book_capture, fees_of
from notifications.mails import Payer
from notifications.services import publish
from payments.models import HOLDS_ORDER, UNPAID, Payment, Status, Transaction, TransactionStatus
from payments.serializers import MerchantPayment

# How long the money of a card stays reserved: the card networks' usual term for a purchase online.
AUTHORIZATION_LIFETIME = timedelta(days=7)
EXPIRES = {*UNPAID, Status.AUTHORIZED}

FINAL = {TransactionStatus.SUCCEEDED, TransactionStatus.FAILED, TransactionStatus.CANCELLED}


class OrderTaken(Exception):
    """Another payment holds the order: it is in flight, or it has paid."""


def move_payment(payment: Payment, status: str) -> None:
    """Moves the payment along the table, keeps what hangs on the status in step, and publishes the event."""
    again = payment.status == Status.REFUNDED  # a refund has failed after the fact
    move_to(payment, status)
    payment.next_action = payment.next_action if status in (Status.REQUIRES_ACTION, Status.PENDING) else None
    if status not in HOLDS_ORDER:
        payment.order_key = None
    if status == Status.COMPLETED:
        payment.completed_at = payment.completed_at or timezone.now()
        payment.failure_code = ""
    if status == Status.AUTHORIZED:
        payment.expires_at = timezone.now() + AUTHORIZATION_LIFETIME
    payment.due_at = payment.expires_at if status in EXPIRES else None
    payment.save()
    tell(payment, f"payment.{status}", mails=not again)


def tell(payment: Payment, event_type: str, *, mails: bool = True) -> None:
    publish(
        event_type,
        merchant_id=payment.merchant_id,
        object_id=payment.pk,
        data=MerchantPayment(payment).data,
        payer=payer_of(payment),
        mails=mails,
    )


def payer_of(payment: Payment) -> Payer:
    """Who gets the mails about a payment, and about what hangs off it."""
    return Payer(
        payment.customer_email, payment.customer_name, payment.reference, payment.checkout_url, payment.language
    )


def take_money(payment: Payment, txn: Transaction) -> None:
    """Counts what the transaction captured, with its fees, in the payment and in the books; the caller saves the
    payment. The one place where captured money is counted."""
    payment.amount_captured += txn.amount
    fees = fees_of(payment.merchant_id, txn.method, txn.currency, txn.amount)
    txn.provider_fee, txn.platform_fee = fees.get("provider", 0), fees.get("platform", 0)
    txn.save(update_fields=["provider_fee", "platform_fee", "updated_at"])
    book_capture(
        txn.pk,
        txn.amount,
        fee=sum(fees.values()),
        merchant_id=payment.merchant_id,
        currency=txn.currency,
        settles_in=timedelta(days=payment.merchant.settlement_delay_days),
    )


def order_key(merchant_id: str, order_id: str) -> str:
    return hashlib.sha256(f"{merchant_id} {order_id}".encode()).hexdigest()


def claim_order(payment: Payment) -> None:
    """Takes the payment's order for it, or raises OrderTaken. The unique key decides between two at once.

    The caller moves the payment to a status that holds the order in the same transaction.
    """
    if payment.order_id is None or payment.order_key is not None:
        return
    key = order_key(payment.merchant_id, payment.order_id)
    try:
        with transaction.atomic():
            Payment.objects.filter(pk=payment.pk).update(order_key=key, status=Status.PROCESSING)
    except IntegrityError as error:
        raise OrderTaken from error
    payment.order_key = key


def start_processing(payment: Payment) -> None:
    """Claims the order and moves to processing. Raises OrderTaken, and then nothing has changed."""
    claim_order(payment)
    move_payment(payment, Status.PROCESSING)


def fail_payment(payment: Payment, code: str, *, for_good: bool) -> None:
    """A declined attempt: back to pending for another try on the checkout page, or failed."""
    payment.failure_code = code
    payment.next_action = None
    target = Status.FAILED if for_good else Status.PENDING
    if payment.status == target or payment.status not in UNPAID:
        payment.save()
    else:
        move_payment(payment, target)


def news_at(txn: Transaction) -> datetime | None:
    """When a notice came in while the provider was asked: the claim had put `due_at` into the future."""
    return txn.due_at if txn.due_at and txn.due_at <= timezone.now() else None


def close_transaction(txn: Transaction, status: str) -> None:
    """Gives the transaction a final status; its payment may start another. What the provider has told meanwhile is
    still to be asked about; of one that was never begun it knows nothing."""
    txn.due_at = None if txn.status == TransactionStatus.PENDING else news_at(txn)
    if txn.status != status:
        move_to(txn, status)
    txn.open_for = None
    txn.save()


def drop_attempt(payment: Payment) -> None:
    """Gives up what is not in flight: an attempt not begun, or one that waits for the payer. Who waits may have paid a
    moment ago, so the provider is asked once more: that money may not stay."""
    idle = [TransactionStatus.PENDING, TransactionStatus.REQUIRES_ACTION]
    txn = Transaction.objects.filter(open_for=payment.pk, status__in=idle).first()
    if txn is not None:
        if txn.status == TransactionStatus.REQUIRES_ACTION:
            txn.due_at = timezone.now()
        close_transaction(txn, TransactionStatus.CANCELLED)


@unit_of_work
def wake(transaction_id: str) -> None:
    """Has the provider asked about a transaction. Under the payment's lock, so that whoever takes in an answer just now
    sees that there is news."""
    _payment, txn = lock(transaction_id)
    txn.due_at = timezone.now()
    txn.save(update_fields=["due_at", "updated_at"])


def lock(transaction_id: str) -> tuple[Payment, Transaction]:
    """A transaction and its payment, the payment's row locked first and both read after that."""
    payment_id = Transaction.objects.values_list("payment_id", flat=True).get(pk=transaction_id)
    payment = Payment.objects.locked(pk=payment_id)
    return payment, Transaction.objects.get(pk=transaction_id)
