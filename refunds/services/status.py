"""The one place where a refund's status changes: refund, payment, event and books together.

Every function here expects the payment's row to be locked by the caller's transaction.
"""

from django.utils import timezone

from core.state import can_move, move_to
from ledger.services import book_refund_reserved, book_refund_succeeded, book_refund_undone
from notifications.services import publish
from payments.models import Payment
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
    _move_along(payment, failed_late=had_succeeded)


def _give_surplus_back_again(payment: Payment, refund: Refund) -> None:
    """Money that may not stay, whose refund somebody asked for, is here again: it goes back by itself. When that was
    what failed, a person looks (see settle)."""
    if refund.charge.is_surplus and not refund.is_surplus:
        payment.surplus_due_at = timezone.now()


def _move_along(payment: Payment, *, failed_late: bool) -> None:
    """A payment that was given back in full is refunded. One whose refund failed after the fact is not any more,
    if it was ever completed: surplus alone never completes a payment."""
    in_full = payment.amount_captured == payment.amount_refunded
    if in_full and can_move(payment, PaymentStatus.REFUNDED):
        move_payment(payment, PaymentStatus.REFUNDED)
    elif failed_late and payment.status == PaymentStatus.REFUNDED and payment.completed_at:
        move_payment(payment, PaymentStatus.COMPLETED)


def tell(payment: Payment, refund: Refund, event_type: str) -> None:
    publish(
        event_type,
        merchant_id=refund.merchant_id,
        object_id=refund.pk,
        data=RefundDetails(refund).data,
        payer=payer_of(payment),
    )
