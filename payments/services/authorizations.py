"""What becomes of money that is reserved: captured, released by its merchant, or released because it lapsed.

Whoever opens a capture or void carries it out as soon as that is committed; the worker takes it over after a lease.
"""

from datetime import timedelta

from django.utils import timezone

from core.errors import ApiError
from core.idempotency import create_once, fingerprint
from core.money import Money
from core.queue import LEASE
from core.state import move_to
from core.transactions import unit_of_work
from payments.failures import MESSAGES
from payments.models import (
    CancellationReason,
    Payment,
    Status,
    Transaction,
    TransactionKind,
    TransactionStatus,
)
from payments.providers import PROVIDERS, OperationResult, ProviderUnavailable, Result
from payments.services.operations import OperationNotKnown, ask, open_operation, operation_fault, record_answer
from payments.services.outcomes import mismatch, park, wait_for_news
from payments.services.payments import PaymentInFlight
from payments.services.status import close_transaction, lock, move_payment, take_money
from payments.services.transactions import not_known, stay_unknown

LAPSE_RETRY = timedelta(hours=1)  # while a capture or void is in flight, or after a void that failed
RELEASED = {TransactionStatus.CANCELLED, TransactionStatus.FAILED}
NOT_RELEASED = "The provider has not released what came too late."


class PaymentNotAuthorized(ApiError):
    status, type, code = 409, "conflict", "payment_not_authorized"
    message = "Only an authorized payment can be captured."


class CaptureTooLarge(ApiError):
    status, code = 422, "capture_too_large"
    message = "That is more than was authorized."


# --- What is asked for ------------------------------------------------------------------------
def capture_payment(payment: Payment, *, key: str | None, amount: str | None = None) -> tuple[Payment, bool]:
    """Takes `amount`, major units as digits, or all of an authorized payment; the rest is released. Answers with the
    payment, and whether the idempotency `key` had asked for it before.

    Raises PaymentNotAuthorized, PaymentInFlight, CaptureTooLarge, AmountInvalid and the like, IdempotencyKeyReused.
    """
    money = payment.money if amount is None else Money.parse(amount, payment.currency)
    body = fingerprint({"payment": payment.pk, "capture": money.amount})

    @unit_of_work
    def work() -> tuple[Transaction, bool]:
        transactions = Transaction.objects.filter(merchant=payment.merchant_id)
        return create_once(transactions, key, body, lambda: _open_capture(payment.pk, money, key, body))

    txn, replayed = work()
    if not replayed:
        run_operation(txn)
    return Payment.objects.get(pk=payment.pk), replayed


def _open_capture(payment_id: str, money: Money, key: str | None, body: str) -> Transaction:
    payment = Payment.objects.locked(pk=payment_id)
    if payment.status != Status.AUTHORIZED:
        raise PaymentNotAuthorized
    _refuse_in_flight(payment)
    if money.amount > payment.amount:
        raise CaptureTooLarge(f"{payment.money} {payment.currency} are authorized.", param="amount")
    return open_operation(
        authorization_of(payment),
        TransactionKind.CAPTURE,
        money.amount,
        wait=LEASE,
        open_for=payment.pk,
        idempotency_key=key,
        fingerprint=body,
    )


def open_void(payment: Payment, reason: str) -> Transaction:
    """Has the money of an authorized payment released; the caller has locked its row and carries the void out after
    the commit. Raises PaymentInFlight."""
    _refuse_in_flight(payment)
    payment.cancellation_reason = reason
    payment.save(update_fields=["cancellation_reason", "updated_at"])
    return open_operation(
        authorization_of(payment), TransactionKind.VOID, payment.amount, wait=LEASE, open_for=payment.pk
    )


def lapse_authorization(payment: Payment) -> None:
    """Releases what nobody captured in time. Safe to run twice."""
    txn = _lapse(payment.pk)
    if txn is not None:
        run_operation(txn)


@unit_of_work
def _lapse(payment_id: str) -> Transaction | None:
    payment = Payment.objects.locked(pk=payment_id)
    if payment.status != Status.AUTHORIZED or payment.expires_at > timezone.now():
        return None
    payment.due_at = timezone.now() + LAPSE_RETRY
    payment.save(update_fields=["due_at", "updated_at"])
    return None if _is_in_flight(payment) else open_void(payment, CancellationReason.EXPIRED)


def _is_in_flight(payment: Payment) -> bool:
    return Transaction.objects.filter(open_for=payment.pk).exists()


def _refuse_in_flight(payment: Payment) -> None:
    if _is_in_flight(payment):
        raise PaymentInFlight


def authorization_of(payment: Payment) -> Transaction:
    """What holds the money of an authorized payment: not one that arrived too late, whatever became of its void."""
    authorizations = payment.transactions.filter(kind=TransactionKind.AUTHORIZATION, is_surplus=False)
    return authorizations.filter(status=TransactionStatus.SUCCEEDED).latest("id")


# --- The job ----------------------------------------------------------------------------------
def run_operation(txn: Transaction) -> None:
    """Asks for a pending capture or void; any other is looked up first, never sent first. Of one that failed the
    provider is asked what has become of the reserved money."""
    if txn.status == TransactionStatus.PENDING and not _begin(txn.pk):
        return
    charge = Transaction.objects.get(operations=txn)
    try:
        result = ask(txn, charge)
        failed = result.status == TransactionStatus.FAILED
        hold = PROVIDERS[charge.provider].lookup(charge.pk) if failed else None
    except ProviderUnavailable as error:
        stay_unknown(txn.pk, str(error))
        return
    except OperationNotKnown as error:
        not_known(txn.pk, str(error))
        return
    apply_operation(txn.pk, result, hold)


@unit_of_work
def _begin(transaction_id: str) -> bool:
    """Commits the intent. False when somebody else has begun."""
    _payment, txn = lock(transaction_id)
    if txn.status != TransactionStatus.PENDING:
        return False
    move_to(txn, TransactionStatus.PROCESSING)
    txn.save()
    return True


@unit_of_work
def apply_operation(transaction_id: str, result: OperationResult, hold: Result | None = None) -> None:
    """Takes a provider's answer into the books, in one commit; `hold` is the authorization as it is there now. Old news
    is ignored, news told twice changes nothing, and an answer about other money than ours is parked for review."""
    payment, txn = lock(transaction_id)
    charge = Transaction.objects.get(operations=txn)
    fault = operation_fault(txn, charge, result) or _fault_of_hold(charge, hold)
    if fault:
        park(txn, fault)
        return
    keeps_late = charge.is_surplus and hold is not None and hold.status not in RELEASED
    if txn.status != TransactionStatus.PROCESSING or result.status == txn.status:
        txn.review_reason = NOT_RELEASED if keeps_late else txn.review_reason
        wait_for_news(txn)
        return
    record_answer(txn, result)
    if result.failure_code:
        txn.failure_code = result.failure_code if result.failure_code in MESSAGES else "processing_error"
    decides = txn.open_for is not None  # the void of an authorization that came too late decides nothing
    close_transaction(txn, result.status)
    if decides:
        _decide(payment, txn, hold)
    elif keeps_late:
        park(txn, NOT_RELEASED)


def _fault_of_hold(charge: Transaction, hold: Result | None) -> str:
    if hold is None:
        return ""
    taken = f"The provider took {Money(hold.captured, charge.currency)} {charge.currency} without being asked."
    return mismatch(charge, hold) or (taken if hold.captured else "")


def _decide(payment: Payment, txn: Transaction, hold: Result | None) -> None:
    """Captured, released, or still authorized after a refusal: the merchant may try again until it lapses."""
    if txn.status == TransactionStatus.SUCCEEDED and txn.kind == TransactionKind.CAPTURE:
        take_money(payment, txn)
        move_payment(payment, Status.COMPLETED)
    elif txn.status == TransactionStatus.SUCCEEDED or (hold is not None and hold.status in RELEASED):
        payment.cancellation_reason = payment.cancellation_reason or CancellationReason.VOID
        move_payment(payment, Status.CANCELLED)
    else:
        payment.cancellation_reason = ""
        payment.save(update_fields=["cancellation_reason", "updated_at"])
