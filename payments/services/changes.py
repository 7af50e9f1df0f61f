"""What a merchant changes about a payment: its texts, and its status as far as that is theirs to say."""

from typing import Any

from django.utils import timezone

from core.errors import ParameterInvalid
from core.state import IllegalTransition, predicate
from core.transactions import unit_of_work
from payments.cards import CardSource
from payments.models import (
    CARD_METHODS,
    METADATA_KEYS,
    CancellationReason,
    CaptureMethod,
    Method,
    Payment,
    Status,
    Transaction,
    TransactionStatus,
)
from payments.providers.sandbox import instruct
from payments.services.authorizations import open_void, run_operation
from payments.services.payments import cancel_locked, card_fields, refuse_paid_order
from payments.services.transactions import open_transaction, run_transaction

# What a sandbox merchant may say of an unpaid payment, in the emulator's words; and the token of a card that
# would bring it about.
INSTRUCTIONS: dict[str, tuple[str, str]] = {
    Status.COMPLETED: ("succeeded", "tok_visa"),
    Status.AUTHORIZED: ("authorized", "tok_visa"),
    Status.FAILED: ("failed", "tok_card_declined"),
    Status.REQUIRES_ACTION: ("requires_action", "tok_three_d_secure"),
}
FROM: dict[str, set[str]] = {
    Status.PENDING: set(INSTRUCTIONS),
    Status.REQUIRES_ACTION: set(INSTRUCTIONS) - {Status.REQUIRES_ACTION},
    Status.PROCESSING: set(INSTRUCTIONS),
}
EXPIRY_YEARS = 4  # of the test card that pays when the payer had chosen no method


def change_payment(
    payment: Payment,
    *,
    status: str | None = None,
    cancellation_reason: str | None = None,
    **texts: Any,
) -> Payment:
    """Changes description, metadata (merged; None removes a key) and status, all of it or nothing.

    An authorized payment is cancelled once the provider has released its money. Raises IllegalTransition for a status
    that is not the merchant's to give, PaymentInFlight, OrderAlreadyPaid.
    """
    transaction_id = _change(payment.pk, status, cancellation_reason, texts)
    if transaction_id is not None and status == Status.CANCELLED:
        run_operation(Transaction.objects.get(pk=transaction_id))
    elif transaction_id is not None and status is not None:
        _carry_out(transaction_id, status)
    return Payment.objects.get(pk=payment.pk)


@unit_of_work
def _change(payment_id: str, status: str | None, reason: str | None, texts: dict[str, Any]) -> str | None:
    """The id of the void to carry out, or of the transaction that the emulator is to be instructed about."""
    payment = Payment.objects.locked(pk=payment_id)
    _change_texts(payment, **texts)
    if status is None:
        return None
    if status == Status.CANCELLED and payment.status == Status.AUTHORIZED:
        return open_void(payment, reason or CancellationReason.VOID).pk
    if status == Status.CANCELLED:
        cancel_locked(payment, reason or CancellationReason.REQUESTED_BY_CUSTOMER)
        return None
    _refuse_illegal(payment, status)
    return _transaction_to_instruct(payment, status).pk


def _change_texts(payment: Payment, description: str | None = None, metadata: dict[str, Any] | None = None) -> None:
    if description is not None:
        payment.description = description
    if metadata is not None:
        merged = {**payment.metadata, **metadata}
        payment.metadata = {key: value for key, value in merged.items() if value is not None}
        if len(payment.metadata) > METADATA_KEYS:
            raise ParameterInvalid(f"A payment has up to {METADATA_KEYS} keys of metadata.", param="metadata")
    if description is not None or metadata is not None:
        payment.save(update_fields=["description", "metadata", "updated_at"])


def _refuse_illegal(payment: Payment, status: str) -> None:
    manual = payment.capture_method == CaptureMethod.MANUAL
    wrong_capture = status == (Status.COMPLETED if manual else Status.AUTHORIZED)
    if not payment.is_sandbox or status not in FROM.get(payment.status, set()) or wrong_capture:
        raise IllegalTransition(f"A payment that {predicate(payment.status)} cannot become {status} by your word.")
    if status in (Status.COMPLETED, Status.AUTHORIZED) and payment.order_key is None:
        refuse_paid_order(payment.merchant, payment.order_id)


def _transaction_to_instruct(payment: Payment, status: str) -> Transaction:
    """The transaction that is open, or a new one by the payment's method."""
    txn = Transaction.objects.filter(open_for=payment.pk).first()
    if txn is None:
        payment.payment_method = payment.payment_method or Method.CREDIT_CARD
        by_card = payment.payment_method in CARD_METHODS
        if by_card and not payment.card_last4:
            for name, value in card_fields(_test_card()).items():
                setattr(payment, name, value)
        payment.failure_code = ""
        payment.save()
        source = INSTRUCTIONS[status][1] if by_card else ""
        txn = open_transaction(
            payment, method=payment.payment_method, source=source, phone=payment.customer_phone, is_last_attempt=True
        )
    elif status == Status.FAILED:
        txn.is_last_attempt = True
        txn.save(update_fields=["is_last_attempt", "updated_at"])
    return txn


def _test_card() -> CardSource:
    return CardSource("tok_visa", "visa", "4242", 12, timezone.now().year + EXPIRY_YEARS)


def _carry_out(transaction_id: str, status: str) -> None:
    """Charges if that has not happened, gives the emulator its word, and walks its answer through the usual door.
    Whatever is left when the emulator does not answer, the worker finds out."""
    txn = Transaction.objects.get(pk=transaction_id)
    if txn.status == TransactionStatus.PENDING:
        run_transaction(txn)
        txn.refresh_from_db()
    instruct(txn.pk, INSTRUCTIONS[status][0])
    if txn.open_for is not None:
        run_transaction(txn)
