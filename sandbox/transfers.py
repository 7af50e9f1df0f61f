"""The emulated provider's transfers: what it holds for an account goes to a bank account of its holder.

Like the rest of its API (sandbox/services.py) each function is one HTTP call and commits for itself. There are no
notices of transfers: whoever wants to know asks again.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Sum
from django.utils import timezone

from core.idempotency import fingerprint
from core.money import EXPONENTS
from core.state import move_to
from sandbox.checks import check_amount, check_key, check_same_request, refuse
from sandbox.models import Charge, Transfer
from sandbox.wire import SandboxNotFound, over_the_wire

COMES_BACK_SECONDS = 5.0  # from a transfer's arrival to its return; real banks take days
PAGE = 500  # transfers
ACCOUNT_LENGTHS = range(4, 35)  # characters; 34 is the longest IBAN (ISO 13616)

COMES_BACK = "returned"  # after it was paid
# Account numbers that make a transfer fail. The first ones are Stripe's for tests (docs.stripe.com/connect/testing).
FAILING_ACCOUNTS = {
    "000111111116": "no_account",
    "000111111113": "account_closed",
    "000222222227": "insufficient_funds",
    "000333333335": "debit_not_authorized",
    "000444444440": "invalid_currency",
    "000555555559": COMES_BACK,
}


@over_the_wire
def create_transfer(*, key: str, account: str, amount: int, currency: str, account_number: str) -> dict[str, Any]:
    """Starts a transfer of `amount` minor units. The same key answers with the same transfer, as it is now. Fails with
    balance_insufficient when the account does not hold that much.

    Raises SandboxRefused: idempotency_error, key_invalid, amount_invalid, currency_invalid, account_invalid.
    """
    check_key(key)
    check_amount(amount)
    if currency not in EXPONENTS:
        refuse("currency_invalid", "The currency is not an ISO 4217 code.")
    if len(account_number) not in ACCOUNT_LENGTHS or not account_number.isalnum():
        refuse("account_invalid", "An account number is 4 to 34 letters and digits.")
    transfer = Transfer(
        key=key,
        account=account,
        amount=amount,
        currency=currency,
        last4=account_number[-4:],
        outcome=FAILING_ACCOUNTS.get(account_number, ""),
        due_at=timezone.now() + timedelta(seconds=settings.SANDBOX_SETTLE_SECONDS),
    )
    transfer.fingerprint = fingerprint(
        {"account": account, "amount": amount, "currency": currency, "to": transfer.last4}
    )
    return _insert_once(transfer).as_dict()


@over_the_wire
def retrieve_transfer(*, key: str) -> dict[str, Any]:
    """Raises SandboxNotFound when no transfer was ever made under the key."""
    transfer = Transfer.objects.filter(key=key).first()
    if transfer is None:
        raise SandboxNotFound(f"No transfer has the key {key}.")
    return transfer.as_dict()


@over_the_wire
def list_transfers(*, account: str, after: str = "") -> dict[str, Any]:
    """The transfers of an account, `{"transfers": […], "next"}`: a page of those that come after `after`. `next` is
    what the following page comes after, empty on the last one."""
    rows = list(Transfer.objects.filter(account=account, pk__gt=after).order_by("pk")[:PAGE])
    return {"transfers": [row.as_dict() for row in rows], "next": rows[-1].pk if len(rows) == PAGE else ""}


def held_for(account: str, currency: str) -> int:
    """Minor units that were captured for an account, and neither given back nor transferred."""
    charges = Charge.objects.filter(account=account, currency=currency)
    captured = charges.aggregate(sum=Sum(F("amount_captured") - F("amount_refunded")))["sum"] or 0
    gone = Transfer.objects.filter(account=account, currency=currency).exclude(status=Transfer.Status.FAILED)
    return captured - (gone.aggregate(sum=Sum("amount"))["sum"] or 0)


def _insert_once(transfer: Transfer) -> Transfer:
    """The one transfer of its key: the unique column decides between callers that come at once."""
    existing = Transfer.objects.filter(key=transfer.key).first()
    if existing is None:
        try:
            return _insert(transfer)
        except IntegrityError:
            existing = Transfer.objects.filter(key=transfer.key).first()
            if existing is None:
                raise
    check_same_request(existing, transfer.fingerprint)
    return existing


@transaction.atomic(durable=True)
def _insert(transfer: Transfer) -> Transfer:
    """Those of one account one after the other, by the lock of its first charge: each has what is left of those before.
    Without a charge there is nothing to transfer."""
    Charge.objects.select_for_update().filter(account=transfer.account).order_by("pk").first()
    if transfer.amount > held_for(transfer.account, transfer.currency):
        transfer.status, transfer.due_at = Transfer.Status.FAILED, None
        transfer.failure_code = "balance_insufficient"
    transfer.save(force_insert=True)
    return transfer


def settle_transfer(claimed: Transfer) -> None:
    """The job of a due transfer: it arrives or fails, or comes back after it had arrived. Safe to run twice."""
    with transaction.atomic(durable=True):
        transfer = Transfer.objects.select_for_update().get(pk=claimed.pk)
        if transfer.due_at != claimed.due_at:  # another worker was faster
            return
        transfer.due_at = None
        arrives = transfer.status == Transfer.Status.IN_TRANSIT and (transfer.outcome in ("", COMES_BACK))
        if arrives:
            move_to(transfer, Transfer.Status.PAID)
            if transfer.outcome == COMES_BACK:
                transfer.due_at = timezone.now() + timedelta(seconds=COMES_BACK_SECONDS)
        else:
            move_to(transfer, Transfer.Status.FAILED)
            transfer.failure_code = transfer.outcome
        transfer.save()
