"""The jobs of payments (core/queue.py)."""

from core.queue import drain, periodic
from payments.models import NoticeKind, Payment, ProviderNotice, Status, Transaction, TransactionKind
from payments.services import (
    collect_sandbox_notices,
    expire_payment,
    handle_notice,
    lapse_authorization,
    run_operation,
    run_transaction,
)

RUN = {
    TransactionKind.SALE: run_transaction,
    TransactionKind.AUTHORIZATION: run_transaction,
    TransactionKind.CAPTURE: run_operation,
    TransactionKind.VOID: run_operation,
}


def run_transactions() -> int:
    return drain(Transaction.objects.filter(kind__in=list(RUN)), lambda txn: RUN[txn.kind](txn))


def handle_notices() -> int:
    return drain(ProviderNotice.objects.filter(kind=NoticeKind.PAYMENT), handle_notice)


def expire_payments() -> int:
    return drain(Payment.objects.all(), _expire)


def _expire(payment: Payment) -> None:
    if payment.status == Status.AUTHORIZED:
        lapse_authorization(payment)
    else:
        expire_payment(payment)


periodic("payments.transactions", 0.2, run_transactions)
periodic("payments.collect_sandbox_notices", 0.2, collect_sandbox_notices)
periodic("payments.notices", 0.2, handle_notices)
periodic("payments.expire", 0.4, expire_payments)
