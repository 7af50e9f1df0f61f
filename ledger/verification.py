"""Whether the books agree: with themselves here, and with each app's own rows by the checks that it adds in its
`books.py`. A check answers with faults, each of which names the row; docs/operating.md lists the rules, L1 to L9."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import (
    Case,
    CharField,
    Count,
    Exists,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.module_loading import autodiscover_modules

from ledger import triggers
from ledger.models import BALANCE_OF, NEVER_NEGATIVE, POSTINGS, Account, Entry, Halt, Journal, Kind, Snapshot

logger = logging.getLogger(__name__)

MAX_FAULTS = 20  # of one check; the first ones are enough to begin with


@dataclass(frozen=True)
class Fault:
    """`rule` is the invariant's name, `row` the id of what breaks it; or, where it is `unchecked`, of what nobody could
    look at, which says nothing about it."""

    rule: str
    row: str
    text: str
    unchecked: bool = False

    def __str__(self) -> str:
        return f"{self.rule} {self.row}: {self.text}"


Check = Callable[[], Iterator[Fault]]
checks: list[Check] = []


def check(function: Check) -> Check:
    checks.append(function)
    return function


def verify() -> list[Fault]:
    """Runs every check and answers with what is wrong, and with what could not be looked at."""
    autodiscover_modules("books")
    return [fault for function in checks for fault in _first(function)]


def _first(function: Check) -> list[Fault]:
    """The first MAX_FAULTS of a check, and as many that it could not look at; and how many more there are of each."""
    faults: list[Fault] = []
    numbers: Counter[bool] = Counter()
    for fault in function():
        numbers[fault.unchecked] += 1
        if numbers[fault.unchecked] <= MAX_FAULTS:
            faults.append(fault)
    more = {unchecked: number - MAX_FAULTS for unchecked, number in numbers.items() if number > MAX_FAULTS}
    return faults + [Fault(faults[0].rule, function.__name__, f"{more[it]} more", unchecked=it) for it in more]


def without_statement(name: str, merchant: str, error: Exception) -> Fault:
    """For a check that asks a provider or a bank, and gets no answer."""
    return Fault("L6", merchant, f"{name} gives no statement of it, so nothing was compared: {error}", unchecked=True)


# --- Halts ------------------------------------------------------------------------------------
def verify_and_halt() -> int:
    """The nightly check: a fault halts payouts until a person has lifted it, unless all that is found is what stood
    when the last halt was lifted. Answers 0: nothing is left to do."""
    found = verify()
    for fault in found:
        logger.warning("%s", fault)
    new = {str(fault) for fault in found if not fault.unchecked} - _known()
    if new and not is_halted():
        Halt.objects.create(reason=_listed(found))
    return 0


def is_halted() -> bool:
    return Halt.objects.filter(lifted_at=None).exists()


def lift_halts(found: list[Fault], *, before: datetime, by: str = "", because: str = "") -> int:
    """A person has looked: payouts may go on. Of the halts that are older than this look at the books, with what it
    has `found`, who lifts them in spite of that, and why."""
    halts = Halt.objects.filter(lifted_at=None, created_at__lt=before)
    return halts.update(lifted_at=timezone.now(), lifted_by=by, lifted_because=because, stood=_listed(found))


def _known() -> set[str]:
    last = Halt.objects.exclude(lifted_at=None).order_by("lifted_at").last()
    return set(last.stood.splitlines()) if last else set()


def _listed(found: list[Fault]) -> str:
    return "\n".join(map(str, found))


# --- Rows and their journals ------------------------------------------------------------------
# The rows that are booked as each kind; each app adds its own. A kind that no app adds is booked for nobody.
SOURCES: dict[Kind, QuerySet] = {}

# What a row says of a kind in its books, by booked().
NOT, STANDS, REVERSED, OTHERWISE = "not", "stands", "reversed", "with other money"


def booked(kind: Kind, amount: str = "amount") -> Coalesce:
    """For annotate(): how a row with `merchant`, `currency` and this field of minor units is booked as this kind."""
    lines = Entry.objects.filter(journal=OuterRef("pk"), amount=OuterRef(OuterRef(amount)))
    as_told = Q(Exists(lines), merchant=OuterRef("merchant"), currency=OuterRef("currency"))
    state = Case(
        When(~as_told, then=Value(OTHERWISE)),
        When(Exists(Journal.objects.filter(reverses=OuterRef("pk"))), then=Value(REVERSED)),
        default=Value(STANDS),
        output_field=CharField(),
    )
    journals = Journal.objects.filter(kind=kind, source_id=OuterRef("pk"))
    return Coalesce(Subquery(journals.annotate(state=state).values("state")), Value(NOT))


@check
def every_journal_has_its_row() -> Iterator[Fault]:
    """L8: nothing is booked for a row that is not there, or that is none to be booked so."""
    for kind in POSTINGS:
        rows = SOURCES.get(kind)
        journals = Journal.objects.filter(kind=kind)
        if rows is not None:
            journals = journals.exclude(Exists(rows.filter(pk=OuterRef("source_id"))))
        for journal in journals.iterator():
            yield Fault("L8", journal.pk, f"{journal.kind} of {journal.source_id}: there is nothing to be booked so")


@check
def journals_are_of_their_kind() -> Iterator[Fault]:
    """L8: a journal has one line on each of the two accounts of its kind, on its side."""
    for kind, (debit, credit) in POSTINGS.items():
        journals = Journal.objects.filter(kind=kind).annotate(
            lines=Count("entries"),
            debits=Count("entries", filter=Q(entries__account=debit, entries__amount__gt=0)),
            credits=Count("entries", filter=Q(entries__account=credit, entries__amount__lt=0)),
        )
        for journal in journals.exclude(lines=2, debits=1, credits=1).iterator():
            yield Fault("L8", journal.pk, f"its entries are not those of a {journal.kind}")


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
        yield Fault("L3", name, "this trigger is not in the database, or is disabled")


@check
def reversals_reverse() -> Iterator[Fault]:
    """L3: a reversal, and nothing else, says which journal it reverses: one of the same merchant and currency that is
    none itself."""
    same = Q(merchant=F("reverses__merchant"), currency=F("reverses__currency"), source_id=F("reverses"))
    right = same & Q(kind=Kind.REVERSAL, reverses__isnull=False) & ~Q(reverses__kind=Kind.REVERSAL)
    reversals = Journal.objects.filter(Q(kind=Kind.REVERSAL) | Q(reverses__isnull=False))
    for journal in reversals.exclude(right).iterator():
        yield Fault("L3", journal.pk, f"{journal.kind} of {journal.source_id} reverses {journal.reverses_id}")


@check
def reversals_are_opposites() -> Iterator[Fault]:
    """L3: a reversal has two lines, each the opposite of one of the journal that it reverses."""
    opposite = Entry.objects.filter(
        journal=OuterRef(OuterRef("reverses")), account=OuterRef("account"), amount=-OuterRef("amount")
    )
    strange = Entry.objects.filter(~Exists(opposite), journal=OuterRef("pk"))
    reversals = Journal.objects.filter(reverses__isnull=False)
    for journal in reversals.annotate(lines=Count("entries")).exclude(~Exists(strange), lines=2).iterator():
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
