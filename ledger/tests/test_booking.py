"""What is booked for what, and that nothing else can be."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from ledger import services
from ledger.balances import balances, sums_of
from ledger.models import Account, Entry, Fee, Journal, Kind, Settlement
from ledger.services import BookedOtherwise, Unbalanced, book, book_capture, fees_of

SOURCE = "txn_01m7xt2s1c9d8e7f6g5h4j3k2m"
REFUND = "re_01m7xv4g2r3s4t5v6w7x8y9z0a"


@pytest.fixture
def where(shop):
    return {"merchant_id": shop.pk, "currency": "USD"}


@pytest.fixture
def capture(where):
    return lambda amount=5000, fee=0, source=SOURCE: book_capture(
        source, amount, fee=fee, settles_in=timedelta(days=2), **where
    )


@pytest.fixture
def held(shop):
    """Account: what it holds, debit above zero."""
    return lambda: {account: amount for (_currency, account), amount in sums_of(shop).items() if amount}


class TestFacts:
    def test_a_capture_is_owed_by_the_provider_and_pending(self, capture, held):
        capture()
        assert held() == {"provider_receivable": 5000, "merchant_pending": -5000}

    def test_a_fee_is_taken_from_what_is_pending(self, capture, held):
        capture(fee=175)
        assert held() == {"provider_receivable": 5000, "merchant_pending": -4825, "fees": -175}

    def test_a_settlement_makes_available_what_is_left(self, capture, held, time_machine, work):
        capture(fee=175)
        work()
        assert held()["merchant_pending"] == -4825
        time_machine.move_to(timezone.now() + timedelta(days=2, seconds=1))
        work()
        assert held() == {"provider_receivable": 5000, "merchant_available": -4825, "fees": -175}

    def test_a_payout_is_set_aside_and_then_paid_by_the_provider(self, capture, where, held):
        capture()
        services.booking.book_payout_created("po_1", 2000, **where)
        assert (held()["payout_clearing"], held()["merchant_available"]) == (-2000, 2000)
        services.booking.book_payout_paid("po_1", 2000, **where)
        assert held() == {"provider_receivable": 3000, "merchant_pending": -5000, "merchant_available": 2000}

    def test_a_payout_that_comes_back_is_available_again(self, capture, where, held):
        capture()
        services.booking.book_payout_created("po_1", 2000, **where)
        services.booking.book_payout_paid("po_1", 2000, **where)
        for _twice in range(2):
            services.booking.book_payout_undone("po_1")
        assert held() == {"provider_receivable": 5000, "merchant_pending": -5000}

    def test_a_refund_is_set_aside_and_then_paid_by_the_provider(self, capture, where, held):
        capture()
        services.book_refund_reserved(REFUND, 2000, **where)
        assert held()["refund_clearing"] == -2000
        assert held()["merchant_available"] == 2000
        services.book_refund_succeeded(REFUND, 2000, **where)
        assert held() == {"provider_receivable": 3000, "merchant_pending": -5000, "merchant_available": 2000}

    @pytest.mark.parametrize("succeeded", [False, True])
    def test_a_refund_that_comes_to_nothing_leaves_nothing(self, capture, where, held, succeeded):
        capture()
        before = held()
        services.book_refund_reserved(REFUND, 2000, **where)
        if succeeded:
            services.book_refund_succeeded(REFUND, 2000, **where)
        services.book_refund_undone(REFUND)
        services.book_refund_undone(REFUND)
        assert held() == before

    def test_booked_twice_is_booked_once(self, capture, held):
        assert capture() == capture()
        assert held()["provider_receivable"] == 5000
        assert Settlement.objects.count() == 1


class TestJournal:
    @pytest.mark.parametrize("amounts", [[5], [5, -4], [5, -5, 0], [], [0, 0]])
    def test_has_two_lines_that_sum_to_zero(self, where, amounts):
        with pytest.raises(Unbalanced):
            book(Kind.CAPTURE, SOURCE, lines=[(Account.FEES, amount) for amount in amounts], **where)
        assert not Journal.objects.exists()

    def test_is_one_statement_for_all_its_entries(self, where, django_assert_num_queries):
        lines = [(Account.FEES, 5), (Account.SUSPENSE, -3), (Account.MERCHANT_PENDING, -2)]
        with django_assert_num_queries(5):  # look, savepoint, journal, release, entries
            book(Kind.CAPTURE, SOURCE, lines=lines, **where)

    def test_told_again_is_one_query_more(self, where, django_assert_num_queries):
        lines = [(Account.FEES, 5), (Account.SUSPENSE, -3), (Account.MERCHANT_PENDING, -2)]
        first = book(Kind.CAPTURE, SOURCE, lines=lines, **where)
        with django_assert_num_queries(2):
            assert book(Kind.CAPTURE, SOURCE, lines=reversed(lines), **where) == first

    @pytest.mark.parametrize(
        ("changed", "lines"),
        [
            ({}, [(Account.FEES, 6), (Account.SUSPENSE, -6)]),
            ({}, [(Account.FEES, -5), (Account.SUSPENSE, 5)]),
            ({}, [(Account.FEES, 5), (Account.MERCHANT_PENDING, -5)]),
            ({}, [(Account.FEES, 5), (Account.SUSPENSE, -2), (Account.SUSPENSE, -3)]),
            ({"currency": "EUR"}, [(Account.FEES, 5), (Account.SUSPENSE, -5)]),
            ({"merchant_id": "mer_of_somebody_else"}, [(Account.FEES, 5), (Account.SUSPENSE, -5)]),
        ],
    )
    def test_is_not_told_again_with_other_money(self, where, changed, lines):
        journal = book(Kind.CAPTURE, SOURCE, lines=[(Account.FEES, 5), (Account.SUSPENSE, -5)], **where)
        with pytest.raises(BookedOtherwise, match=journal.pk):
            book(Kind.CAPTURE, SOURCE, lines=lines, **{**where, **changed})
        assert Entry.objects.count() == 2

    def test_a_zero_is_refused_by_the_database_too(self, where, capture):
        journal = capture()
        with pytest.raises(IntegrityError), transaction.atomic():
            Entry.objects.create(journal=journal, account=Account.FEES, amount=0, **where)


class TestTriggers:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE ledger_entry SET amount = amount + 1",
            "UPDATE ledger_journal SET kind = 'fee'",
            "DELETE FROM ledger_entry",
            "DELETE FROM ledger_journal",
        ],
    )
    def test_the_database_itself_refuses_a_change(self, capture, statement):
        capture()
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
        assert Entry.objects.count() == 2

    @pytest.mark.parametrize("table", ["ledger_entry", "ledger_journal"])
    def test_the_database_itself_refuses_an_insert_that_replaces(self, capture, table):
        capture()
        statement = f"REPLACE INTO {table} SELECT * FROM {table}"  # noqa: S608
        if connection.vendor == "postgresql":
            statement = f"INSERT INTO {table} SELECT * FROM {table} ON CONFLICT (id) DO UPDATE SET currency = 'EUR'"  # noqa: S608
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)

    def test_emptying_the_table_is_refused_where_it_is_one_statement(self, capture):
        if connection.vendor != "postgresql":
            pytest.skip("only PostgreSQL has triggers on TRUNCATE; elsewhere the account needs the DROP privilege")
        capture()
        connection.check_constraints()  # none of them may wait for the end
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("TRUNCATE ledger_entry CASCADE")


class TestFees:
    def test_are_zero_until_staff_sets_them(self, shop):
        assert fees_of(shop.pk, "paypal", "USD", 5000) == {}

    def test_are_a_share_and_a_fixed_part(self, shop):
        Fee.objects.create(merchant=shop, payee="provider", currency="USD", basis_points=290, fixed=30)
        assert fees_of(shop.pk, "paypal", "USD", 5000) == {"provider": 175}
        assert fees_of(shop.pk, "paypal", "EUR", 5000) == {}

    def test_of_the_method_go_before_those_of_every_method(self, shop):
        Fee.objects.create(merchant=shop, payee="platform", currency="USD", basis_points=100)
        Fee.objects.create(merchant=shop, payee="platform", method="paypal", currency="USD", basis_points=300)
        assert fees_of(shop.pk, "paypal", "USD", 5000) == {"platform": 150}
        assert fees_of(shop.pk, "credit_card", "USD", 5000) == {"platform": 50}

    def test_never_exceed_the_amount(self, shop):
        Fee.objects.create(merchant=shop, payee="platform", currency="USD", fixed=500)
        Fee.objects.create(merchant=shop, payee="provider", currency="USD", basis_points=10_000)
        assert sum(fees_of(shop.pk, "paypal", "USD", 300).values()) == 300

    @pytest.mark.parametrize(("amount", "fee"), [(17, 0), (18, 1), (50, 1), (51, 1), (86, 2)])
    def test_round_half_up_to_a_minor_unit(self, shop, amount, fee):
        Fee.objects.create(merchant=shop, payee="provider", currency="USD", basis_points=290)
        assert fees_of(shop.pk, "paypal", "USD", amount) == {"provider": fee}

    def test_are_facts_on_the_transaction(self, shop, pay, work):
        Fee.objects.create(merchant=shop, payee="provider", currency="USD", basis_points=290, fixed=30)
        pay(card_number="4242424242424242", card_expiry_month=12, card_expiry_year=2030)
        work()
        assert shop.transactions.get().provider_fee == 175
        balance = balances(shop)["USD"]
        assert (str(balance.pending), str(balance.available)) == ("48.25", "0.00")
