"""The jobs of refunds (core/queue.py)."""

from django.utils import timezone

from core.queue import BATCH, drain, periodic
from payments.models import NoticeKind, Payment, ProviderNotice, Transaction, TransactionKind
from refunds.services import handle_notice, return_surplus, run_refund


def run_refunds() -> int:
    return drain(Transaction.objects.filter(kind=TransactionKind.REFUND), run_refund)


def handle_notices() -> int:
    return drain(ProviderNotice.objects.filter(kind=NoticeKind.REFUND), handle_notice)


def return_surpluses() -> int:
    due = Payment.objects.filter(surplus_due_at__lte=timezone.now()).values_list("pk", flat=True)
    return sum(len(return_surplus(payment_id)) for payment_id in list(due[:BATCH]))


periodic("refunds.transactions", 0.2, run_refunds)
periodic("refunds.notices", 0.4, handle_notices)
periodic("refunds.surplus", 1.0, return_surpluses)
