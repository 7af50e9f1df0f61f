"""Money that arrived where it may not stay goes back by itself."""

from core.money import Money
from core.transactions import unit_of_work
from payments.models import Payment, Transaction
from refunds.models import Reason, Refund
from refunds.services.requests import charges_left, new_refund, open_refund
from refunds.services.status import reserve


@unit_of_work
def return_surplus(payment_id: str) -> list[Refund]:
    """Starts to give back what is left of each charge of the payment that was surplus: what its completing charge took
    stays. Safe to run twice: what is on its way is not left."""
    payment = Payment.objects.locked(pk=payment_id)
    if payment.surplus_due_at is None:
        return []
    payment.surplus_due_at = None
    payment.save(update_fields=["surplus_due_at", "updated_at"])
    surplus = [(charge, left) for charge, left in charges_left(payment) if charge.is_surplus]
    return [_give_back(payment, charge, left) for charge, left in surplus]


def _give_back(payment: Payment, charge: Transaction, left: int) -> Refund:
    money = Money(left, payment.currency)
    refund = new_refund(payment, charge, money, reason=Reason.DUPLICATE, is_surplus=True)
    refund.transaction = open_refund(refund)
    reserve(payment, refund)
    return refund
