"""Which entries a payout settles: all that takes away from what is available, and of what adds to it the oldest, until
the sum is the amount. The last one may be settled in part; the rest of it is the next payout's.

The entries of payouts themselves are not among them, but what comes back of one that failed is: it is settled anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Max, Sum
from django.utils import timezone

from core.indexes import along_index
from ledger.balances import MARGIN, first_entry
from ledger.models import BALANCE_OF, Account, Entry, Kind, Payout, PayoutLine

BATCH = 1000  # lines written at once


@dataclass(frozen=True)
class OpenEntry:
    """An entry with what no payout has settled of it: minor units, above zero what adds to the balance."""

    id: str
    left: int


def open_entries(merchant_id: str, currency: str) -> list[OpenEntry]:
    """All that is available, the oldest first; their sum is the available balance. When a payout is to follow,
    the caller holds the lock of its bank account: no two payouts settle the same."""
    payouts = Payout.objects.filter(merchant=merchant_id, currency=currency)
    after = payouts.aggregate(after=Max("settled_up_to"))["after"] or ""
    lines = PayoutLine.objects.filter(payout__in=payouts, entry__gte=after).order_by()
    settled = dict(lines.values_list("entry").annotate(Sum("amount")))
    available = BALANCE_OF[Account.MERCHANT_AVAILABLE]
    entries = along_index(Entry.objects.filter(merchant=merchant_id, currency=currency, balance=available))
    added = entries.filter(pk__gte=after).exclude(journal__kind=Kind.PAYOUT_CREATED).order_by("pk")
    found = (OpenEntry(pk, -amount - settled.get(pk, 0)) for pk, amount in added.values_list("pk", "amount").iterator())
    return [entry for entry in found if entry.left]


def settle_entries(payout: Payout, entries: list[OpenEntry]) -> list[PayoutLine]:
    """The lines of a payout that is not saved yet, and in it where the next one begins to look."""
    parts = _parts(entries, payout.amount)
    oldest_left = [entry.id for entry in entries if parts.get(entry.id) != entry.left][:1]
    # An id is made a moment before its commit, so an entry may still appear behind those that were seen.
    payout.settled_up_to = min([*oldest_left, first_entry(timezone.now() - MARGIN)])
    return [PayoutLine(payout=payout, entry_id=entry_id, amount=part) for entry_id, part in parts.items()]


def _parts(entries: Iterable[OpenEntry], amount: int) -> dict[str, int]:
    """What of each entry goes into `amount`, which is no more than all of them together."""
    wanted = amount - sum(entry.left for entry in entries if entry.left < 0)
    parts: dict[str, int] = {}
    for entry in entries:
        part = entry.left if entry.left < 0 else min(entry.left, wanted)
        wanted -= max(part, 0)
        if part:
            parts[entry.id] = part
    return parts
