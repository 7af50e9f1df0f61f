"""Payouts in the back office: those of live merchants are carried out there, by hand."""

import pytest
from django.contrib.admin.models import LogEntry

from accounts.models import User
from accounts.services import support_group
from ledger.models import Fee, Payout
from ledger.verification import verify
from notifications.models import Event

pytestmark = pytest.mark.django_db

LIST = "/admin/ledger/payout/"
NUMBER = "000123456789"


@pytest.fixture
def payout(earn, bank, call):
    """`payout()` is one of 50.00 that the sandbox carries, `payout(by_hand=True)` one for staff."""

    def make(by_hand=False):
        earn(50)
        bank()
        row = Payout.objects.get(pk=call("POST", "payouts").json()["payout"]["id"])
        if by_hand:
            row.carrier, row.due_at = "", None
            row.save()
        return row

    return make


@pytest.fixture
def look(client):
    """`look("?waiting=hand")` is a page of payouts, as an administrator sees it, who logs in for that."""
    admin = User.objects.create_superuser("admin@example.com")

    def get(path="", user=admin):
        client.force_login(user)
        return client.get(path if path.startswith("/") else LIST + path)

    return get


@pytest.fixture
def do(client, look):
    """`do(payout, "hold_this")` sends an action's dialog, and answers with the payout's status."""

    def send(row, action, user=None, **fields):
        client.force_login(user or User.objects.get(email="admin@example.com"))
        client.post(f"{LIST}{row.pk}/{action}/", {"_form_submitted": "True", **fields})
        row.refresh_from_db()
        return row.status

    return send


class TestByHand:
    def test_a_payout_is_sent_and_paid(self, payout, do, later):
        row = payout(by_hand=True)
        later(days=1)
        assert do(row, "send_this") == "in_transit"
        assert do(row, "pay_this") == "paid"
        types = Event.objects.filter(object_id=row.pk).order_by("sequence").values_list("type", flat=True)
        assert list(types) == ["payout.created", "payout.in_transit", "payout.paid"]
        assert LogEntry.objects.filter(object_id=row.pk).count() == 2
        assert verify() == []

    def test_one_that_comes_back_is_failed_with_the_banks_reason(self, payout, do, balance):
        row = payout(by_hand=True)
        do(row, "send_this")
        assert do(row, "fail_this", failure_code="account_closed") == "failed"
        assert row.failure_code == "account_closed"
        assert balance()["available"] == 50

    def test_shows_the_account_number_only_while_it_is_needed(self, payout, look, do):
        row = payout(by_hand=True)
        assert NUMBER in look(f"{row.pk}/change/").content.decode()
        do(row, "send_this")
        do(row, "pay_this")
        shown = look(f"{row.pk}/change/").content.decode()
        assert NUMBER not in shown
        assert "6789" in shown

    def test_is_not_for_what_the_sandbox_carries(self, payout, look, do):
        row = payout()
        assert NUMBER not in look(f"{row.pk}/change/").content.decode()
        for action in ("send_this", "pay_this", "fail_this"):
            assert do(row, action, failure_code="x") == "pending"


class TestHolding:
    def test_keeps_a_payout_until_it_is_released(self, payout, do, later):
        row = payout()
        assert do(row, "hold_this") == "held"
        later(hours=1)
        row.refresh_from_db()
        assert row.status == "held"
        assert do(row, "release_this") == "pending"

    def test_ends_in_calling_it_off(self, payout, do, balance):
        row = payout()
        do(row, "hold_this")
        assert do(row, "call_this_off") == "cancelled"
        assert balance()["available"] == 50


class TestReview:
    def test_has_the_carrier_asked_again(self, payout, look, do, later):
        row = payout()
        later(minutes=1, seconds=1)
        Payout.objects.update(review_reason="The carrier's amount is 1.00 USD.", due_at=None)
        assert row.pk in look("?waiting=review").content.decode()
        do(row, "ask_this")
        later(seconds=6)
        row.refresh_from_db()
        assert (row.status, row.review_reason) == ("paid", "")


class TestStaff:
    @pytest.fixture
    def support(self, db):
        user = User.objects.create_user("support@example.com", is_staff=True)
        user.groups.add(support_group())
        return user

    def test_looks_at_everything(self, support, look, payout):
        row = payout()
        for path in ("payout", "bankaccount", "halt", "journal", "fee", f"payout/{row.pk}/change"):
            assert look(f"/admin/ledger/{path}/", support).status_code == 200
        assert look(f"/admin/ledger/bankaccount/{row.bank_account_id}/change/", support).status_code == 200

    def test_without_the_right_to_changes_nothing(self, support, do, payout):
        assert do(payout(), "hold_this", support) == "pending"

    def test_is_shown_what_waits(self, look, payout):
        payout(by_hand=True)
        assert "Payouts to carry out" in look("/admin/").content.decode()
        assert "50.00 USD" in look("?waiting=hand").content.decode()


class TestFees:
    @pytest.fixture
    def set_fee(self, client, look, shop):
        """`set_fee(currency="USD")` sends the form, and answers with the fields that are at fault."""

        def send(**fields):
            form = {"merchant": shop.pk, "payee": "platform", "method": "", "basis_points": 100, "fixed": 0, **fields}
            client.force_login(User.objects.get(email="admin@example.com"))
            response = client.post("/admin/ledger/fee/add/", form)
            return [] if response.status_code == 302 else list(response.context["adminform"].form.errors)

        return send

    @pytest.mark.parametrize("method", ["", "paypal"])
    def test_are_set_for_a_currency_and_a_method_or_all(self, set_fee, method):
        assert set_fee(currency="USD", method=method) == []
        assert Fee.objects.get().method == method

    @pytest.mark.parametrize(
        ("fields", "at_fault"),
        [
            ({"currency": "usd"}, "currency"),
            ({"currency": "ZZZ"}, "currency"),
            ({"currency": "XAU"}, "currency"),
            ({"currency": "USD", "method": "creditcard"}, "method"),
        ],
    )
    def test_that_would_never_apply_are_refused(self, set_fee, fields, at_fault):
        assert set_fee(**fields) == [at_fault]
        assert not Fee.objects.exists()
