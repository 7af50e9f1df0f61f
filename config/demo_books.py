"""The ledger of the sample history: what ledger.services would have booked, at its own time."""

from datetime import datetime, timedelta
from operator import attrgetter
from random import Random
from typing import Any

from accounts.models import Merchant
from core.ids import new_id
from ledger.models import BALANCE_OF, POSTINGS, Account, Entry, Journal, Kind, Payout, Settlement
from ledger.services.booking import Line
from payments.models import Transaction
from refunds.models import Refund

Source = Transaction | Refund | Payout  # what a journal is about: its amount is what is booked

REST = timedelta(days=1, hours=1)  # after the end: the day of seeding finds nothing to do


class Books:
    """Rows in memory; `tables` in the order in which they can be written."""

    def __init__(self, merchant: Merchant, random: Random, end: datetime) -> None:
        self.merchant, self.random, self.end = merchant, Random(random.random()), end  # noqa: S311 sample data
        self.journals: list[Journal] = []
        self.entries: list[Entry] = []
        self.settlements: list[Settlement] = []

    @property
    def tables(self) -> list[list[Any]]:
        return [self.journals, self.entries, self.settlements]

    def capture(self, txn: Transaction, at: datetime) -> None:
        """Money was taken, and settled if there was time for it."""
        journal = self._post(Kind.CAPTURE, txn, at)
        due_at = at + timedelta(days=self.merchant.settlement_delay_days)
        settled = due_at <= self.end
        if settled:
            self._post(Kind.SETTLEMENT, txn, due_at)
        self.settlements.append(
            Settlement(
                id=self._id("stl", at),
                capture=journal,
                due_at=None if settled else max(due_at, self.end + REST),
            )
        )

    def refund_reserved(self, refund: Refund, at: datetime) -> None:
        self._post(Kind.REFUND_RESERVED, refund, at)

    def refund_succeeded(self, refund: Refund, at: datetime) -> None:
        self._post(Kind.REFUND_SUCCEEDED, refund, at)

    def refund_undone(self, refund: Refund, at: datetime) -> None:
        """It failed after it had succeeded: both facts are reversed."""
        self._reverse(Kind.REFUND_SUCCEEDED, refund, at)
        self._reverse(Kind.REFUND_RESERVED, refund, at)

    def payout_created(self, payout: Payout, at: datetime) -> None:
        self._post(Kind.PAYOUT_CREATED, payout, at)

    def payout_paid(self, payout: Payout, at: datetime) -> None:
        self._post(Kind.PAYOUT_PAID, payout, at)

    def available(self, currency: str) -> list[Entry]:
        """The entries that payouts settle, the oldest first, as open_entries() finds them before there is a payout."""
        balance = BALANCE_OF[Account.MERCHANT_AVAILABLE]
        entries = [entry for entry in self.entries if (entry.currency, entry.balance) == (currency, balance)]
        return sorted(entries, key=attrgetter("pk"))

    def _post(self, kind: Kind, source: Source, at: datetime) -> Journal:
        debit, credit = POSTINGS[kind]
        return self._book(kind, source.pk, source.currency, [(debit, source.amount), (credit, -source.amount)], at)

    def _reverse(self, kind: Kind, source: Source, at: datetime) -> None:
        journal = next(row for row in self.journals if (row.kind, row.source_id) == (kind, source.pk))
        lines = [(Account(entry.account), -entry.amount) for entry in self.entries if entry.journal_id == journal.pk]
        self._book(Kind.REVERSAL, journal.pk, journal.currency, lines, at, reverses=journal)

    def _book(
        self,
        kind: Kind,
        source_id: str,
        currency: str,
        lines: list[Line],
        at: datetime,
        reverses: Journal | None = None,
    ) -> Journal:
        common: dict[str, Any] = {"merchant": self.merchant, "currency": currency, "created_at": at}
        journal = Journal(id=self._id("jnl", at), kind=kind, source_id=source_id, reverses=reverses, **common)
        self.journals.append(journal)
        for account, amount in lines:
            self.entries.append(
                Entry(
                    id=self._id("ent", at),
                    journal=journal,
                    account=account,
                    balance=BALANCE_OF.get(account, ""),
                    amount=amount,
                    **common,
                )
            )
        return journal

    def _id(self, prefix: str, at: datetime) -> str:
        return new_id(prefix, at=at, randomness=self.random.randbytes(10))
