"""The books by API."""

from collections import Counter
from decimal import Decimal
from json import loads

import pytest

CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2030}


@pytest.fixture
def business(pay, work, api, owner):
    """Payments in two currencies, one of them refunded in part, one refund on its way."""
    payments = [pay(**CARD, **fields).json()["payment"] for fields in ({}, {"amount": 5000, "currency": "JPY"}, {})]
    work()
    refund = {"amount": "20.00"}
    api.post(f"/api/v1/payments/{payments[0]['id']}/refund", refund, headers=owner, content_type="application/json")
    work()
    api.post(f"/api/v1/payments/{payments[2]['id']}/refund", {}, headers=owner, content_type="application/json")


@pytest.fixture
def read(api, owner):
    """The JSON of a path, numbers as they stand there."""
    return lambda path: loads(api.get(f"/api/v1/{path}", headers=owner).content, parse_float=Decimal)


def everything(read, path):
    rows, url = [], path
    while url:
        page = read(url.partition("/api/v1/")[2] or url)
        rows += page["entries"]
        url = page["next"]
    return rows


class TestBalance:
    def test_of_a_new_merchant_is_empty(self, read):
        assert read("balance")["balance"] == {"currencies": []}

    def test_tells_what_is_pending_available_and_reserved(self, read, business):
        assert read("balance")["balance"]["currencies"] == [
            {"currency": "JPY", "pending": 5000, "available": 0, "reserved": 0},
            {
                "currency": "USD",
                "pending": Decimal("100.00"),
                "available": Decimal("-70.00"),
                "reserved": Decimal("50.00"),
            },
        ]

    def test_is_in_every_number_the_sum_of_its_entries(self, read, business):
        for balance in read("balance")["balance"]["currencies"]:
            for name in ("pending", "available", "reserved"):
                path = f"balance/entries?currency={balance['currency']}&balance={name}&page_size=2"
                assert sum(entry["amount"] for entry in everything(read, path)) == balance[name]


class TestEntries:
    def test_sum_to_zero_in_every_journal(self, read, business):
        sums = Counter()
        for entry in everything(read, "balance/entries?page_size=3"):
            owed_to_us = entry["account"] == "provider_receivable"
            sums[entry["journal_id"]] += entry["amount"] if owed_to_us else -entry["amount"]
        assert len(sums) == 6
        assert set(sums.values()) == {0}

    def test_are_found_by_what_was_booked(self, read, business):
        kinds = {entry["kind"] for entry in read("balance/entries?kind=refund_reserved")["entries"]}
        assert kinds == {"refund_reserved"}
        accounts = {entry["account"] for entry in read("balance/entries?account=refund_clearing")["entries"]}
        assert accounts == {"refund_clearing"}

    @pytest.mark.parametrize("query", ["balance=all", "account=cash", "kind=x", "currency=usd", "amount=1"])
    def test_refuse_parameters_that_make_no_sense(self, api, owner, query):
        assert api.get(f"/api/v1/balance/entries?{query}", headers=owner).status_code == 400

    def test_are_not_for_everybody_on_the_team(self, api, member):
        assert api.get("/api/v1/balance", headers=member("developer")).status_code == 403
        assert api.get("/api/v1/balance", headers=member("finance")).status_code == 200
