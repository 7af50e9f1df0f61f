"""Whether the books agree: with themselves here, and with each app's own rows by the checks that it adds in its
`books.py`. A check answers with faults, each of which names the row; docs/operating.md lists the rules, L1 to L9."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, Exists, F, Max, Min, OuterRef, Sum
from django.utils import timezone
from django.utils.module_loading import autodiscover_modules

from ledger import triggers
from ledger.models import BALANCE_OF, NEVER_NEGATIVE, Account, Entry, Halt, Journal, Kind, Snapshot

MAX_FAULTS = 20  # of one check; the first ones are enough to begin with


@dataclass(frozen=True)
class Fault:
    """`rule` is the invariant's name, `row` the id of what breaks it."""

    rule: str
    row: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule} {self.row}: {self.text}"


Check = Callable[[], Iterator[Fault]]
checks: list[Check] = []


def check(function: Check) -> Check:
    checks.append(function)
    return function


def verify() -> list[Fault]:
    """Runs every check and answers with what is wrong."""
    autodiscover_modules("books")
    faults: list[Fault] = []
    for function in checks:
        for number, fault in enumerate(function()):
            if number == MAX_FAULTS:
                break
            faults.append(fault)
    return faults


def verify_and_halt() -> int:
    """The nightly check: a fault halts payouts until a person has lifted it. Answers 0: nothing is left to do."""
    faults = verify()
    if faults and not is_halted():
        Halt.objects.create(reason="\n".join(map(str, faults)))
    return 0


def is_halted() -> bool:
    return Halt.objects.filter(lifted_at=None).exists()


def lift_halts() -> int:
    """A person has looked: payouts may go on."""
    return Halt.objects.filter(lifted_at=None).update(lifted_at=timezone.now())


def standing(kind: Kind) -> Exists:
    """For annotate(): whether the row, by its `amount` and `currency`, is booked as this, and not reversed."""
    journals = Journal.objects.filter(kind=kind, source_id=OuterRef("pk"), reversed_by=None)
    entries = Entry.objects.filter(amount=OuterRef(OuterRef("amount")), currency=OuterRef(OuterRef("currency")))
    return Exists(journals.filter(Exists(entries.filter(journal=OuterRef("pk")))))


# --- The books with themselves ----------------------------------------------------------------
@check
def journals_sum_to_zero() -> Iterator[Fault]:
    wrong = Entry.objects.order_by().values("journal_id").annotate(sum=Sum("amount")).exclude(sum=0)
    for row in wrong.iterator():
        yield Fault("L1", row["journal_id"], f"its entries sum to {row['sum']}")


@check
def journals_have_two_entries() -> Iterator[Fault]:
    for journal in Journal.objects.annotate(lines=Count("entries")).filter(lines__lt=2).iterator():
        yield Fault("L2", journal.pk, f"it has {journal.lines} entries")


@check
def entries_are_not_zero() -> Iterator[Fault]:
    for entry_id in Entry.objects.filter(amount=0).values_list("pk", flat=True):
        yield Fault("L2", entry_id, "its amount is zero")


@check
def nothing_can_be_changed() -> Iterator[Fault]:
    for name in triggers.missing(connection):
        yield Fault("L3", name, "this trigger is not in the database")


@check
def reversals_are_opposites() -> Iterator[Fault]:
    for journal in Journal.objects.exclude(reverses=None).iterator():
        ours = sorted((entry.account, -entry.amount) for entry in journal.entries.all())
        theirs = sorted(Entry.objects.filter(journal_id=journal.reverses_id).values_list("account", "amount"))
        if ours != theirs:
            yield Fault("L3", journal.pk, f"it is not the opposite of {journal.reverses_id}")


@check
def snapshots_are_sums() -> Iterator[Fault]:
    for row in Snapshot.objects.iterator():
        entries = Entry.objects.filter(merchant_id=row.merchant_id, currency=row.currency, account=row.account)
        total = entries.filter(pk__lt=row.up_to).aggregate(sum=Sum("amount"))["sum"] or 0
        if total != row.amount:
            yield Fault("L4", str(row.pk), f"{row.account} of {row.merchant_id} says {row.amount}, entries {total}")


@check
def what_is_set_aside_is_there() -> Iterator[Fault]:
    held = Entry.objects.filter(account__in=NEVER_NEGATIVE).order_by()
    sums = held.values("merchant_id", "currency", "account").annotate(sum=Sum("amount"), last=Max("pk"))
    for row in sums.filter(sum__gt=0).iterator():
        yield Fault("L5", row["last"], f"{row['account']} of {row['merchant_id']} owes {row['sum']} {row['currency']}")


@check
def entries_count_for_their_balance() -> Iterator[Fault]:
    for account in Account:
        wrong = Entry.objects.filter(account=account).exclude(balance=BALANCE_OF.get(account, ""))
        for entry_id in wrong.values_list("pk", flat=True):
            yield Fault("L4", entry_id, f"an entry of {account} counts for another number of the balance")


@check
def entries_are_of_their_journal() -> Iterator[Fault]:
    mixed = Entry.objects.exclude(currency=F("journal__currency"), merchant_id=F("journal__merchant_id"))
    for row in mixed.order_by().values("journal_id").annotate(first=Min("pk")).iterator():
        yield Fault("L9", row["first"], f"its merchant or currency is not that of {row['journal_id']}")
