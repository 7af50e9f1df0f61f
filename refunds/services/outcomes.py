"""The job of a refund: ask its provider, and take the answer into the books."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from core.state import can_move, move_to
from payments.models import Payment, Transaction, TransactionStatus
from payments.providers import PROVIDERS, OperationResult, ProviderUnavailable, RefundRequest
from payments.services.outcomes import park, wait_for_news
from payments.services.status import close_transaction
from refunds.models import Refund, Status
from refunds.services.requests import lock_refund
from refunds.services.status import move_refund

ASKED_FOR = {TransactionStatus.PENDING, TransactionStatus.PROCESSING}


def run_refund(txn: Transaction) -> None:
    """Asks for a pending refund; any other is looked up first, never sent twice."""
    refund = Refund.objects.select_related("charge").get(transaction=txn)
    if txn.status == TransactionStatus.PENDING and not _begin(refund.pk):
        return
    try:
        result = _ask(txn, refund.charge.provider_reference)
    except ProviderUnavailable as error:
        _stay_unknown(refund.pk, str(error))
        return
    if result is None:
        _stay_unknown(refund.pk, "The provider does not know this refund.")
    else:
        apply_refund(refund.pk, result)


def _ask(txn: Transaction, charge_reference: str) -> OperationResult | None:
    """What the provider says. It may have been asked for a refund in flight before: the same key is the first one."""
    provider = PROVIDERS[txn.provider]
    result = None if txn.status == TransactionStatus.PENDING else provider.lookup_refund(txn.pk)
    if result is None and txn.status in ASKED_FOR:
        return provider.refund(RefundRequest(key=txn.pk, charge_reference=charge_reference, money=txn.money))
    return result


@transaction.atomic
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


@transaction.atomic
def apply_refund(refund_id: str, result: OperationResult) -> None:
    """Takes a provider's answer into the books, in one commit. Old news is ignored, news told twice changes
    nothing, and an answer about other money than ours is parked for review."""
    payment, refund = lock_refund(refund_id)
    txn = refund.transaction
    if txn is None:
        return
    news_at = _news_at(txn)
    fault = _mismatch(refund, txn, result)
    if fault:
        park(txn, fault)
        return
    if can_move(refund, result.status):
        settle(payment, refund, txn, result)
    else:
        wait_for_news(txn)
    if news_at and txn.due_at is None:
        txn.due_at = news_at
        txn.save(update_fields=["due_at", "updated_at"])


def settle(payment: Payment, refund: Refund, txn: Transaction, result: OperationResult) -> None:
    """The outcome. A refund that succeeded may fail later: its bank sends the money back. When that was a surplus,
    a person has to find another way. The caller holds the lock, and has checked the answer."""
    txn.provider_reference = result.reference
    txn.provider_answer = result.answer
    txn.provider_code = txn.failure_code = refund.failure_code = result.failure_code
    txn.last_error = txn.review_reason = ""
    if refund.is_surplus and result.status == Status.FAILED:
        txn.review_reason = "Money that may not stay could not be given back."
    txn.status = result.status  # past the table of transactions: only a refund may fail after its success
    close_transaction(txn, result.status)
    move_refund(payment, refund, result.status)


def _news_at(txn: Transaction) -> datetime | None:
    """When a notice came in while the provider was asked: the claim had put `due_at` into the future."""
    return txn.due_at if txn.due_at and txn.due_at <= timezone.now() else None


def _mismatch(refund: Refund, txn: Transaction, result: OperationResult) -> str:
    """Why this answer cannot be about our refund; empty when it is."""
    if result.key != txn.pk or result.charge_reference != refund.charge.provider_reference:
        return "The provider answered about another refund or charge."
    if txn.provider_reference and result.reference != txn.provider_reference:
        return "The provider answered with another reference."
    if result.money != txn.money:
        return f"The provider's amount is {result.money} {result.money.currency}."
    if (refund.status, result.status) == (Status.FAILED, Status.SUCCEEDED):
        return "The provider says that it succeeded, after it had failed."
    return ""


@transaction.atomic
def _stay_unknown(refund_id: str, error: str) -> None:
    """Silence is no answer: the status stays, and the provider is asked again."""
    _payment, refund = lock_refund(refund_id)
    if refund.transaction is not None:
        wait_for_news(refund.transaction, error)
