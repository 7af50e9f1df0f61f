"""Refunds asked for, approved and called off."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Sum

from accounts.models import User
from core.errors import ApiError
from core.idempotency import create_once, fingerprint
from core.money import Money
from core.transactions import unit_of_work
from payments.models import Payment, Transaction, TransactionKind, TransactionStatus
from payments.models import Status as PaymentStatus
from payments.services.operations import open_operation
from payments.services.status import close_transaction
from refunds.models import RESERVED, Reason, Refund, Status
from refunds.services.status import move_refund, reserve

CHARGES = [TransactionKind.SALE, TransactionKind.AUTHORIZATION]
REPEATED = "A request that was sent before may have been carried out: an Idempotency-Key makes it safe to repeat."
KEPT_BACK = [*RESERVED, Status.SUCCEEDED]  # a refund's amount is gone from its charge, or about to go
Charges = list[tuple[Transaction, int]]  # each with what is left on it, minor units


class PaymentNotRefundable(ApiError):
    status, type, code = 409, "conflict", "payment_not_refundable"
    message = "Only a completed payment can be refunded."


class PaymentDisputed(ApiError):
    status, type, code = 409, "conflict", "payment_disputed"
    message = "This payment is disputed: the dispute decides about the money."


class RefundTooLarge(ApiError):
    status, code = 422, "refund_too_large"
    message = "That is more than is left of the payment."


class RefundUnderWay(ApiError):
    status, type, code = 409, "conflict", "refund_under_way"
    message = "The provider has been asked already: this refund cannot be called off."


class RefundOfSurplus(ApiError):
    status, type, code = 409, "conflict", "refund_of_surplus"
    message = "This money may not stay: that it goes back cannot be called off."


class ApprovalNotYours(ApiError):
    status, type, code = 403, "permission", "approval_not_yours"
    message = "Whoever asks for a refund, or made the API key that does, does not approve it. A second person has to."


@unit_of_work
def create_refund(
    payment: Payment,
    *,
    key: str | None,
    by: User | None,
    amount: str | None = None,
    reason: str = Reason.REQUESTED_BY_CUSTOMER,
    note: str = "",
) -> tuple[Refund, bool]:
    """A refund of `amount`, major units as digits, or of all that is left of the charge whose money may stay; and
    whether the idempotency `key` had made it before. `by` answers for it. Above the merchant's limit it waits for a
    second person.

    Raises PaymentNotRefundable, PaymentDisputed, RefundTooLarge, AmountInvalid and the like, IdempotencyKeyReused.
    """
    money = None if amount is None else Money.parse(amount, payment.currency)
    fields = {"reason": reason, "note": note}  # a default that is written out is no other request
    body = fingerprint({"payment": payment.pk, "amount": money and money.amount, **fields})
    refunds = Refund.objects.filter(merchant=payment.merchant_id)
    return create_once(refunds, key, body, lambda: _create(payment.pk, money, by, key, body, fields))


def _create(
    payment_id: str, money: Money | None, by: User | None, key: str | None, body: str, fields: dict[str, Any]
) -> Refund:
    payment = Payment.objects.locked(pk=payment_id)
    charges = _charges_to_refund(payment)
    hint = "" if key else f" {REPEATED}"
    _refuse(payment, charges, hint)
    charge, money = _charge_to_refund(charges, money, payment.currency, hint)
    refund = new_refund(payment, charge, money, requested_by=by, **fields)
    refund.idempotency_key, refund.fingerprint = key, body
    if _needs_approval(payment, money):
        refund.status = Status.REQUIRES_APPROVAL
    else:
        refund.transaction = open_refund(refund)
    reserve(payment, refund)
    return refund


def _refuse(payment: Payment, charges: Charges, hint: str) -> None:
    """Raises PaymentNotRefundable, PaymentDisputed. What is left on a payment that is not completed is a surplus whose
    way back has failed."""
    if payment.status == PaymentStatus.REFUNDED and not charges:
        raise PaymentNotRefundable(f"This payment is refunded already.{hint}")
    if payment.status != PaymentStatus.COMPLETED and not charges:
        raise PaymentNotRefundable
    if payment.amount_disputed:
        raise PaymentDisputed


def new_refund(payment: Payment, charge: Transaction, money: Money, **fields: Any) -> Refund:
    """A refund that is not saved yet."""
    return Refund(
        merchant_id=payment.merchant_id,
        payment=payment,
        charge=charge,
        amount=money.amount,
        currency=money.currency,
        **fields,
    )


def charges_left(payment: Payment) -> Iterator[tuple[Transaction, int]]:
    """The charges that took the payment's money, with what is left on each in minor units: first the one whose money
    may stay, then surplus, the newest first."""
    succeeded = payment.transactions.filter(status=TransactionStatus.SUCCEEDED).order_by("is_surplus", "-id")
    captures = succeeded.filter(kind=TransactionKind.CAPTURE)
    for charge in succeeded.filter(kind__in=CHARGES):
        taken = charge.amount
        if charge.kind == TransactionKind.AUTHORIZATION:
            taken = captures.filter(charge=charge).aggregate(sum=Sum("amount"))["sum"] or 0
        back = charge.refunds_of.filter(status__in=KEPT_BACK).aggregate(sum=Sum("amount"))["sum"] or 0
        if taken > back:
            yield charge, taken - back


def _charges_to_refund(payment: Payment) -> Charges:
    """What a merchant may refund. Surplus that is about to go back by itself is not for them: they could call that
    off."""
    return [pair for pair in charges_left(payment) if not (pair[0].is_surplus and payment.surplus_due_at)]


def _charge_to_refund(charges: Charges, money: Money | None, currency: str, hint: str) -> tuple[Transaction, Money]:
    """The first charge with this much left on it, or with anything and all of that: a refund is of one charge, and
    nearly every payment has one."""
    for charge, left in charges:
        if money is None or money.amount <= left:
            return charge, money or Money(left, currency)
    if not charges:
        raise RefundTooLarge(f"Nothing of this payment is left to refund.{hint}", param="amount")
    most = Money(max(left for _charge, left in charges), currency)
    raise RefundTooLarge(f"A refund of this payment can be of {most} {currency} at most.{hint}", param="amount")


def _needs_approval(payment: Payment, money: Money) -> bool:
    """The limit is for all refunds of a payment together, or parts would slip under it; in the merchant's default
    currency: nothing is converted, so another currency always asks."""
    limit = payment.merchant.refund_approval_limit
    if limit is None:
        return False
    back = payment.amount_refunded + payment.amount_refund_pending + money.amount
    return money.currency != payment.merchant.default_currency or back > limit


def open_refund(refund: Refund) -> Transaction:
    """The intent to give back, due at once."""
    return open_operation(refund.charge, TransactionKind.REFUND, refund.amount)


@unit_of_work
def approve_refund(refund: Refund, *, by: User) -> Refund:
    """The second pair of eyes. Raises ApprovalNotYours for the one who asked, PaymentDisputed, IllegalTransition. Where
    nobody answers for the request (its key's maker is gone), any person is a second one."""
    payment, refund = lock_refund(refund.pk)
    if refund.requested_by_id == by.pk:
        raise ApprovalNotYours
    if payment.amount_disputed:
        raise PaymentDisputed
    refund.approved_by = by
    refund.transaction = open_refund(refund)
    move_refund(payment, refund, Status.PENDING)
    return refund


@unit_of_work
def cancel_refund(refund: Refund) -> Refund:
    """Calls off a refund that the provider has not been asked for. Raises RefundOfSurplus of one that nobody asked for,
    RefundUnderWay, IllegalTransition."""
    payment, refund = lock_refund(refund.pk)
    if refund.is_surplus:
        raise RefundOfSurplus
    if refund.status == Status.PROCESSING:
        raise RefundUnderWay
    move_refund(payment, refund, Status.CANCELLED)
    if refund.transaction is not None:
        close_transaction(refund.transaction, TransactionStatus.CANCELLED)
    return refund


def lock_refund(refund_id: str) -> tuple[Payment, Refund]:
    """A refund and its payment, the payment's row locked first and both read after that."""
    payment_id = Refund.objects.values_list("payment_id", flat=True).get(pk=refund_id)
    payment = Payment.objects.locked(pk=payment_id)
    return payment, Refund.objects.select_related("transaction", "charge").get(pk=refund_id)
