"""What a person may do about a transaction that is stuck."""

from django.utils import timezone

from core.errors import ApiError
from core.transactions import unit_of_work
from payments.models import Transaction, TransactionKind, TransactionStatus
from payments.services.status import lock


class NothingToAsk(ApiError):
    status, type, code = 409, "conflict", "nothing_to_ask"
    message = "The transaction is closed and needs no review."


def may_ask_again(txn: Transaction) -> bool:
    """Of what we take for unpaid the provider may know better, whenever; and of a refund, that it has come back."""
    is_over = txn.status == TransactionStatus.SUCCEEDED and txn.kind != TransactionKind.REFUND
    return not is_over or bool(txn.review_reason)


@unit_of_work
def ask_again(transaction_id: str) -> None:
    """Has the provider asked now, and takes the transaction out of review. Harmless: the answer walks through the
    usual door, which parks it again when it still does not match. Raises NothingToAsk."""
    _payment, txn = lock(transaction_id)
    if not may_ask_again(txn):
        raise NothingToAsk
    txn.review_reason = ""
    txn.due_at = timezone.now()
    txn.save(update_fields=["review_reason", "due_at", "updated_at"])
