"""The jobs of payments (core/queue.py)."""

from core.queue import drain, periodic
from payments.models import NoticeKind, Payment, ProviderNotice, Transaction, TransactionKind
from payments.services import collect_sandbox_notices, expire_payment, handle_notice, run_transaction

CHARGES = [TransactionKind.SALE, TransactionKind.AUTHORIZATION]


def run_transactions() -> int:
    return drain(Transaction.objects.filter(kind__in=CHARGES), run_transaction)


def handle_notices() -> int:
    return drain(ProviderNotice.objects.filter(kind=NoticeKind.PAYMENT), handle_notice)


def expire_payments() -> int:
    return drain(Payment.objects.all(), expire_payment)


periodic("payments.transactions", 0.2, run_transactions)
periodic("payments.collect_sandbox_notices", 0.2, collect_sandbox_notices)
periodic("payments.notices", 0.2, handle_notices)
periodic("payments.expire", 0.4, expire_payments)
