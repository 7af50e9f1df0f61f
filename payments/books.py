"""What the ledger has to say of payments (ledger/verification.py)."""

from collections.abc import Iterator
from typing import Any

from django.db.models import BigIntegerField, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Cast, Coalesce

from ledger.models import Kind, Settlement
from ledger.verification import NOT, SOURCES, STANDS, Fault, booked, check
from payments.models import Payment, Transaction, TransactionKind, TransactionStatus

TAKES_MONEY = [TransactionKind.SALE, TransactionKind.CAPTURE]
TAKEN = Transaction.objects.filter(kind__in=TAKES_MONEY, status=TransactionStatus.SUCCEEDED)


SOURCES[Kind.CAPTURE] = SOURCES[Kind.FEE] = SOURCES[Kind.SETTLEMENT] = TAKEN


def _with_fees() -> QuerySet[Any]:
    """What took money, with `fees` and what is `left` of it: minor units, signed, for MySQL has unsigned ones."""
    fees = Cast(F("provider_fee") + F("platform_fee"), BigIntegerField())
    return TAKEN.annotate(fees=fees, left=Cast("amount", BigIntegerField()) - fees)


@check
def every_capture_is_booked() -> Iterator[Fault]:
    """L8: money that a transaction took stands in the books, with its amount."""
    for txn in TAKEN.annotate(capture=booked(Kind.CAPTURE)).exclude(capture=STANDS).iterator():
        yield Fault("L8", txn.pk, f"it took {txn.amount}; booked: {txn.capture}")


@check
def every_fee_is_booked() -> Iterator[Fault]:
    """L8: what a transaction cost stands in the books; what cost nothing has no fee there."""
    right = Q(fees=0, fee=NOT) | Q(fees__gt=0, fee=STANDS)
    for txn in _with_fees().annotate(fee=booked(Kind.FEE, "fees")).exclude(right).iterator():
        yield Fault("L8", txn.pk, f"its fees are {txn.fees}; booked: {txn.fee}")


@check
def captures_settle_once() -> Iterator[Fault]:
    """L8: what is left of a capture waits for its settlement, or its settlement is done and booked."""
    settlements = Settlement.objects.filter(capture__kind=Kind.CAPTURE, capture__source_id=OuterRef("pk"))
    taken = _with_fees().annotate(
        settled=booked(Kind.SETTLEMENT, "left"),
        waits=Exists(settlements.filter(due_at__isnull=False)),
        done=Exists(settlements.filter(due_at=None)),
    )
    right = (
        Q(left=0, settled=NOT, waits=False, done=False)
        | Q(left__gt=0, settled=NOT, waits=True)
        | Q(left__gt=0, settled=STANDS, done=True)
    )
    for txn in taken.exclude(right).iterator():
        settlement = "waits" if txn.waits else "done" if txn.done else "missing"
        yield Fault(
            "L8", txn.pk, f"{txn.left} of it is to settle; the settlement is {settlement}, booked: {txn.settled}"
        )


@check
def payments_hold_what_was_captured() -> Iterator[Fault]:
    """L7: what a payment says was captured is the sum of its transactions."""
    total = TAKEN.filter(payment=OuterRef("pk")).order_by().values("payment").annotate(sum=Sum("amount")).values("sum")
    payments = Payment.objects.annotate(taken=Coalesce(Subquery(total), 0)).exclude(taken=F("amount_captured"))
    for payment in payments.iterator():
        yield Fault("L7", payment.pk, f"it says {payment.amount_captured} captured, its transactions {payment.taken}")
