"""Snapshots taken at the same moment, with real threads and connections. The run on MariaDB and PostgreSQL is what
counts: SQLite has one writer."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Merchant
from core.ids import new_id
from core.money import EXPONENTS
from ledger.balances import MARGIN, sums_of, take_snapshot
from ledger.models import Account, Entry, Journal, Kind, Snapshot
from ledger.verification import snapshots_are_sums
from tests.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 4
WAIT = 20  # seconds, of whoever should not have to wait at all
CURRENCIES = sorted(EXPONENTS)[:20]


@pytest.fixture
def entry(shop) -> Callable[..., Entry]:
    """`entry(at, currency)`: one of that moment, of 1.00 in an account of its currency."""
    journal = Journal.objects.create(kind=Kind.CAPTURE, source_id="txn", merchant=shop, currency="USD")

    def make(at: datetime, currency: str = "USD") -> Entry:
        row = {"journal": journal, "merchant": shop, "account": Account.FEES, "amount": -100}
        return Entry.objects.create(id=new_id("ent", at=at), currency=currency, **row)

    return make


def check(shop: Merchant, counted: dict[tuple[str, str], int]) -> None:
    assert sums_of(shop) == counted
    assert len({row.up_to for row in Snapshot.objects.all()}) == 1
    assert list(snapshots_are_sums()) == []


class TestAtOnce:
    def test_are_one_after_the_other(self, shop, entry):
        """While the end of the snapshots walks over entries, each the first of its account."""
        start = timezone.now() - MARGIN
        for number, currency in enumerate(CURRENCIES):
            entry(start + timedelta(milliseconds=500 + 50 * number), currency)
        counted = {(currency, Account.FEES): -100 for currency in CURRENCIES}
        end = start + MARGIN + timedelta(milliseconds=500 + 50 * len(CURRENCIES))

        def keep_taking() -> None:
            while timezone.now() < end:
                take_snapshot(shop)

        at_once([keep_taking] * THREADS)
        take_snapshot(shop)
        assert Snapshot.objects.count() == len(CURRENCIES)
        check(shop, counted)

    def test_for_the_first_time_are_one(self, shop, entry):
        for currency in ("EUR", "USD"):
            entry(timezone.now() - MARGIN * 2, currency)
        at_once([lambda: take_snapshot(shop)] * THREADS)
        assert Snapshot.objects.count() == 2
        check(shop, {("EUR", Account.FEES): -100, ("USD", Account.FEES): -100})

    def test_of_nothing_are_none(self, shop, entry):
        entry(timezone.now())
        at_once([lambda: take_snapshot(shop)] * THREADS)
        assert not Snapshot.objects.exists()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite locks no rows")
def test_does_not_wait_for_whoever_has_locked_the_merchant(shop, entry):
    entry(timezone.now() - MARGIN * 2)
    take_snapshot(shop)
    held, taken = threading.Event(), threading.Event()

    def hold() -> bool:
        with transaction.atomic():
            Merchant.objects.select_for_update().get(pk=shop.pk)
            held.set()
            return taken.wait(WAIT)

    def take() -> None:
        held.wait(WAIT)
        take_snapshot(shop)
        taken.set()

    assert at_once([hold, take])[0]
