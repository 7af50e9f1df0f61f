"""Payouts asked for, held, called off and carried out.

Whoever makes a payout locks the row of the bank account that it goes to, so that no two pay out the same money; whoever
changes one locks its row. move_payout() is the one place where its status changes: row, books and event together.
"""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.models import Merchant, User
from core.errors import ApiError
from core.idempotency import create_once, fingerprint
from core.money import Money
from core.state import can_move, move_to
from core.transactions import unit_of_work
from ledger.carriers import BY_HAND, CARRIERS, CarrierUnavailable, Transfer, TransferRequest
from ledger.models import REASON_LENGTH, RETURNED, TO_CARRY_OUT, BankAccount, Payout, PayoutLine, PayoutStatus
from ledger.serializers import PayoutDetails
from ledger.services.bank_accounts import lock_account_in_use
from ledger.services.booking import book_payout_created, book_payout_paid, book_payout_undone
from ledger.services.lines import BATCH, open_entries, settle_entries
from ledger.verification import is_halted
from notifications.services import publish

CANCELLABLE_FOR = timedelta(minutes=1)  # before the carrier is asked
BLOCKED_RETRY = timedelta(minutes=10)  # while payouts are halted or the merchant is suspended
# When the carrier is asked again; the last delay repeats.
IN_TRANSIT_DELAYS = [timedelta(seconds=s) for s in (5, 15, 60, 300, 1800, 7200, 21600)]
IN_TRANSIT_FOR = timedelta(days=14)  # after that a person looks
RETURN_DELAYS = [timedelta(seconds=s) for s in (15, 60, 3600, 86_400, 86_400, 259_200)]  # once it was paid

Status = PayoutStatus


class PayoutsHalted(ApiError):
    status, type, code = 503, "unavailable", "payouts_halted"
    message = "The books are being checked: no payout is made until that is done."
    retry_after = int(BLOCKED_RETRY.total_seconds())


class PayoutsSuspended(ApiError):
    status, type, code = 409, "conflict", "payouts_suspended"
    message = "This merchant is suspended: nothing is paid out."


class PayoutTooLarge(ApiError):
    status, code = 422, "payout_too_large"
    message = "That is more than is available."


class PayoutUnderWay(ApiError):
    status, type, code = 409, "conflict", "payout_under_way"
    message = "The bank has been asked already: this payout cannot be called off."


class PayoutHeld(ApiError):
    status, type, code = 409, "conflict", "payout_held"
    message = "This payout is held: ask us about it."


class NothingToAsk(ApiError):
    status, type, code = 409, "conflict", "payout_with_nobody"
    message = "Nobody has this payout who could be asked about it."


class NotByHand(ApiError):
    status, type, code = 409, "conflict", "payout_not_by_hand"
    message = "The carrier of this payout says what becomes of it."


# --- What is asked for ------------------------------------------------------------------------
@unit_of_work
def create_payout(
    merchant: Merchant,
    *,
    currency: str,
    key: str | None = None,
    by: User | None = None,
    amount: str | None = None,
    is_scheduled: bool = False,
) -> tuple[Payout, bool]:
    """A payout of `amount`, major units as digits, or of all that is available; and whether the idempotency `key` had
    made it before.

    Raises PayoutTooLarge, BankAccountMissing, PayoutsHalted, PayoutsSuspended, AmountInvalid and the like,
    IdempotencyKeyReused.
    """
    money = None if amount is None else Money.parse(amount, currency)
    body = fingerprint({"payout": currency, "amount": money and money.amount})
    fields = {"requested_by": by, "is_scheduled": is_scheduled, "idempotency_key": key, "fingerprint": body}
    payouts = Payout.objects.with_account().filter(merchant=merchant)
    return create_once(payouts, key, body, lambda: _create(merchant.pk, currency, money, fields))


def _create(merchant_id: str, currency: str, money: Money | None, fields: dict[str, Any]) -> Payout:
    """Sets the money aside; all that is available where no amount was asked for."""
    merchant = Merchant.objects.get(pk=merchant_id)
    refuse_blocked(merchant)
    account = lock_account_in_use(merchant, currency)
    entries = open_entries(merchant_id, currency)
    available = Money(sum(entry.left for entry in entries), currency)
    money = money or available
    if not 0 < money.amount <= available.amount:
        raise PayoutTooLarge(f"{available} {currency} is available.", param="amount")
    carrier = "sandbox" if merchant.is_sandbox else BY_HAND
    payout = Payout(
        merchant=merchant,
        bank_account=account,
        currency=currency,
        amount=money.amount,
        carrier=carrier,
        due_at=None if carrier == BY_HAND else timezone.now() + CANCELLABLE_FOR,
        **fields,
    )
    lines = settle_entries(payout, entries)
    payout.save(force_insert=True)
    PayoutLine.objects.bulk_create(lines, batch_size=BATCH)
    book_payout_created(payout.pk, payout.amount, merchant_id=merchant_id, currency=currency)
    _tell(payout, "payout.created")
    return payout


def refuse_blocked(merchant: Merchant) -> None:
    """Raises PayoutsHalted, PayoutsSuspended."""
    if is_halted():
        raise PayoutsHalted
    if merchant.status == Merchant.Status.SUSPENDED:
        raise PayoutsSuspended


def cancel_payout(payout: Payout) -> Payout:
    """The merchant calls off a payout that has not left. Raises PayoutUnderWay, PayoutHeld, IllegalTransition."""
    refusals = {Status.IN_TRANSIT: PayoutUnderWay, Status.HELD: PayoutHeld}
    return _change(payout, Status.CANCELLED, refusals=refusals)


# --- What staff do ----------------------------------------------------------------------------
def hold_payout(payout: Payout) -> Payout:
    """Keeps a payout from leaving until it is released or called off. Raises PayoutUnderWay, IllegalTransition."""
    return _change(payout, Status.HELD, refusals={Status.IN_TRANSIT: PayoutUnderWay})


def release_payout(payout: Payout) -> Payout:
    """Lets a held payout go on its way. Raises IllegalTransition."""
    return _change(payout, Status.PENDING)


def call_off_payout(payout: Payout) -> Payout:
    """As cancel_payout(), of a held one too."""
    return _change(payout, Status.CANCELLED, refusals={Status.IN_TRANSIT: PayoutUnderWay})


def may_ask_again(payout: Payout) -> bool:
    return payout.carrier != BY_HAND and payout.status in (Status.IN_TRANSIT, Status.PAID)


@unit_of_work
def ask_again(payout: Payout) -> None:
    """Has the carrier asked now, and takes the payout out of review. Harmless: the answer walks through the usual
    door, which parks it again when it still does not match. Raises NothingToAsk."""
    locked = lock_payout(payout.pk)
    if not may_ask_again(locked):
        raise NothingToAsk
    locked.review_reason, locked.due_at = "", timezone.now()
    locked.save(update_fields=["review_reason", "due_at", "updated_at"])


def send_by_hand(payout: Payout) -> Payout:
    """The bank was told to pay it. Raises NotByHand, PayoutsHalted, PayoutsSuspended, IllegalTransition."""
    _refuse_carried(payout)
    refuse_blocked(payout.merchant)
    return _change(payout, Status.IN_TRANSIT)


def pay_by_hand(payout: Payout) -> Payout:
    """It has arrived. Raises NotByHand, IllegalTransition."""
    _refuse_carried(payout)
    return _change(payout, Status.PAID)


def fail_by_hand(payout: Payout, failure_code: str) -> Payout:
    """The bank has sent it back. Raises NotByHand, IllegalTransition."""
    _refuse_carried(payout)
    return _change(payout, Status.FAILED, failure_code=failure_code)


def _refuse_carried(payout: Payout) -> None:
    if payout.carrier != BY_HAND:
        raise NotByHand


@unit_of_work
def _change(
    payout: Payout, status: str, *, refusals: dict[PayoutStatus, type[ApiError]] | None = None, failure_code: str = ""
) -> Payout:
    locked = lock_payout(payout.pk)
    for refused, error in (refusals or {}).items():
        if locked.status == refused:
            raise error
    locked.failure_code = failure_code
    move_payout(locked, status)
    return locked


# --- The one door -----------------------------------------------------------------------------
def lock_payout(payout_id: str) -> Payout:
    payout = Payout.objects.select_for_update().get(pk=payout_id)
    payout.bank_account = BankAccount.objects.sealed().get(pk=payout.bank_account_id)  # shown in its events
    return payout


def move_payout(payout: Payout, status: str) -> None:
    """Moves the payout along the table with its books, its next job and its event. The caller holds its lock."""
    move_to(payout, status)
    now = timezone.now()
    if status == Status.IN_TRANSIT:
        payout.sent_at = now
    elif status == Status.PAID:
        payout.paid_at = now
        book_payout_paid(payout.pk, payout.amount, merchant_id=payout.merchant_id, currency=payout.currency)
    elif status in RETURNED:
        book_payout_undone(payout.pk)
    payout.attempts, payout.last_error, payout.review_reason = 0, "", ""
    payout.due_at = _next_look(payout)
    payout.save()
    _tell(payout, f"payout.{status}")


def _next_look(payout: Payout) -> datetime | None:
    """When the carrier is asked: at once, on a schedule while the payout is in transit, and for some days after it
    was paid. None when nobody is asked (any more)."""
    now, turn = timezone.now(), payout.attempts
    if payout.carrier == BY_HAND:
        return None
    if payout.status == Status.PENDING:
        return now
    if payout.status == Status.PAID and turn < len(RETURN_DELAYS):
        return now + RETURN_DELAYS[turn]
    if payout.status == Status.IN_TRANSIT and now - (payout.sent_at or now) < IN_TRANSIT_FOR:
        return now + IN_TRANSIT_DELAYS[min(turn, len(IN_TRANSIT_DELAYS) - 1)]
    return None


def _tell(payout: Payout, event_type: str) -> None:
    publish(event_type, merchant_id=payout.merchant_id, object_id=payout.pk, data=PayoutDetails(payout).data)


# --- The job ----------------------------------------------------------------------------------
def run_payout(payout: Payout) -> None:
    """Sends a pending payout; any other is looked up first, never sent first."""
    if payout.status == Status.PENDING and not _begin(payout.pk):
        return
    try:
        transfer = _ask(payout)
    except CarrierUnavailable as error:
        _stay_unknown(payout.pk, str(error))
    except (PayoutsHalted, PayoutsSuspended) as error:
        _stay_blocked(payout.pk, error)
    else:
        apply_transfer(payout.pk, transfer)


@unit_of_work
def _begin(payout_id: str) -> bool:
    """Commits the intent. False when it was held or called off, somebody else has begun, or nothing may be paid."""
    payout = lock_payout(payout_id)
    if payout.status != Status.PENDING:
        return False
    try:
        refuse_blocked(payout.merchant)
    except ApiError as error:
        _postpone(payout, error)
        return False
    _request(payout)  # one whose account number cannot be read is not begun, and can be called off
    move_payout(payout, Status.IN_TRANSIT)
    return True


def _ask(payout: Payout) -> Transfer:
    """The carrier's answer. Raises CarrierUnavailable, also when it never heard of a payout that it had paid; and
    PayoutsHalted and PayoutsSuspended when it would be sent now: it may have been begun long ago, by a worker that
    was killed."""
    carrier = CARRIERS[payout.carrier]
    transfer = None if payout.status == Status.PENDING else carrier.lookup(payout.pk)
    if transfer is not None:
        return transfer
    if payout.status not in TO_CARRY_OUT:
        raise CarrierUnavailable("the carrier does not know this payout")
    refuse_blocked(payout.merchant)
    return carrier.send(_request(payout))


def _request(payout: Payout) -> TransferRequest:
    """Raises DecryptionError."""
    account: BankAccount = payout.bank_account
    return TransferRequest(payout.pk, payout.merchant_id, payout.money, account.account_number)


@unit_of_work
def apply_transfer(payout_id: str, transfer: Transfer) -> None:
    """Takes a carrier's answer into the books, in one commit. Old news is ignored, news told twice changes nothing,
    and an answer about other money than ours is parked for review."""
    payout = lock_payout(payout_id)
    fault = _mismatch(payout, transfer)
    if fault:
        payout.review_reason, payout.due_at = fault[:REASON_LENGTH], None
        payout.save()
    elif can_move(payout, transfer.status):
        payout.carrier_reference, payout.failure_code = transfer.reference, transfer.failure_code
        move_payout(payout, transfer.status)
    else:
        payout.carrier_reference = payout.carrier_reference or transfer.reference
        _wait(payout)


def _mismatch(payout: Payout, transfer: Transfer) -> str:
    """Why this answer cannot be about our payout; empty when it is."""
    if (transfer.key, transfer.account) != (payout.pk, payout.merchant_id):
        return "The carrier answered about another transfer or account."
    if payout.carrier_reference and transfer.reference != payout.carrier_reference:
        return "The carrier answered with another reference."
    if transfer.money != payout.money:
        return f"The carrier's amount is {transfer.money} {transfer.money.currency}."
    return ""


@unit_of_work
def _stay_blocked(payout_id: str, error: ApiError) -> None:
    """It has not been sent: that waits until payouts go on."""
    _postpone(lock_payout(payout_id), error)


def _postpone(payout: Payout, error: ApiError) -> None:
    payout.due_at, payout.last_error = timezone.now() + BLOCKED_RETRY, error.message
    payout.save()


@unit_of_work
def _stay_unknown(payout_id: str, error: str) -> None:
    """Silence is no answer: the status stays, and the carrier is asked again."""
    _wait(lock_payout(payout_id), error)


def _wait(payout: Payout, error: str = "") -> None:
    """Nothing new, or no answer: asks again on the schedule, and in the end leaves it to a person."""
    payout.last_error, payout.due_at = error, _next_look(payout)
    if payout.due_at is None and payout.status == Status.IN_TRANSIT:
        payout.review_reason = "The carrier has not told what became of it."
    payout.save()
