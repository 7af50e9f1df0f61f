"""The job of a transaction: ask its provider, and bring the answer to the door."""

from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from core.state import move_to
from core.transactions import unit_of_work
from payments.models import (
    CaptureMethod,
    Payment,
    Status,
    Transaction,
    TransactionKind,
    TransactionStatus,
)
from payments.providers import PROVIDERS, ChargeRequest, ProviderUnavailable, Result
from payments.services.outcomes import apply_result, wait_for_news
from payments.services.status import (
    OrderTaken,
    close_transaction,
    fail_payment,
    lock,
    order_key,
    start_processing,
)

# While another payment of the same order is in flight: longer each time, for its provider may be silent for hours.
ORDER_WAIT, LONGEST_ORDER_WAIT = timedelta(seconds=1), timedelta(minutes=1)


def open_transaction(payment: Payment, *, method: str, source: str, phone: str, is_last_attempt: bool) -> Transaction:
    """The intent to charge, due at once. The payment is locked by the caller."""
    manual = payment.capture_method == CaptureMethod.MANUAL
    return Transaction.objects.create(
        payment=payment,
        merchant_id=payment.merchant_id,
        open_for=payment.pk,
        kind=TransactionKind.AUTHORIZATION if manual else TransactionKind.SALE,
        amount=payment.amount,
        currency=payment.currency,
        method=method,
        source=source,
        phone=phone,
        is_last_attempt=is_last_attempt,
        provider=payment.provider,
        due_at=timezone.now(),
    )


def run_transaction(txn: Transaction) -> None:
    """Charges a pending transaction; any other is looked up first, never charged first."""
    if txn.status == TransactionStatus.PENDING and not _begin(txn.pk):
        return
    try:
        result = _charge(txn) if txn.status == TransactionStatus.PENDING else _look_up(txn)
    except ProviderUnavailable as error:
        stay_unknown(txn.pk, str(error))
        return
    if result is not None:
        apply_result(txn.pk, result)


@unit_of_work
def _begin(transaction_id: str) -> bool:
    """Commits the intent: order claimed, payment and transaction processing. False when it may not start."""
    payment, txn = lock(transaction_id)
    if txn.status != TransactionStatus.PENDING:
        return False
    try:
        start_processing(payment)
    except OrderTaken:
        _wait_or_refuse(payment, txn)
        return False
    move_to(txn, TransactionStatus.PROCESSING)
    txn.save()
    return True


def _wait_or_refuse(payment: Payment, txn: Transaction) -> None:
    """While the order's other payment is in flight this one waits; once that has paid, it fails."""
    holder = Payment.objects.filter(order_key=order_key(payment.merchant_id, payment.order_id or "")).first()
    if holder is None or holder.status == Status.PROCESSING:
        txn.due_at = timezone.now() + min(ORDER_WAIT * max(txn.attempts, 1), LONGEST_ORDER_WAIT)
        txn.save()
        return
    txn.failure_code = "order_already_paid"
    close_transaction(txn, TransactionStatus.FAILED)
    fail_payment(payment, "order_already_paid", for_good=True)


def _charge(txn: Transaction) -> Result:
    payment = Payment.objects.select_related("merchant").get(pk=txn.payment_id)
    return PROVIDERS[txn.provider].charge(
        ChargeRequest(
            key=txn.pk,
            account=txn.merchant_id,
            account_name=payment.merchant.name,
            money=txn.money,
            method=txn.method,
            source=txn.source,
            phone=txn.phone,
            capture=txn.kind == TransactionKind.SALE,
            description=payment.description or payment.reference,
            return_url=reverse("checkout_return", args=[payment.pk]),
        )
    )


def _look_up(txn: Transaction) -> Result | None:
    """The provider's view of a transaction that was begun. When it never heard of one still in flight, our call
    never arrived: charging with the same key is the first charge, or finds it."""
    result = PROVIDERS[txn.provider].lookup(txn.pk)
    if result is None and txn.status == TransactionStatus.PROCESSING:
        return _charge(txn)
    if result is None:
        not_known(txn.pk, "The provider does not know this transaction.")
    return result


@unit_of_work
def stay_unknown(transaction_id: str, error: str) -> None:
    """Silence is no answer: the status stays, and the provider is asked again."""
    _payment, txn = lock(transaction_id)
    wait_for_news(txn, error, undecided=True)


@unit_of_work
def not_known(transaction_id: str, error: str) -> None:
    """The provider never heard of it: an answer, though one that makes no sense."""
    _payment, txn = lock(transaction_id)
    wait_for_news(txn, error)
