"""What the ledger has to say of payouts (ledger/verification.py)."""

from collections.abc import Iterator

from django.db.models import F, Max, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from accounts.models import Merchant
from ledger.carriers import CARRIERS, Carrier, CarrierUnavailable
from ledger.models import SET_ASIDE, Kind, Payout, PayoutLine, PayoutStatus
from ledger.verification import NOT, REVERSED, SOURCES, STANDS, Fault, booked, check, without_statement

SOURCES[Kind.PAYOUT_CREATED] = SOURCES[Kind.PAYOUT_PAID] = Payout.objects.all()


@check
def every_payout_is_booked() -> Iterator[Fault]:
    """L8: set aside while it lasts, gone once it is paid, reversed when it came to nothing."""
    payouts = Payout.objects.annotate(set_aside=booked(Kind.PAYOUT_CREATED), gone=booked(Kind.PAYOUT_PAID))
    right = (
        Q(status__in=SET_ASIDE, set_aside=STANDS, gone=NOT)
        | Q(status=PayoutStatus.PAID, set_aside=STANDS, gone=STANDS)
        | Q(status=PayoutStatus.FAILED, set_aside=REVERSED, gone__in=[NOT, REVERSED])
        | Q(status=PayoutStatus.CANCELLED, set_aside=REVERSED, gone=NOT)
    )
    for payout in payouts.exclude(right).iterator():
        yield Fault("L8", payout.pk, f"it is {payout.status}; set aside: {payout.set_aside}, paid: {payout.gone}")


@check
def payouts_are_the_sum_of_their_lines() -> Iterator[Fault]:
    """L7: a payout opens to exactly what it settles."""
    lines = PayoutLine.objects.filter(payout=OuterRef("pk")).order_by()
    total = Coalesce(Subquery(lines.values("payout").annotate(sum=Sum("amount")).values("sum")), 0)
    for payout in Payout.objects.annotate(settles=total).exclude(settles=F("amount")).iterator():
        yield Fault("L7", payout.pk, f"it is over {payout.amount}, its lines over {payout.settles}")


@check
def no_entry_is_settled_twice() -> Iterator[Fault]:
    """L7: of an entry no more is settled than there is, and none of it the other way round."""
    settled = PayoutLine.objects.order_by().values("entry").annotate(sum=Sum("amount"), there=Max(-F("entry__amount")))
    too_much = Q(there__gt=0) & (Q(sum__gt=F("there")) | Q(sum__lt=0)) | Q(there__lt=0) & ~Q(sum=F("there"))
    for row in settled.filter(too_much).iterator():
        yield Fault("L7", row["entry"], f"payouts settle {row['sum']} of its {row['there']}")


# --- The books with the carriers --------------------------------------------------------------
@check
def carriers_report_what_is_booked() -> Iterator[Fault]:
    """L6: what a carrier's statement says of each transfer is what the payout says. A payout that is to be asked about,
    or parked for review, is in flight and no fault."""
    for name, carrier in CARRIERS.items():
        for merchant_id in Merchant.objects.filter(payouts__carrier=name).distinct().values_list("pk", flat=True):
            try:
                yield from _differences(name, carrier, merchant_id)
            except CarrierUnavailable as error:
                yield without_statement(name, merchant_id, error)


def _differences(name: str, carrier: Carrier, merchant_id: str) -> Iterator[Fault]:
    payouts = Payout.objects.filter(merchant=merchant_id, carrier=name)
    ours = {payout.pk: payout for payout in payouts.exclude(status__in=[PayoutStatus.PENDING, PayoutStatus.HELD])}
    for transfer in carrier.statement(merchant_id):
        reported = f"{name} reports {transfer.money} {transfer.money.currency} as {transfer.status}"
        payout = ours.pop(transfer.key, None) or payouts.filter(pk=transfer.key).first()  # it may have left just now
        if payout is None:
            yield Fault("L6", transfer.reference, f"{reported}, and there is no payout for it")
        elif (payout.status, payout.money) != (transfer.status, transfer.money) and not _is_in_flight(payout):
            yield Fault("L6", payout.pk, f"{reported}, the books say {payout.money} as {payout.status}")
    for payout in ours.values():
        if payout.status == PayoutStatus.PAID:
            yield Fault("L6", payout.pk, f"it is paid, and {name} reports nothing")


def _is_in_flight(payout: Payout) -> bool:
    return payout.due_at is not None or bool(payout.review_reason)
