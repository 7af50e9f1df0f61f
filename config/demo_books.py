"""The ledger of the sample history: what ledger.services would have booked, at its own time."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

from accounts.models import Merchant
from core.ids import new_id
from ledger.models import BALANCE_OF, Account, Entry, Journal, Kind, Settlement
from payments.models import Transaction

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
        journal = self._book(Kind.CAPTURE, txn, at, debit=Account.PROVIDER_RECEIVABLE, credit=Account.MERCHANT_PENDING)
        due_at = at + timedelta(days=self.merchant.settlement_delay_days)
        settled = due_at <= self.end
        if settled:
            self._book(Kind.SETTLEMENT, txn, due_at, debit=Account.MERCHANT_PENDING, credit=Account.MERCHANT_AVAILABLE)
        self.settlements.append(
            Settlement(
                id=self._id("stl", at),
                capture=journal,
                amount=txn.amount,
                due_at=None if settled else max(due_at, self.end + REST),
            )
        )

    def _book(self, kind: Kind, txn: Transaction, at: datetime, *, debit: Account, credit: Account) -> Journal:
        common: dict[str, Any] = {"merchant": self.merchant, "currency": txn.currency, "created_at": at}
        journal = Journal(id=self._id("jnl", at), kind=kind, source_id=txn.pk, **common)
        self.journals.append(journal)
        for account, amount in ((debit, txn.amount), (credit, -txn.amount)):
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
