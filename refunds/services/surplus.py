"""Money that arrived where it may not stay goes back by itself (DESIGN.md §3, Surplus)."""

from django.db import transaction
from django.db.models import Sum

from core.money import Money
from payments.models import Payment
from payments.models import Status as PaymentStatus
from refunds.models import Reason, Refund
from refunds.services.requests import KEPT_BACK, charges_left, left_of, new_refund, open_refund
from refunds.services.status import reserve


@transaction.atomic
def return_surplus(payment_id: str) -> Refund | None:
    """Starts to give a payment's surplus back, a charge at a time; None when there is none (any more). Safe to run
    twice: what is on its way is no surplus."""
    payment = Payment.objects.locked(pk=payment_id)
    if payment.surplus_due_at is None:
        return None
    surplus = _surplus_of(payment)
    charge, left = next(charges_left(payment), (None, 0))
    if charge is None or surplus <= 0:
        payment.surplus_due_at = None
        payment.save(update_fields=["surplus_due_at", "updated_at"])
        return None
    money = Money(min(surplus, left), payment.currency)
    refund = new_refund(payment, charge, money, reason=Reason.DUPLICATE, is_surplus=True)
    refund.transaction = open_refund(refund)
    reserve(payment, refund)
    return refund


def _surplus_of(payment: Payment) -> int:
    """Minor units. A completed payment keeps its own amount, and only what came on top of it is surplus."""
    left = left_of(payment).amount
    if payment.status != PaymentStatus.COMPLETED:
        return left
    going = payment.refunds.filter(is_surplus=True, status__in=KEPT_BACK).aggregate(sum=Sum("amount"))["sum"] or 0
    return min(left, payment.amount_captured - payment.amount - going)
