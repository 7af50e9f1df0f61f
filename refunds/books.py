"""What the ledger has to say of refunds (ledger/verification.py)."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import Merchant
from core.money import Money
from ledger.models import Account, Entry, Kind
from ledger.verification import NOT, REVERSED, SOURCES, STANDS, Fault, booked, check, without_statement
from payments.models import Payment, ProviderNotice, Transaction
from payments.providers import PROVIDERS, Movement, Provider, ProviderUnavailable
from payments.services.status import FINAL
from refunds.models import RESERVED, Refund, Status
from refunds.services.notices import ON_ITS_WAY

BATCH = 500  # lines of a statement that are looked up together

SOURCES[Kind.REFUND_RESERVED] = SOURCES[Kind.REFUND_SUCCEEDED] = Refund.objects.all()


@check
def payments_hold_what_was_refunded() -> Iterator[Fault]:
    """L7: what a payment says was given back, or is on its way, is the sum of its refunds."""

    def total(*statuses: str) -> Coalesce:
        refunds = Refund.objects.filter(payment=OuterRef("pk"), status__in=statuses)
        return Coalesce(Subquery(refunds.order_by().values("payment").annotate(sum=Sum("amount")).values("sum")), 0)

    payments = Payment.objects.annotate(back=total(Status.SUCCEEDED), under_way=total(*RESERVED))
    wrong = ~Q(back=F("amount_refunded")) | ~Q(under_way=F("amount_refund_pending"))
    for payment in payments.filter(wrong).iterator():
        yield Fault(
            "L7",
            payment.pk,
            f"it says {payment.amount_refunded} refunded and {payment.amount_refund_pending} on its way, "
            f"its refunds {payment.back} and {payment.under_way}",
        )


@check
def every_refund_is_booked() -> Iterator[Fault]:
    """L8: set aside while it lasts, given back once it has succeeded, reversed when it came to nothing."""
    refunds = Refund.objects.annotate(set_aside=booked(Kind.REFUND_RESERVED), given_back=booked(Kind.REFUND_SUCCEEDED))
    right = (
        Q(status__in=RESERVED, set_aside=STANDS, given_back=NOT)
        | Q(status=Status.SUCCEEDED, set_aside=STANDS, given_back=STANDS)
        | Q(status=Status.FAILED, set_aside=REVERSED, given_back__in=[NOT, REVERSED])
        | Q(status=Status.CANCELLED, set_aside=REVERSED, given_back=NOT)
    )
    for refund in refunds.exclude(right).iterator():
        found = f"set aside: {refund.set_aside}, given back: {refund.given_back}"
        yield Fault("L8", refund.pk, f"it is {refund.status}; {found}")


# --- The books with the providers -------------------------------------------------------------
@check
def providers_report_what_is_booked() -> Iterator[Fault]:
    """L6: what a provider's statement says of each sale, capture and refund is what its transaction's entries say that
    the provider owes us.

    In flight, and so no fault: whatever changed within ON_ITS_WAY; a transaction that is open, due to be asked about or
    parked for review; a line whose notice has not been taken in. The ids of one merchant's transactions are held in
    memory, a statement never is.
    """
    for provider in PROVIDERS.values():
        used = Exists(Transaction.objects.filter(merchant=OuterRef("pk"), provider=provider.name))
        for merchant in Merchant.objects.filter(used).iterator():
            try:
                yield from _differences(provider, merchant)
            except ProviderUnavailable as error:
                yield without_statement(provider.name, merchant.pk, error)


def _differences(provider: Provider, merchant: Merchant) -> Iterator[Fault]:
    before = timezone.now() - ON_ITS_WAY
    ours = _with_what_is_booked(Transaction.objects.filter(merchant=merchant, provider=provider.name))
    notices = ProviderNotice.objects.filter(provider=provider.name, due_at__isnull=False)
    not_taken_in = set(notices.values_list("payload__key", flat=True))
    reported = set()
    statement = provider.statement(merchant.pk)
    while lines := list(islice(statement, BATCH)):
        for line, txn in _side_by_side(ours, lines):
            if txn is not None:
                reported.add(txn.pk)
            if line.at < before and line.key not in not_taken_in and not (txn and _is_in_flight(txn)):
                yield from _compare(provider, line, txn)
    for txn in ours.exclude(booked=0).filter(updated_at__lt=before).iterator():
        if txn.pk not in reported and not _is_in_flight(txn):
            owed = Money(txn.booked, txn.currency)
            yield Fault("L6", txn.pk, f"the books say {owed} {txn.currency}, {provider.name} reports nothing")


def _with_what_is_booked(transactions: QuerySet[Transaction]) -> QuerySet[Any]:
    """With `booked`: what the provider owes us of each, minor units, by the journals that stand."""

    def owed(kind: Kind, source: str) -> Combinable:
        journals = Q(journal__kind=kind, journal__source_id=OuterRef(source), journal__reversed_by=None)
        entries = Entry.objects.filter(journals, account=Account.PROVIDER_RECEIVABLE).order_by()
        return Coalesce(Subquery(entries.values("journal").annotate(sum=Sum("amount")).values("sum")), 0)

    read = ("provider_reference", "status", "due_at", "review_reason", "currency")
    return transactions.only(*read).annotate(
        booked=owed(Kind.CAPTURE, "pk") + owed(Kind.REFUND_SUCCEEDED, "refund__pk")
    )


def _side_by_side(ours: QuerySet[Any], lines: list[Movement]) -> Iterator[tuple[Movement, Any]]:
    """Each line with its transaction: that of its key, or, when it was made at the provider, of its reference."""
    by_key = ours.in_bulk([line.key for line in lines])
    strange = [line.reference for line in lines if line.key not in by_key]
    by_reference = {txn.provider_reference: txn for txn in ours.filter(provider_reference__in=strange)}
    for line in lines:
        yield line, by_key.get(line.key) or by_reference.get(line.reference)


def _is_in_flight(txn: Transaction) -> bool:
    return txn.status not in FINAL or txn.due_at is not None or bool(txn.review_reason)


def _compare(provider: Provider, line: Movement, txn: Any) -> Iterator[Fault]:
    reported = f"{provider.name} reports {line.money} {line.money.currency}"
    if txn is None:
        if line.money.amount:
            yield Fault("L6", line.reference, f"{reported}, and there is no transaction for it")
    elif line.money != Money(txn.booked, txn.currency):
        yield Fault("L6", txn.pk, f"{reported}, the books say {Money(txn.booked, txn.currency)} {txn.currency}")
