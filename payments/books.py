"""What the ledger has to say of payments (ledger/verification.py)."""

from collections.abc import Iterator

from django.db.models import F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from ledger.models import Entry, Journal, Kind, Settlement
from ledger.verification import Fault, check
from payments.models import Payment, Transaction, TransactionKind, TransactionStatus

TAKES_MONEY = [TransactionKind.SALE, TransactionKind.CAPTURE]


@check
def every_capture_is_booked() -> Iterator[Fault]:
    """L8, one way: money that a transaction took stands in the books, with its amount."""
    booked = Entry.objects.filter(
        journal__kind=Kind.CAPTURE, journal__source_id=OuterRef("pk"), amount__gt=0, currency=OuterRef("currency")
    ).values("amount")
    taken = Transaction.objects.filter(kind__in=TAKES_MONEY, status=TransactionStatus.SUCCEEDED)
    for txn in taken.annotate(booked=Subquery(booked[:1])).exclude(booked=F("amount"), booked__isnull=False).iterator():
        yield Fault("L8", txn.pk, f"it took {txn.amount}, the books say {txn.booked}")


@check
def every_booked_capture_happened() -> Iterator[Fault]:
    """L8, the other way."""
    taken = Transaction.objects.filter(kind__in=TAKES_MONEY, status=TransactionStatus.SUCCEEDED).values("pk")
    for journal in Journal.objects.filter(kind=Kind.CAPTURE).exclude(source_id__in=taken).iterator():
        yield Fault("L8", journal.pk, f"{journal.source_id} took no money")


@check
def payments_hold_what_was_captured() -> Iterator[Fault]:
    """L7: what a payment says was captured is the sum of its transactions."""
    taken = Transaction.objects.filter(payment=OuterRef("pk"), kind__in=TAKES_MONEY, status=TransactionStatus.SUCCEEDED)
    total = taken.order_by().values("payment").annotate(sum=Sum("amount")).values("sum")
    payments = Payment.objects.annotate(taken=Coalesce(Subquery(total), 0)).exclude(taken=F("amount_captured"))
    for payment in payments.iterator():
        yield Fault("L7", payment.pk, f"it says {payment.amount_captured} captured, its transactions {payment.taken}")


@check
def captures_settle_once() -> Iterator[Fault]:
    """L8: a settlement that is done is booked, and one that is due is not."""
    booked = Journal.objects.filter(kind=Kind.SETTLEMENT).values("source_id")
    wrong = Q(due_at=None) & ~Q(capture__source_id__in=booked)
    for settlement in Settlement.objects.filter(wrong).iterator():
        yield Fault("L8", settlement.pk, "it is done and not booked")
