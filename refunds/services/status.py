"""The one place where a refund's status changes: refund, payment, event and books together.

Every function here expects the payment's row to be locked by the caller's transaction.
"""

from django.db.models import Sum
from django.utils import timezone

from core.state import can_move, move_to
from ledger.services import book_refund_reserved, book_refund_succeeded, book_refund_undone
from notifications.services import publish
from payments.models import Payment, TransactionKind
from payments.models import Status as PaymentStatus
from payments.services.status import move_payment, payer_of
from refunds.models import RESERVED, Refund, Status
from refunds.serializers import RefundDetails


def reserve(payment: Payment, refund: Refund) -> None:
    """Sets the amount aside and writes the new refund. The database refuses more than was captured."""
    payment.amount_refund_pending += refund.amount
    payment.save(update_fields=["amount_refund_pending", "updated_at"])
    refund.save(force_insert=True)
    book_refund_reserved(refund.pk, refund.amount, merchant_id=refund.merchant_id, currency=refund.currency)
    tell(payment, refund, "refund.created")
    if refund.status == Status.REQUIRES_APPROVAL:
        tell(payment, refund, "refund.requires_approval")


def move_refund(payment: Payment, refund: Refund, status: str) -> None:
    """Moves the refund along the table and keeps the payment's amounts, and its status, in step."""
    was_reserved, had_succeeded = refund.status in RESERVED, refund.status == Status.SUCCEEDED
    move_to(refund, status)
    refund.save()
    if was_reserved and status not in RESERVED:
        payment.amount_refund_pending -= refund.amount
    if status == Status.SUCCEEDED:
        payment.amount_refunded += refund.amount
        book_refund_succeeded(refund.pk, refund.amount, merchant_id=refund.merchant_id, currency=refund.currency)
    elif had_succeeded:
        payment.amount_refunded -= refund.amount
    if status in (Status.FAILED, Status.CANCELLED):
        book_refund_undone(refund.pk)
        _give_surplus_back_again(payment, refund)
    payment.save(update_fields=["amount_refund_pending", "amount_refunded", "surplus_due_at", "updated_at"])
    tell(payment, refund, f"refund.{status}")
    if status == Status.SUCCEEDED or had_succeeded:
        _move_along(payment, failed_late=had_succeeded)


def _give_surplus_back_again(payment: Payment, refund: Refund) -> None:
    """Money that may not stay, whose refund somebody asked for, is here again: it goes back by itself. When that was
    what failed, a person looks (see settle)."""
    if refund.charge.is_surplus and not refund.is_surplus:
        payment.surplus_due_at = timezone.now()


def _move_along(payment: Payment, *, failed_late: bool) -> None:
    """A payment is refunded while the charge that completed it is given back in full, or, if none ever did, all that
    came; else it is what it was. Surplus beside a charge that may stay changes no status."""
    back = _is_given_back(payment)
    if back and can_move(payment, PaymentStatus.REFUNDED):
        move_payment(payment, PaymentStatus.REFUNDED)
    elif not back and failed_late and payment.status == PaymentStatus.REFUNDED:
        move_payment(payment, _status_before(payment))


def _is_given_back(payment: Payment) -> bool:
    kept = payment.amount_captured - payment.amount_refunded
    if kept and payment.completed_at:
        surplus = payment.transactions.filter(is_surplus=True, kind=TransactionKind.SALE)
        back = payment.refunds.filter(charge__in=surplus, status=Status.SUCCEEDED)
        kept -= (surplus.aggregate(sum=Sum("amount"))["sum"] or 0) - (back.aggregate(sum=Sum("amount"))["sum"] or 0)
    return not kept


def _status_before(payment: Payment) -> PaymentStatus:
    if payment.completed_at:
        return PaymentStatus.COMPLETED
    return PaymentStatus.CANCELLED if payment.cancellation_reason else PaymentStatus.FAILED


def tell(payment: Payment, refund: Refund, event_type: str) -> None:
    publish(
        event_type,
        merchant_id=refund.merchant_id,
        object_id=refund.pk,
        data=RefundDetails(refund).data,
        payer=payer_of(payment),
    )
