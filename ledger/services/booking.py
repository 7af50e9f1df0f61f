"""Booking: one helper for each business fact.

Each is called inside the transaction of the change that it books, and booking the same fact twice changes nothing;
with other money it is refused. Amounts are minor units above zero.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import timezone

from core.transactions import unit_of_work
from ledger.models import BALANCE_OF, POSTINGS, Account, Entry, Fee, Journal, Kind, Settlement

BASIS = 10_000  # basis points of the whole

Line = tuple[Account, int]


class Unbalanced(ValueError):
    """A programming error: the lines of a journal do not sum to zero, or there are too few of them."""


class BookedOtherwise(ValueError):
    """A programming error: this fact stands in the books with other money."""


def book(
    kind: Kind,
    source_id: str,
    *,
    merchant_id: str,
    currency: str,
    lines: Iterable[Line],
    reverses: Journal | None = None,
    at: datetime | None = None,
) -> Journal:
    """Writes a journal with its entries, or answers with the one that is there. Raises Unbalanced, BookedOtherwise."""
    lines = list(lines)
    amounts = [amount for _account, amount in lines]
    if len(amounts) < 2 or sum(amounts) != 0 or 0 in amounts:
        raise Unbalanced(f"{kind} {source_id}: {lines}")
    known = Journal.objects.filter(kind=kind, source_id=source_id).first()
    if known is not None:
        return _as_booked(known, merchant_id, currency, lines)
    fields = {} if at is None else {"created_at": at}
    try:
        with transaction.atomic():
            journal = Journal.objects.create(
                kind=kind, source_id=source_id, merchant_id=merchant_id, currency=currency, reverses=reverses, **fields
            )
    except IntegrityError:  # booked by somebody else at the same moment
        return _as_booked(Journal.objects.get(kind=kind, source_id=source_id), merchant_id, currency, lines)
    Entry.objects.bulk_create(
        Entry(
            journal=journal,
            merchant_id=merchant_id,
            currency=currency,
            account=account,
            balance=BALANCE_OF.get(account, ""),
            amount=amount,
            **fields,
        )
        for account, amount in lines
    )
    return journal


def _as_booked(journal: Journal, merchant_id: str, currency: str, lines: list[Line]) -> Journal:
    """The journal of a fact that is told again, if it is told with the same money."""
    booked = sorted(journal.entries.values_list("account", "amount"))
    if (journal.merchant_id, journal.currency, booked) != (merchant_id, currency, sorted(lines)):
        raise BookedOtherwise(f"{journal.pk}: {journal.kind} {journal.source_id}: {lines}")
    return journal


def post(kind: Kind, source_id: str, amount: int, *, merchant_id: str, currency: str) -> Journal:
    """Books a fact by its two accounts in POSTINGS."""
    debit, credit = POSTINGS[kind]
    lines = [(debit, amount), (credit, -amount)]
    return book(kind, source_id, merchant_id=merchant_id, currency=currency, lines=lines)


def reverse(journal: Journal) -> Journal:
    """Books the opposite of a journal; at most once."""
    lines = [(Account(entry.account), -entry.amount) for entry in journal.entries.order_by("id")]
    return book(
        Kind.REVERSAL,
        journal.pk,
        merchant_id=journal.merchant_id,
        currency=journal.currency,
        lines=lines,
        reverses=journal,
    )


# --- Captures ---------------------------------------------------------------------------------
def book_capture(
    source_id: str, amount: int, *, fee: int, merchant_id: str, currency: str, settles_in: timedelta
) -> Journal:
    """Money was taken, and with it the fee; what is left becomes available after the settlement delay."""
    journal = post(Kind.CAPTURE, source_id, amount, merchant_id=merchant_id, currency=currency)
    if fee:
        post(Kind.FEE, source_id, fee, merchant_id=merchant_id, currency=currency)
    if amount > fee:
        due_at = timezone.now() + settles_in
        Settlement.objects.get_or_create(capture=journal, defaults={"due_at": due_at})
    return journal


def fees_of(merchant_id: str, method: str, currency: str, amount: int) -> dict[str, int]:
    """What a capture of `amount` costs, by payee. A share is rounded half up to a minor unit: the sum of all shares
    is nobody's money but the payee's, and no more than the amount is ever kept."""
    rules = Fee.objects.filter(merchant_id=merchant_id, currency=currency, method__in=["", method])
    chosen: dict[str, Fee] = {}
    for rule in sorted(rules, key=lambda rule: bool(rule.method)):  # a rule for the method wins
        chosen[rule.payee] = rule
    fees, left = {}, amount
    for payee, rule in sorted(chosen.items()):
        fees[payee] = min((amount * rule.basis_points + BASIS // 2) // BASIS + rule.fixed, left)
        left -= fees[payee]
    return fees


@unit_of_work
def settle(settlement: Settlement) -> None:
    """The job of a settlement: what the capture and its fee left pending becomes available. Safe to run twice."""
    capture = settlement.capture
    facts = {"journal__kind__in": [Kind.CAPTURE, Kind.FEE], "journal__source_id": capture.source_id}
    left = Entry.objects.filter(**facts, account=Account.MERCHANT_PENDING).aggregate(sum=-Sum("amount"))["sum"]
    post(Kind.SETTLEMENT, capture.source_id, left, merchant_id=capture.merchant_id, currency=capture.currency)
    Settlement.objects.filter(pk=settlement.pk).update(due_at=None)


# --- Refunds ----------------------------------------------------------------------------------
def book_refund_reserved(refund_id: str, amount: int, *, merchant_id: str, currency: str) -> Journal:
    """Set aside; before settlement this may take what is available below zero."""
    return post(Kind.REFUND_RESERVED, refund_id, amount, merchant_id=merchant_id, currency=currency)


def book_refund_succeeded(refund_id: str, amount: int, *, merchant_id: str, currency: str) -> Journal:
    """The provider has paid it, so it owes us that much less."""
    return post(Kind.REFUND_SUCCEEDED, refund_id, amount, merchant_id=merchant_id, currency=currency)


def book_refund_undone(refund_id: str) -> None:
    """Cancelled, failed, or failed after it had succeeded: whatever was booked for it is reversed."""
    _undo(refund_id, [Kind.REFUND_SUCCEEDED, Kind.REFUND_RESERVED])


def _undo(source_id: str, kinds: Sequence[Kind]) -> None:
    """Reverses what was booked of these kinds, in this order."""
    journals = {journal.kind: journal for journal in Journal.objects.filter(kind__in=kinds, source_id=source_id)}
    for kind in kinds:
        if kind in journals:
            reverse(journals[kind])


# --- Payouts ----------------------------------------------------------------------------------
def book_payout_created(payout_id: str, amount: int, *, merchant_id: str, currency: str) -> Journal:
    """Set aside; the caller has seen to it, under the bank account's lock, that it is there."""
    return post(Kind.PAYOUT_CREATED, payout_id, amount, merchant_id=merchant_id, currency=currency)


def book_payout_paid(payout_id: str, amount: int, *, merchant_id: str, currency: str) -> Journal:
    """It has arrived, so the provider owes us that much less."""
    return post(Kind.PAYOUT_PAID, payout_id, amount, merchant_id=merchant_id, currency=currency)


def book_payout_undone(payout_id: str) -> None:
    """Cancelled, failed, or sent back after it had arrived: whatever was booked for it is reversed."""
    _undo(payout_id, [Kind.PAYOUT_PAID, Kind.PAYOUT_CREATED])
