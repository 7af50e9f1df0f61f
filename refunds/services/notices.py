"""What providers tell of refunds: a reason to ask about ours, and how those made in their dashboards come to us."""

from datetime import timedelta

from django.db.models import Sum
from django.utils import timezone

from core.state import can_move
from core.transactions import unit_of_work
from payments.models import Payment, ProviderNotice, Transaction, TransactionKind, TransactionStatus
from payments.providers import PROVIDERS, OperationResult
from payments.services.status import wake
from refunds.models import RESERVED, Reason, Refund
from refunds.services.outcomes import begin, settle
from refunds.services.requests import CHARGES, charges_left, new_refund, open_refund
from refunds.services.status import reserve

# When a refund that was made at the provider is looked at again, while it does not fit here: longer each time, for an
# approval may take days.
ROOM_WAIT, LONGEST_ROOM_WAIT = timedelta(minutes=1), timedelta(hours=1)
ON_ITS_WAY = timedelta(hours=1)  # what is younger may not have reached us yet, or the provider


class NoRoomYet(Exception):
    """The refund is of more than is left until one of ours has come to nothing."""


def handle_notice(notice: ProviderNotice) -> None:
    """Makes our refund due, so that its provider is asked; takes in one that was made at the provider, as soon as
    there is room for it. What does not match our money is left to a person, with the reason, once nothing that would
    make it match can be on its way. Raises ProviderUnavailable: it is tried again."""
    fault, waits = "", notice.created_at > timezone.now() - ON_ITS_WAY
    try:
        if Transaction.objects.filter(pk=notice.transaction_id, kind=TransactionKind.REFUND).exists():
            wake(notice.transaction_id)
        else:
            # Asked twice: what was told while the first answer came in had no refund to change.
            fault = _take_in(notice) or _take_in(notice)
    except NoRoomYet as error:
        fault, waits = str(error), True
    due_at = timezone.now() + min(ROOM_WAIT * max(notice.attempts, 1), LONGEST_ROOM_WAIT) if fault and waits else None
    ProviderNotice.objects.filter(pk=notice.pk).update(due_at=due_at, last_error=fault)


def _take_in(notice: ProviderNotice) -> str:
    """Asks the provider, for the notice itself is not believed. Answers with why the refund does not count; empty
    when it does, or did before."""
    result = PROVIDERS[notice.provider].lookup_operation(str(notice.payload.get("key", "")))
    return _apply(notice.provider, result) if result else "The provider does not know this refund."


@unit_of_work
def _apply(provider: str, result: OperationResult) -> str:
    charges = Transaction.objects.filter(kind__in=CHARGES, provider=provider)
    charge = charges.filter(provider_reference=result.charge_reference).first()
    if charge is None:
        return "The refund is of a charge that is not ours."
    payment = Payment.objects.locked(pk=charge.payment_id)
    refund = (
        Refund.objects.select_related("transaction")
        .filter(payment=payment, charge=charge, transaction__provider_reference=result.reference)
        .first()
    )
    if refund is None and result.status != TransactionStatus.SUCCEEDED:
        return ""  # no money has moved
    fault = _mismatch(payment, charge, refund, result)
    if not fault:
        _book(payment, refund or _record(payment, charge, result), result)
    return fault


def _mismatch(payment: Payment, charge: Transaction, refund: Refund | None, result: OperationResult) -> str:
    """Why this is not about our money; empty when it is. Raises NoRoomYet."""
    amount = f"{result.money} {result.money.currency}"
    if refund is not None:
        return "" if refund.money == result.money else f"The provider's amount is {amount} now."
    if result.money.currency != charge.currency:
        return f"The refund is of {amount}, the charge is in {charge.currency}."
    left = dict(charges_left(payment)).get(charge, 0)
    if result.money.amount <= left:
        return ""
    set_aside = charge.refunds_of.filter(status__in=RESERVED).aggregate(sum=Sum("amount"))["sum"] or 0
    if result.money.amount <= left + set_aside:
        raise NoRoomYet(f"The refund is of {amount}; refunds of ours leave no room for it in {payment.pk}.")
    return f"The refund is of {amount}, more than is left of {payment.pk}."


def _record(payment: Payment, charge: Transaction, result: OperationResult) -> Refund:
    """Set aside and begun at once: what follows is as with any other refund."""
    refund = new_refund(payment, charge, result.money, reason=Reason.OTHER)
    refund.transaction = open_refund(refund)
    reserve(payment, refund)
    begin(payment, refund, refund.transaction)
    return refund


def _book(payment: Payment, refund: Refund, result: OperationResult) -> None:
    if refund.transaction is not None and can_move(refund, result.status):
        settle(payment, refund, refund.transaction, result)
