"""The job of a refund: ask its provider, and take the answer into the books."""

from core.state import can_move, move_to
from core.transactions import unit_of_work
from payments.models import Payment, Transaction, TransactionStatus
from payments.providers import OperationResult, ProviderUnavailable
from payments.services.operations import OperationNotKnown, ask, operation_fault, record_answer
from payments.services.outcomes import news_at, park, wait_for_news
from payments.services.status import close_transaction
from payments.services.transactions import not_known, stay_unknown
from refunds.models import Refund, Status
from refunds.services.requests import charges_left, lock_refund
from refunds.services.status import move_refund

NOT_RETURNED = "Money that may not stay could not be given back."


def run_refund(txn: Transaction) -> None:
    """Asks for a pending refund; any other is looked up first, never sent twice."""
    refund = Refund.objects.select_related("charge").get(transaction=txn)
    if txn.status == TransactionStatus.PENDING and not _begin(refund.pk):
        return
    try:
        result = ask(txn, refund.charge)
    except ProviderUnavailable as error:
        stay_unknown(txn.pk, str(error))
    except OperationNotKnown as error:
        not_known(txn.pk, str(error))
    else:
        apply_refund(refund.pk, result)


@unit_of_work
def _begin(refund_id: str) -> bool:
    """Commits the intent. False when the refund was called off, or somebody else has begun."""
    payment, refund = lock_refund(refund_id)
    if refund.status != Status.PENDING or refund.transaction is None:
        return False
    begin(payment, refund, refund.transaction)
    return True


def begin(payment: Payment, refund: Refund, txn: Transaction) -> None:
    """The provider is about to be asked, or has acted. The caller holds the lock."""
    move_to(txn, TransactionStatus.PROCESSING)
    txn.save()
    move_refund(payment, refund, Status.PROCESSING)


@unit_of_work
def apply_refund(refund_id: str, result: OperationResult) -> None:
    """Takes a provider's answer into the books, in one commit. Old news is ignored, news told twice changes
    nothing, and an answer about other money than ours is parked for review."""
    payment, refund = lock_refund(refund_id)
    txn = refund.transaction
    if txn is None:
        return
    news = news_at(txn)
    fault = _mismatch(refund, txn, result)
    if fault:
        park(txn, fault)
        return
    if can_move(refund, result.status):
        settle(payment, refund, txn, result)
    else:
        if refund.is_surplus and refund.status == Status.FAILED and refund.charge in dict(charges_left(payment)):
            txn.review_reason = NOT_RETURNED  # whoever asked has found no other way yet
        wait_for_news(txn)
    if news and txn.due_at is None:
        txn.due_at = news
        txn.save(update_fields=["due_at", "updated_at"])


def settle(payment: Payment, refund: Refund, txn: Transaction, result: OperationResult) -> None:
    """The outcome. A refund that succeeded may fail later: its bank sends the money back. When that was a surplus,
    a person has to find another way. The caller holds the lock, and has checked the answer."""
    record_answer(txn, result)
    txn.failure_code = refund.failure_code = result.failure_code
    if refund.is_surplus and result.status == Status.FAILED:
        txn.review_reason = NOT_RETURNED
    txn.status = result.status  # past the table of transactions: only a refund may fail after its success
    close_transaction(txn, result.status)
    move_refund(payment, refund, result.status)


def _mismatch(refund: Refund, txn: Transaction, result: OperationResult) -> str:
    """Why this answer cannot be about our refund; empty when it is."""
    if (refund.status, result.status) == (Status.FAILED, Status.SUCCEEDED):
        return "The provider says that it succeeded, after it had failed."
    return operation_fault(txn, refund.charge, result)
