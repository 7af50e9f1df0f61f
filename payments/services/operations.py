"""What is done to a charge once it is there: captures, voids and refunds, all asked for in the same way."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from payments.models import Transaction, TransactionKind, TransactionStatus
from payments.providers import PROVIDERS, OperationRequest, OperationResult, Provider


class OperationNotKnown(Exception):
    """It is closed here, and the provider never heard of it."""


Send = Callable[[Provider, OperationRequest], OperationResult]
SEND: dict[str, Send] = {
    TransactionKind.CAPTURE: lambda provider, request: provider.capture(request),
    TransactionKind.VOID: lambda provider, request: provider.void(request),
    TransactionKind.REFUND: lambda provider, request: provider.refund(request),
}


def open_operation(
    charge: Transaction, kind: str, amount: int, *, wait: timedelta = timedelta(0), **fields: Any
) -> Transaction:
    """The intent to do something to a charge, `amount` in minor units, due for the worker after `wait`. The payment is
    locked by the caller."""
    return Transaction.objects.create(
        charge=charge,
        kind=kind,
        amount=amount,
        payment_id=charge.payment_id,
        merchant_id=charge.merchant_id,
        currency=charge.currency,
        method=charge.method,
        provider=charge.provider,
        due_at=timezone.now() + wait,
        **fields,
    )


def ask(txn: Transaction, charge: Transaction) -> OperationResult:
    """The provider's answer. What was just begun (`pending` in the caller's hands) is sent; anything else is looked up
    first, never sent first. Raises ProviderUnavailable, and OperationNotKnown of one that is closed."""
    provider = PROVIDERS[txn.provider]
    result = None if txn.status == TransactionStatus.PENDING else provider.lookup_operation(txn.pk)
    if result is not None:
        return result
    if txn.status not in (TransactionStatus.PENDING, TransactionStatus.PROCESSING):
        raise OperationNotKnown("the provider does not know this operation")
    return SEND[txn.kind](provider, OperationRequest(txn.pk, charge.provider_reference, txn.money))


def operation_fault(txn: Transaction, charge: Transaction, result: OperationResult) -> str:
    """Why this answer cannot be about our operation; empty when it is."""
    if result.key != txn.pk or result.charge_reference != charge.provider_reference:
        return "The provider answered about another operation or charge."
    if txn.provider_reference and result.reference != txn.provider_reference:
        return "The provider answered with another reference."
    if result.money != txn.money:
        return f"The provider's amount is {result.money} {result.money.currency}."
    return ""


def record_answer(txn: Transaction, result: OperationResult) -> None:
    """What the provider said, in the transaction's own log. Its status and the failure that people read are the
    caller's, who saves it too."""
    txn.provider_reference = result.reference
    txn.provider_answer = result.answer
    txn.provider_code = result.failure_code
    txn.last_error = txn.review_reason = ""
