"""What must hold between our rows and the sandbox's books, whatever has happened."""

from collections import Counter

from notifications.models import Event
from payments.models import Payment, Status, Transaction, TransactionKind, TransactionStatus
from payments.providers.sandbox import STATUSES
from sandbox.models import Charge

PAID = {Status.AUTHORIZED, Status.COMPLETED}


def disagreements() -> list[str]:
    """Every contradiction, as a sentence. Empty once all jobs are done."""
    return [*_transactions_and_charges(), *_captured_amounts(), *_events(), *_orders_paid_twice()]


def _transactions_and_charges() -> list[str]:
    charges = {charge.key: charge for charge in Charge.objects.all()}
    found = []
    for txn in Transaction.objects.all():
        charge = charges.pop(txn.pk, None)
        if charge is None and txn.status not in (TransactionStatus.FAILED, TransactionStatus.CANCELLED):
            found.append(f"{txn.pk} is {txn.status}, and the sandbox has no charge for it")
        # A transaction that we gave up stays cancelled, however its charge goes on.
        if charge is not None and txn.status not in (STATUSES[charge.status], TransactionStatus.CANCELLED):
            found.append(f"{txn.pk} is {txn.status}, its charge {charge.status}")
    return found + [f"charge {charge.pk} belongs to no transaction" for charge in charges.values()]


def _captured_amounts() -> list[str]:
    captured: Counter[str] = Counter()
    for txn in Transaction.objects.filter(kind=TransactionKind.SALE, status=TransactionStatus.SUCCEEDED):
        captured[txn.payment_id] += txn.amount
    return [
        f"{payment.pk} says {payment.amount_captured} captured, its transactions {captured[payment.pk]}"
        for payment in Payment.objects.all()
        if payment.amount_captured != captured[payment.pk]
    ]


def _events() -> list[str]:
    found = []
    for payment in Payment.objects.all():
        events = list(Event.objects.filter(object_id=payment.pk).order_by("sequence").values_list("sequence", "type"))
        if [sequence for sequence, _type in events] != list(range(1, len(events) + 1)):
            found.append(f"the events of {payment.pk} have gaps: {events}")
        if payment.status != Status.PENDING and f"payment.{payment.status}" not in [kind for _n, kind in events[-2:]]:
            found.append(f"{payment.pk} is {payment.status}, its last events are {events[-2:]}")
    return found


def _orders_paid_twice() -> list[str]:
    paid = Payment.objects.filter(status__in=PAID, order_id__isnull=False).values_list("merchant_id", "order_id")
    return [f"order {order} was paid {times} times" for order, times in Counter(paid).items() if times > 1]
