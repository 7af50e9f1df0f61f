"""What must hold between our rows and the sandbox's books, whatever has happened."""

from collections import Counter

from notifications.models import Event
from payments.models import Payment, Status, Transaction, TransactionKind, TransactionStatus
from payments.providers.sandbox import OPERATION_STATUSES, STATUSES
from refunds.models import RESERVED, Refund
from refunds.models import Status as RefundStatus
from sandbox.models import Charge, Operation

CHARGES = {TransactionKind.SALE, TransactionKind.AUTHORIZATION}
PAID = {Status.AUTHORIZED, Status.COMPLETED}


def disagreements() -> list[str]:
    """Every contradiction, as a sentence. Empty once all jobs are done."""
    return [
        *_transactions_and_charges(),
        *_captured_amounts(),
        *_captures_and_voids(),
        *_refunds_and_operations(),
        *_refunded_amounts(),
        *_events(),
        *_orders_paid_twice(),
    ]


def _transactions_and_charges() -> list[str]:
    charges = {charge.key: charge for charge in Charge.objects.all()}
    found = []
    for txn in Transaction.objects.filter(kind__in=CHARGES):
        charge = charges.pop(txn.pk, None)
        if charge is None and txn.status not in (TransactionStatus.FAILED, TransactionStatus.CANCELLED):
            found.append(f"{txn.pk} is {txn.status}, and the sandbox has no charge for it")
        if charge is None or (txn.kind, charge.status) == (TransactionKind.AUTHORIZATION, Charge.Status.CANCELLED):
            continue  # voided: _captures_and_voids() looks at that
        # A transaction that we gave up stays cancelled while its charge goes on, unless that takes money.
        given_up = txn.status == TransactionStatus.CANCELLED and not charge.amount_captured
        if txn.status != STATUSES[charge.status] and not given_up:
            found.append(f"{txn.pk} is {txn.status}, its charge {charge.status}")
    return found + [f"charge {charge.pk} belongs to no transaction" for charge in charges.values()]


def _captured_amounts() -> list[str]:
    captured: Counter[str] = Counter()
    takes_money = [TransactionKind.SALE, TransactionKind.CAPTURE]
    for txn in Transaction.objects.filter(kind__in=takes_money, status=TransactionStatus.SUCCEEDED):
        captured[txn.payment_id] += txn.amount
    return [
        f"{payment.pk} says {payment.amount_captured} captured, its transactions {captured[payment.pk]}"
        for payment in Payment.objects.all()
        if payment.amount_captured != captured[payment.pk]
    ]


def _captures_and_voids() -> list[str]:
    """Each was carried out once, of the same charge and amount, and the payment is where that leaves it."""
    done = [Operation.Kind.CAPTURE, Operation.Kind.VOID]
    operations = {it.key: it for it in Operation.objects.filter(kind__in=done)}
    found = []
    for txn in Transaction.objects.filter(kind__in=done).select_related("charge"):
        operation = operations.pop(txn.pk, None)
        ours = (txn.kind, txn.status, txn.amount, txn.charge.provider_reference if txn.charge else None)
        theirs = operation and (operation.kind, operation.status, operation.amount, operation.charge_id)
        found += [f"{txn.pk} is {ours}, the sandbox says {theirs}"] if ours != theirs else []
    for payment in Payment.objects.filter(status=Status.AUTHORIZED):
        holds = payment.transactions.filter(kind=TransactionKind.AUTHORIZATION, status=TransactionStatus.SUCCEEDED)
        if not Charge.objects.filter(key__in=holds.values("pk"), status=Charge.Status.AUTHORIZED).exists():
            found.append(f"{payment.pk} is authorized, and the sandbox holds no money for it")
    unpaid = Payment.objects.exclude(status=Status.AUTHORIZED).values("transactions")
    held = Charge.objects.filter(key__in=unpaid, status=Charge.Status.AUTHORIZED)
    found += [f"charge {charge.pk} holds money for a payment that is over" for charge in held]
    return found + [f"the sandbox's {it.kind} {it.pk} is none of ours" for it in operations.values()]


def _refunds_and_operations() -> list[str]:
    """A refund that was made at the provider has a key that is not ours: its reference says which it is."""
    operations = {operation.pk: operation for operation in Operation.objects.filter(kind=Operation.Kind.REFUND)}
    found = []
    for refund in Refund.objects.select_related("transaction", "charge"):
        txn = refund.transaction
        reference = txn.provider_reference if txn else ""
        operation = operations.pop(reference, None)
        if txn is not None and refund.status == RefundStatus.SUCCEEDED and txn.status != refund.status:
            found.append(f"{refund.pk} is {refund.status}, its transaction {txn.status}")
        if operation is None and refund.status == RefundStatus.SUCCEEDED:
            found.append(f"{refund.pk} is {refund.status}, and the sandbox has no refund for it")
        if operation is not None:
            ours = (refund.status, refund.amount, refund.currency, refund.charge.provider_reference)
            theirs = (OPERATION_STATUSES[operation.status], operation.amount, operation.currency, operation.charge_id)
            found += [f"{refund.pk} is {ours}, the sandbox says {theirs}"] if ours != theirs else []
    # What was pending there when the sandbox was asked has told us its reference as soon as it is over.
    over = [it for it in operations.values() if it.status == Operation.Status.SUCCEEDED]
    return found + [f"the sandbox's refund {operation.pk} is none of ours" for operation in over]


def _refunded_amounts() -> list[str]:
    refunded: Counter[str] = Counter()
    pending: Counter[str] = Counter()
    for refund in Refund.objects.all():
        refunded[refund.payment_id] += refund.amount if refund.status == RefundStatus.SUCCEEDED else 0
        pending[refund.payment_id] += refund.amount if refund.status in RESERVED else 0
    return [
        f"{it.pk} says {it.amount_refunded} refunded and {it.amount_refund_pending} pending, its refunds "
        f"{refunded[it.pk]} and {pending[it.pk]}"
        for it in Payment.objects.all()
        if (it.amount_refunded, it.amount_refund_pending) != (refunded[it.pk], pending[it.pk])
    ]


def _events() -> list[str]:
    found = []
    for payment in Payment.objects.all():
        events = list(Event.objects.filter(object_id=payment.pk).order_by("sequence").values_list("sequence", "type"))
        if [sequence for sequence, _type in events] != list(range(1, len(events) + 1)):
            found.append(f"the events of {payment.pk} have gaps: {events}")
        moves = [kind for _number, kind in events if kind != "payment.surplus"]  # which changes no status
        if payment.status != Status.PENDING and moves[-1:] != [f"payment.{payment.status}"]:
            found.append(f"{payment.pk} is {payment.status}, its last events are {events[-2:]}")
    return found


def _orders_paid_twice() -> list[str]:
    paid = Payment.objects.filter(status__in=PAID, order_id__isnull=False).values_list("merchant_id", "order_id")
    return [f"order {order} was paid {times} times" for order, times in Counter(paid).items() if times > 1]
