"""What an account's charges have moved."""

import json

import pytest

from sandbox import services, statements
from sandbox.statements import list_movements

pytestmark = pytest.mark.django_db


def lines(account="mer_1"):
    """Key and amount of each line, over all pages."""
    found, after = [], None
    while after != "":
        page = list_movements(account=account, after=after or "")
        found += [(line["key"], line["amount"]) for line in page["movements"]]
        after = page["next"]
    return found


class TestStatement:
    def test_of_a_sale_tells_what_it_took(self, paid):
        sale = paid()
        page = list_movements(account="mer_1")
        line = page["movements"][0]
        assert page == {"movements": [line], "next": ""}
        assert json.loads(json.dumps(line)) == {
            "id": sale["id"],
            "object": "movement",
            "key": "txn_1",
            "amount": 5000,
            "currency": "USD",
            "updated_at": line["updated_at"],
        }

    def test_has_no_line_for_what_has_moved_nothing(self, paid, charge):
        paid(token="tok_card_declined")
        charge(key="txn_2", method="paypal")
        held = paid(key="txn_3", capture=False)["id"]
        services.void_charge(key="void_1", charge_id=held)
        assert lines() == []

    def test_tells_a_capture_by_its_own_key(self, paid):
        services.capture_charge(key="cap_1", charge_id=paid(capture=False)["id"], amount=2000)
        assert lines() == [("cap_1", 2000)]

    def test_tells_a_refund_once_it_has_succeeded(self, paid, settle):
        slow = paid(token="tok_refund_pending")["id"]
        services.create_refund(key="re_1", charge_id=slow, amount=2000)
        assert lines() == [("txn_1", 5000)]
        settle()
        assert lines() == [("txn_1", 5000), ("re_1", -2000)]

    def test_tells_a_refund_that_came_back_as_nothing(self, paid, later):
        services.create_refund(key="re_1", charge_id=paid(token="tok_refund_fails")["id"], amount=2000)
        assert lines() == [("txn_1", 5000), ("re_1", -2000)]
        later()
        assert lines() == [("txn_1", 5000), ("re_1", 0)]

    def test_comes_page_by_page(self, paid, monkeypatch):
        monkeypatch.setattr(statements, "PAGE", 2)
        for number in range(4):
            paid(key=f"txn_{number}")
        assert [key for key, _amount in lines()] == ["txn_0", "txn_1", "txn_2", "txn_3"]

    def test_is_of_one_account(self, paid):
        paid(account="mer_2")
        assert lines("mer_1") == []
