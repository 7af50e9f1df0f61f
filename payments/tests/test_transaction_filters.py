from datetime import timedelta

import pytest
from django.utils import timezone

from core.ids import new_id
from payments.filters import list_transactions
from payments.models import Transaction

OLD = timedelta(days=1000)  # out of every window
LAST_YEAR = f"{timezone.now() - timedelta(days=400):%Y-%m-%d}"


class TestTransactions:
    @pytest.fixture
    def payments(self, make):
        payments = [make("a"), make("b", age=OLD)]
        for payment, kind, status in (
            (payments[1], "sale", "failed"),
            (payments[0], "authorization", "succeeded"),
            (payments[0], "capture", "failed"),
        ):
            Transaction.objects.create(
                id=new_id("txn", at=payment.created_at + timedelta(milliseconds=len(kind))),
                payment=payment,
                merchant=payment.merchant,
                kind=kind,
                status=status,
                amount=5000,
                currency="USD",
                method="paypal",
                provider="sandbox",
                created_at=payment.created_at,
            )
        return payments

    @pytest.fixture
    def kinds(self, ask, shop, payments):
        def of(query, rows=None):
            page, note = ask(query, shop.transactions.all() if rows is None else rows, list_transactions)
            return [txn.kind for txn in page.rows], note

        return of

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("", ["authorization", "capture", "sale"]),
            ("ordering=created", ["sale", "capture", "authorization"]),
            (f"created_before={LAST_YEAR}", ["sale"]),
            ("payment_id={0}", ["authorization", "capture"]),
            ("payment_id={1}&status=failed&kind=sale&provider=sandbox", ["sale"]),
            ("payment_id={1}&kind=void", []),
            ("merchant_id=x", ["authorization", "capture", "sale"]),
        ],
    )
    def test_are_found_at_any_age_by_an_index(self, kinds, payments, query, expected):
        query = query.format(*(payment.pk for payment in payments))
        assert kinds(query) == (expected, "")

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("status=failed", ["capture"]),
            ("status=failed,succeeded", ["authorization", "capture"]),
            ("kind=sale", []),
            ("provider=sandbox", ["authorization", "capture"]),
        ],
    )
    def test_are_found_in_the_window_by_other_filters(self, kinds, query, expected):
        found, note = kinds(query)
        assert found == expected
        assert note.startswith("Transactions since ")

    def test_of_a_payment_have_no_window(self, kinds, payments):
        assert kinds("status=failed", payments[1].transactions.all()) == (["sale"], "")

    @pytest.mark.parametrize(
        "query",
        [
            "payment_id=x",
            "payment_id=pay_",
            "payment_id=txn_01m7xt2s0arrqj7g231der0e2g",
            "payment_id=PAY_01M7XT2S0ARRQJ7G231DER0E2G",
            "payment_id=pay_01m7xt2s0arrqj7g231der0e2g%0A",
            "kind=Sale",
            "status=completed",
            "cursor=after.pay_01m7xt2s0arrqj7g231der0e2g",
            "created_after=2026-02-30",
        ],
    )
    def test_are_not_found_by_a_malformed_value(self, shop, refused, query):
        error = refused(query, shop.transactions.all(), list_transactions)
        assert (error.code, error.param) == ("parameter_invalid", query.partition("=")[0])

    def test_have_no_currency_or_customer(self, shop, refused):
        for name in ("currency", "customer_email", "search", "order_id"):
            assert refused(f"{name}=x", shop.transactions.all(), list_transactions).code == "parameter_unknown"
