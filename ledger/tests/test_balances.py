"""Balances: the same with and without snapshots, and nothing but the sum of the entries."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.services import create_merchant
from ledger.balances import MARGIN, balances, sums_of, take_snapshot, take_snapshots
from ledger.models import Account, Kind, Snapshot
from ledger.services import book

SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
moves = st.tuples(
    st.sampled_from(["USD", "JPY"]),
    st.sampled_from(list(Account)),
    st.sampled_from(list(Account)),
    st.integers(1, 10**12),
    st.booleans(),  # whether a snapshot is taken afterwards
)


@pytest.fixture
def merchant(db):
    return create_merchant(name="Acme")


@SLOW
@given(st.lists(moves, max_size=12))
def test_equal_a_plain_count_of_every_entry(merchant, time_machine, steps):
    other = create_merchant(name="Other")
    counted = Counter()
    for number, (currency, debit, credit, amount, snapshot) in enumerate(steps):
        time_machine.move_to(timezone.now() + MARGIN * 2)
        lines = [(debit, amount), (credit, -amount)]
        book(Kind.CAPTURE, f"{other.pk}{number}", merchant_id=other.pk, currency=currency, lines=lines)
        counted[currency, debit] += amount
        counted[currency, credit] -= amount
        if snapshot:
            take_snapshot(other)
    assert {key: amount for key, amount in sums_of(other).items() if amount} == {
        key: amount for key, amount in counted.items() if amount
    }
    assert sums_of(merchant) == {}


def rows_read():
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(value) for _name, value in cursor.fetchall())


class TestSnapshot:
    @pytest.fixture
    def entry(self, merchant):
        def make(number, amount=100):
            lines = [(Account.PROVIDER_RECEIVABLE, amount), (Account.MERCHANT_PENDING, -amount)]
            return book(Kind.CAPTURE, f"txn{number}", merchant_id=merchant.pk, currency="USD", lines=lines)

        return make

    def test_leaves_out_what_may_still_get_company(self, merchant, entry, time_machine):
        entry(1)
        time_machine.move_to(timezone.now() + MARGIN + timedelta(seconds=1))
        entry(2)
        take_snapshot(merchant)
        assert {row.amount for row in Snapshot.objects.all()} == {100, -100}
        assert str(balances(merchant)["USD"].pending) == "2.00"

    def test_makes_a_balance_cost_the_same(self, merchant, entry, time_machine, django_assert_num_queries):
        for number in range(30):
            entry(number)
        time_machine.move_to(timezone.now() + timedelta(hours=1))
        assert take_snapshots() == 0
        entry(31)
        with django_assert_num_queries(2):
            assert str(balances(merchant)["USD"].pending) == "31.00"

    @pytest.mark.skipif(connection.vendor != "mysql", reason="only MariaDB and MySQL count what a session reads")
    def test_makes_a_balance_read_what_came_after_it_only(self, merchant, entry, time_machine):
        for number in range(60):
            entry(number)
        time_machine.move_to(timezone.now() + timedelta(hours=1))
        take_snapshot(merchant)
        entry(61)
        before = rows_read()
        assert str(balances(merchant)["USD"].pending) == "61.00"
        assert rows_read() - before < 30

    def test_taken_again_changes_nothing(self, merchant, entry, time_machine):
        entry(1)
        time_machine.move_to(timezone.now() + timedelta(hours=1))
        take_snapshot(merchant)
        take_snapshot(merchant)
        assert str(balances(merchant)["USD"].pending) == "1.00"
