"""What a merchant's accounts hold: a snapshot, and the entries after it. No row is locked to know it."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Sum
from django.utils import timezone

from accounts.models import Merchant
from core.ids import RANDOM_BYTES, new_id
from core.money import Money
from core.transactions import unit_of_work
from ledger.models import BALANCES, Account, Entry, Snapshot

# An id is made a moment before its commit, so an entry may appear behind one that is there already. A snapshot ends
# this long ago: no transaction lives longer (the servers' statement timeouts are seconds).
MARGIN = timedelta(minutes=15)
LOOK_BACK = timedelta(days=1)

Sums = dict[tuple[str, str], int]  # (currency, account): minor units, debit above zero


@dataclass(frozen=True)
class Balance:
    """Of one currency. `pending` is not settled yet, `available` can be paid out, `reserved` is set aside for
    refunds, disputes and payouts."""

    pending: Money
    available: Money
    reserved: Money


def balances(merchant: Merchant) -> dict[str, Balance]:
    """By currency, of all that the merchant has ever had entries in."""
    sums = sums_of(merchant)

    def held(currency: str, accounts: tuple[Account, ...]) -> Money:
        return Money(-sum(sums.get((currency, account), 0) for account in accounts), currency)

    return {
        currency: Balance(**{name: held(currency, accounts) for name, accounts in BALANCES.items()})
        for currency in sorted({currency for currency, _account in sums})
    }


def sums_of(merchant: Merchant) -> Sums:
    """The sum of all entries by currency and account."""
    sums: Sums = defaultdict(int)
    after = ""
    for snapshot in Snapshot.objects.filter(merchant=merchant):
        sums[snapshot.currency, snapshot.account] = snapshot.amount
        after = snapshot.up_to
    for currency, account, amount in _added(merchant, after, None):
        sums[currency, account] += amount
    return dict(sums)


def _added(merchant: Merchant, after: str, before: str | None) -> list[tuple[str, str, int]]:
    entries = Entry.objects.filter(merchant=merchant, pk__gte=after)
    if before is not None:
        entries = entries.filter(pk__lt=before)
    return list(entries.order_by().values_list("currency", "account").annotate(Sum("amount")))


@unit_of_work
def take_snapshot(merchant: Merchant) -> None:
    """Brings a merchant's snapshots up to MARGIN ago. Two at once: one after the other."""
    up_to = first_entry(timezone.now() - MARGIN)
    locked = _lock(merchant, up_to)
    if locked is None or up_to <= locked.up_to:
        return
    kept = {(row.currency, row.account): row for row in Snapshot.objects.filter(merchant=merchant)}
    for currency, account, amount in _added(merchant, locked.up_to, up_to):
        row = kept.setdefault(
            (currency, account), Snapshot(merchant=merchant, currency=currency, account=account, amount=0)
        )
        row.amount += amount
    for row in kept.values():
        row.up_to = up_to
        row.save()


def _lock(merchant: Merchant, up_to: str) -> Snapshot | None:
    """The row of the account of the merchant's first entry: every snapshot has it, the first one too, so its lock is
    that of all of them. None when there is nothing before `up_to`."""
    entries = Entry.objects.filter(merchant=merchant, pk__lt=up_to).order_by("pk")
    first = entries.values("currency", "account").first()
    if first is None:
        return None
    rows = Snapshot.objects.select_for_update()
    return rows.get_or_create(merchant=merchant, **first, defaults={"amount": 0, "up_to": ""})[0]


def take_snapshots() -> int:
    """Of every merchant with entries of the last LOOK_BACK. One that is left out has an older snapshot, and a balance
    that is as right and a little slower."""
    now = timezone.now()
    window = {"entries__pk__gte": first_entry(now - LOOK_BACK), "entries__pk__lt": first_entry(now - MARGIN)}
    for merchant in Merchant.objects.filter(**window).distinct():
        take_snapshot(merchant)
    return 0  # nothing is left to do until the next turn


def first_entry(at: datetime) -> str:
    """The lowest id of an entry of that moment."""
    return new_id("ent", at=at, randomness=bytes(RANDOM_BYTES))
