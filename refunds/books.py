"""What the ledger has to say of refunds (ledger/verification.py)."""

from collections.abc import Iterator

from django.db.models import Exists, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from ledger.models import Entry, Journal, Kind
from ledger.verification import Fault, check
from payments.models import Payment
from refunds.models import RESERVED, Refund, Status


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
    """L8: set aside while it lasts, given back once it has succeeded, nothing of it left when it came to nothing."""

    def standing(kind: Kind) -> Exists:
        journals = Journal.objects.filter(kind=kind, source_id=OuterRef("pk"), reversed_by=None)
        entries = Entry.objects.filter(amount=OuterRef(OuterRef("amount")), currency=OuterRef(OuterRef("currency")))
        return Exists(journals.filter(Exists(entries.filter(journal=OuterRef("pk")))))

    refunds = Refund.objects.annotate(
        set_aside=standing(Kind.REFUND_RESERVED), given_back=standing(Kind.REFUND_SUCCEEDED)
    )
    right = (
        Q(status__in=RESERVED, set_aside=True, given_back=False)
        | Q(status=Status.SUCCEEDED, set_aside=True, given_back=True)
        | Q(status__in=[Status.FAILED, Status.CANCELLED], set_aside=False, given_back=False)
    )
    for refund in refunds.exclude(right).iterator():
        yield Fault("L8", refund.pk, f"it is {refund.status}; the books say otherwise")
