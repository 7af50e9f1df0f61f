"""Money that arrived where it may not stay goes back by itself (DESIGN.md §3, Surplus)."""

from django.db import transaction

from core.money import Money
from payments.models import Payment
from payments.models import Status as PaymentStatus
from refunds.models import Reason, Refund
from refunds.services.requests import charge_to_refund, open_refund
from refunds.services.status import reserve

# A payment in these statuses keeps its own amount; only what came on top of it is surplus.
KEEPS_ITS_AMOUNT = {PaymentStatus.COMPLETED, PaymentStatus.REFUNDED}


@transaction.atomic
def return_surplus(payment_id: str) -> Refund | None:
    """Starts the refund of a payment's surplus; None when there is none (any more). Safe to run twice."""
    payment = Payment.objects.locked(pk=payment_id)
    if payment.surplus_due_at is None:
        return None
    payment.surplus_due_at = None
    payment.save(update_fields=["surplus_due_at", "updated_at"])
    kept = payment.amount if payment.status in KEEPS_ITS_AMOUNT else payment.amount_refunded
    surplus = Money(payment.amount_captured - kept - payment.amount_refund_pending, payment.currency)
    if surplus.amount <= 0:
        return None
    refund = Refund(
        merchant_id=payment.merchant_id,
        payment=payment,
        charge=charge_to_refund(payment, surplus),
        amount=surplus.amount,
        currency=surplus.currency,
        reason=Reason.DUPLICATE,
        is_surplus=True,
    )
    refund.transaction = open_refund(refund)
    reserve(payment, refund)
    return refund
