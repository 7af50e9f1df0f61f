"""The job of a refund: ask its provider, and take the answer into the books."""

from django.db import transaction

from core.state import can_move, move_to
from payments.models import MESSAGE_LENGTH, Transaction, TransactionStatus
from payments.providers import PROVIDERS, OperationResult, ProviderUnavailable, RefundRequest
from payments.services.outcomes import wait_for_news
from payments.services.status import close_transaction
from refunds.models import Refund, Status
from refunds.services.requests import lock_refund
from refunds.services.status import move_refund

# What a refund becomes when its transaction has that status.
STATUSES = {
    TransactionStatus.PROCESSING: Status.PROCESSING,
    TransactionStatus.SUCCEEDED: Status.SUCCEEDED,
    TransactionStatus.FAILED: Status.FAILED,
}


def run_refund(txn: Transaction) -> None:
    """Asks for a pending refund; any other is looked up first, never sent twice."""
    refund = Refund.objects.select_related("charge").get(transaction=txn)
    if txn.status == TransactionStatus.PENDING and not _begin(refund.pk):
        return
    provider = PROVIDERS[txn.provider]
    request = RefundRequest(key=txn.pk, charge_reference=refund.charge.provider_reference, money=txn.money)
    try:
        result = None if txn.status == TransactionStatus.PENDING else provider.lookup_refund(txn.pk)
        if result is None and txn.status in (TransactionStatus.PENDING, TransactionStatus.PROCESSING):
            result = provider.refund(request)  # the same key: the first one, or the answer to the first one
    except ProviderUnavailable as error:
        _stay_unknown(refund.pk, str(error))
        return
    if result is not None:
        apply_refund(refund.pk, result)


@transaction.atomic
def _begin(refund_id: str) -> bool:
    """Commits the intent. False when the refund was called off, or somebody else has begun."""
    payment, refund = lock_refund(refund_id)
    txn = refund.transaction
    if txn is None or txn.status != TransactionStatus.PENDING:
        return False
    move_to(txn, TransactionStatus.PROCESSING)
    txn.save()
    move_refund(payment, refund, Status.PROCESSING)
    return True


@transaction.atomic
def apply_refund(refund_id: str, result: OperationResult) -> None:
    """Takes a provider's answer into the books, in one commit. Old news is ignored, news told twice changes
    nothing, and an answer about other money than ours is parked for review."""
    payment, refund = lock_refund(refund_id)
    txn = refund.transaction
    if txn is None:
        return
    fault = _mismatch(refund, txn, result)
    if fault:
        txn.review_reason, txn.due_at = fault[:MESSAGE_LENGTH], None
        txn.save()
        return
    if result.status == txn.status or not _may_become(txn, result.status):
        wait_for_news(txn)
        return
    txn.provider_reference = result.reference
    txn.provider_answer = result.answer
    txn.provider_code = txn.failure_code = refund.failure_code = result.failure_code
    txn.last_error = txn.review_reason = ""
    txn.status = result.status
    close_transaction(txn, result.status)
    move_refund(payment, refund, STATUSES[TransactionStatus(result.status)])


def _may_become(txn: Transaction, status: str) -> bool:
    """A refund that succeeded may fail later: its bank sends the money back."""
    late_failure = (txn.status, status) == (TransactionStatus.SUCCEEDED, TransactionStatus.FAILED)
    return late_failure or can_move(txn, status)


def _mismatch(refund: Refund, txn: Transaction, result: OperationResult) -> str:
    """Why this answer cannot be about our refund; empty when it is."""
    if result.key != txn.pk or result.charge_reference != refund.charge.provider_reference:
        return "The provider answered about another refund or charge."
    if txn.provider_reference and result.reference != txn.provider_reference:
        return "The provider answered with another reference."
    if result.money != txn.money:
        return f"The provider's amount is {result.money} {result.money.currency}."
    return ""


@transaction.atomic
def _stay_unknown(refund_id: str, error: str) -> None:
    """Silence is no answer: the refund stays processing, and the provider is asked again."""
    _payment, refund = lock_refund(refund_id)
    if refund.transaction is not None:
        wait_for_news(refund.transaction, error)
