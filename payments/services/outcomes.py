"""The door that every answer of a provider walks through, whoever brought it: call, notice or sweep."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from django.utils import timezone

from core.state import can_move, move_to
from core.transactions import unit_of_work
from payments.failures import MESSAGES
from payments.models import (
    MESSAGE_LENGTH,
    UNPAID,
    Payment,
    Status,
    Transaction,
    TransactionKind,
    TransactionStatus,
)
from payments.providers import Result
from payments.services.operations import open_operation
from payments.services.status import (
    FINAL,
    OrderTaken,
    claim_order,
    close_transaction,
    drop_attempt,
    fail_payment,
    lock,
    move_payment,
    news_at,
    start_processing,
    take_money,
    tell,
)

# When a provider is asked again about a transaction whose outcome is open.
POLL_DELAYS = [timedelta(seconds=s) for s in (15, 60, 300, 1800, 7200)]
POLL_LAST_DELAY = timedelta(hours=6)
POLL_FOR = timedelta(hours=72)  # after that a person looks

# Where money may still come to; what is only reserved for a payment that has failed is released.
AWAITS: dict[str, set[str]] = {Status.COMPLETED: {*UNPAID, Status.FAILED}, Status.AUTHORIZED: {*UNPAID}}


@unit_of_work
def apply_result(transaction_id: str, result: Result) -> None:
    """Takes a provider's answer into the books, in one commit. Old news is ignored, news told twice changes
    nothing, and an answer about other money than ours is parked for review."""
    payment, txn = lock(transaction_id)
    fault = mismatch(txn, result)
    if fault:
        park(txn, fault)
    elif result.status == txn.status or not can_move(txn, result.status):
        wait_for_news(txn, undecided=result.status == TransactionStatus.PROCESSING)
    else:
        _record(txn, result)
        APPLY[result.status](payment, txn, result)


def wait_for_news(txn: Transaction, error: str = "", *, undecided: bool = False) -> None:
    """Nothing new, or no answer: asks again on the schedule, and after POLL_FOR leaves it to a person. What is closed
    was asked about because there was news: that is over with any answer, unless the provider was silent or is still at
    work (`undecided`)."""
    txn.last_error = error
    txn.due_at = news_at(txn) if txn.status in FINAL and not undecided else next_poll(txn)
    if txn.due_at is None and txn.status not in FINAL:
        txn.review_reason = "The provider has not told the outcome."
    txn.save()


def next_poll(txn: Transaction) -> datetime | None:
    """When to ask again, or None after POLL_FOR; news of what is closed comes at any age."""
    now = timezone.now()
    if news := news_at(txn):
        return news
    if now - txn.created_at > POLL_FOR and txn.status not in FINAL:
        return None
    index = max(txn.attempts - 1, 0)
    return now + (POLL_DELAYS[index] if index < len(POLL_DELAYS) else POLL_LAST_DELAY)


def mismatch(txn: Transaction, result: Result) -> str:
    """Why this answer cannot be about our transaction; empty when it is."""
    if result.key != txn.pk or result.account != txn.merchant_id:
        return "The provider answered about another charge or account."
    if txn.provider_reference and result.reference != txn.provider_reference:
        return "The provider answered with another reference."
    if result.money != txn.money:
        return f"The provider's amount is {result.money} {result.money.currency}."
    captured = txn.amount if txn.kind == TransactionKind.SALE else 0
    if result.status == TransactionStatus.SUCCEEDED and result.captured < captured:
        return f"The provider captured {result.captured} of {captured} minor units."
    return ""


def park(txn: Transaction, fault: str) -> None:
    """A person looks before anything counts."""
    txn.review_reason = fault[:MESSAGE_LENGTH]
    txn.due_at = None
    txn.save()


def _record(txn: Transaction, result: Result) -> None:
    move_to(txn, result.status)
    txn.provider_reference = result.reference
    txn.provider_answer = result.answer
    txn.failure_code = result.failure_code
    txn.provider_code = result.provider_code
    txn.last_error = txn.review_reason = ""


def _processing(payment: Payment, txn: Transaction, result: Result) -> None:
    """The payer has acted and the provider is at work."""
    txn.due_at = next_poll(txn)
    txn.save()
    if payment.status in (Status.REQUIRES_ACTION, Status.PENDING):
        with suppress(OrderTaken):  # decided when the outcome is known: the money may be on its way already
            start_processing(payment)


def _requires_action(payment: Payment, txn: Transaction, result: Result) -> None:
    """The payer has to act. Somebody who makes a bank transfer may still choose another method: pending. Where an
    attempt beside this one has decided meanwhile, nobody is to act any more."""
    txn.due_at = next_poll(txn)
    txn.save()
    if payment.status not in UNPAID:
        drop_attempt(payment)
        return
    payment.next_action = result.next_action
    by_transfer = (result.next_action or {}).get("type") == "bank_transfer"
    status = Status.PENDING if by_transfer else Status.REQUIRES_ACTION
    if payment.status == status:  # it was not processing: another payment holds its order
        payment.save()
    else:
        move_payment(payment, status)


def _succeeded(payment: Payment, txn: Transaction, result: Result) -> None:
    close_transaction(txn, TransactionStatus.SUCCEEDED)
    authorized = txn.kind == TransactionKind.AUTHORIZATION
    if not authorized:
        take_money(payment, txn)
    try:
        _pay(payment, txn, Status.AUTHORIZED if authorized else Status.COMPLETED)
    except OrderTaken:
        _surplus(payment, txn)
        fail_payment(payment, "order_already_paid", for_good=True)
        drop_attempt(payment)


def _pay(payment: Payment, txn: Transaction, target: str) -> None:
    """Walks the payment to authorized or completed, and gives up an attempt beside it that is not in flight; raises
    OrderTaken; money that may not stay is surplus."""
    if payment.status not in AWAITS[target]:
        _surplus(payment, txn)
        return
    if not can_move(payment, target):
        start_processing(payment)
    claim_order(payment)
    move_payment(payment, target)
    drop_attempt(payment)


def _surplus(payment: Payment, txn: Transaction) -> None:
    """Money that arrived where it may not stay: kept in the books, due to be given back. What was only
    reserved is released."""
    txn.is_surplus = True
    txn.save(update_fields=["is_surplus", "updated_at"])
    if txn.kind == TransactionKind.AUTHORIZATION:
        open_operation(txn, TransactionKind.VOID, txn.amount)
        return
    payment.surplus_due_at = timezone.now()
    payment.save()
    tell(payment, "payment.surplus")


def _failed(payment: Payment, txn: Transaction, result: Result) -> None:
    close_transaction(txn, TransactionStatus.FAILED)
    code = result.failure_code if result.failure_code in MESSAGES else "card_declined"
    if payment.status in UNPAID:
        fail_payment(payment, code, for_good=txn.is_last_attempt)


def _cancelled(payment: Payment, txn: Transaction, result: Result) -> None:
    """The provider gave the charge up (an authentication that nobody finished): as a decline."""
    close_transaction(txn, TransactionStatus.CANCELLED)
    if payment.status in UNPAID:
        fail_payment(payment, "authentication_failed", for_good=txn.is_last_attempt)


APPLY: dict[str, Callable[[Payment, Transaction, Result], None]] = {
    TransactionStatus.PROCESSING: _processing,
    TransactionStatus.REQUIRES_ACTION: _requires_action,
    TransactionStatus.SUCCEEDED: _succeeded,
    TransactionStatus.FAILED: _failed,
    TransactionStatus.CANCELLED: _cancelled,
}
