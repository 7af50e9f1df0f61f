"""Payouts, over HTTP: asked for, carried out by the sandbox's bank, called off, sent back."""

from decimal import Decimal

import pytest

from accounts.models import Merchant, User
from accounts.services import add_member, create_merchant
from ledger.models import Halt, Payout
from ledger.services import hold_payout, release_payout
from ledger.verification import verify
from notifications.models import Event
from sandbox.models import Transfer

pytestmark = pytest.mark.django_db


@pytest.fixture
def pay_out(call):
    """Asks for a payout and answers with what the API shows of it."""

    def ask(headers=None, **body):
        response = call("POST", "payouts", headers, **body)
        assert response.status_code == 201, response.content
        return response.json()["payout"]

    return ask


def told(payout):
    return list(Event.objects.filter(object_id=payout["id"]).order_by("sequence").values_list("type", flat=True))


class TestPayout:
    def test_sets_aside_all_that_is_available_and_arrives(self, earn, bank, pay_out, read, later, balance):
        earn(50, 30)
        bank()
        payout = pay_out()
        assert (payout["status"], payout["amount"], payout["currency"]) == ("pending", 80.0, "USD")
        assert payout["bank_account"]["last4"] == "6789"
        assert balance() == {"pending": 0, "available": 0, "reserved": 80}

        later(minutes=1, seconds=1)
        assert read(f"payouts/{payout['id']}")["payout"]["status"] == "in_transit"
        later(seconds=6)
        paid = read(f"payouts/{payout['id']}")["payout"]
        assert paid["status"] == "paid"
        assert paid["created_at"] < paid["sent_at"] < paid["paid_at"]
        assert balance() == {"pending": 0, "available": 0, "reserved": 0}
        assert told(payout) == ["payout.created", "payout.in_transit", "payout.paid"]
        assert (Transfer.objects.get().amount, Transfer.objects.get().key) == (8000, payout["id"])
        assert verify() == []

    def test_of_a_part_leaves_the_rest(self, earn, bank, pay_out, balance):
        earn(50)
        bank()
        pay_out(amount="20.01")
        assert balance() == {"pending": 0, "available": Decimal("29.99"), "reserved": Decimal("20.01")}

    @pytest.mark.parametrize("amount", [80.01, 1000])
    def test_above_what_is_available_is_refused_with_what_there_is(self, earn, bank, call, amount):
        earn(50, 30)
        bank()
        response = call("POST", "payouts", amount=amount)
        assert (response.status_code, response.json()["error"]["code"]) == (422, "payout_too_large")
        assert response.json()["message"] == "80.00 USD is available."

    def test_of_money_that_is_not_settled_is_refused(self, pay, work, bank, call):
        pay(card_number="4242424242424242", card_expiry_month=12, card_expiry_year=2040)
        work()
        bank()
        response = call("POST", "payouts")
        assert (response.status_code, response.json()["message"]) == (422, "0.00 USD is available.")

    @pytest.mark.parametrize(
        ("amount", "code"),
        [(0, "amount_invalid"), (-1, "amount_invalid"), ("1.001", "amount_precision"), ("ten", "amount_invalid")],
    )
    def test_of_an_amount_that_makes_no_sense_is_refused(self, earn, bank, call, amount, code):
        earn(50)
        bank()
        response = call("POST", "payouts", amount=amount)
        assert (response.status_code, response.json()["error"]["code"]) == (400, code)

    def test_in_a_currency_without_a_bank_account_is_refused(self, earn, bank, call):
        earn(50)
        bank(currency="EUR")
        response = call("POST", "payouts")
        assert (response.status_code, response.json()["error"]["code"]) == (409, "bank_account_missing")

    def test_takes_what_it_is_told_only_once(self, earn, bank, call, pay_out):
        earn(50)
        bank()
        key = {"Idempotency-Key": "monday"}
        first = pay_out(key, amount=20)
        again = call("POST", "payouts", key, amount="20.00")
        assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
        assert again.json()["payout"]["id"] == first["id"]
        assert call("POST", "payouts", key, amount=21).json()["error"]["code"] == "idempotency_key_reused"
        assert Payout.objects.count() == 1

    def test_waits_while_the_books_are_checked(self, earn, bank, call, pay_out, later, read):
        earn(50)
        bank()
        payout = pay_out(amount=20)
        Halt.objects.create(reason="L1")
        refused = call("POST", "payouts")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "payouts_halted")
        assert refused["Retry-After"] == "600"
        later(hours=1)
        assert read(f"payouts/{payout['id']}")["payout"]["status"] == "pending"
        assert call("GET", "balance").status_code == 200
        Halt.objects.all().delete()
        later(minutes=11)
        assert read(f"payouts/{payout['id']}")["payout"]["status"] == "in_transit"

    def test_is_not_for_a_merchant_that_is_suspended(self, earn, bank, call, pay_out, later, read, shop):
        earn(50)
        bank()
        payout = pay_out(amount=20)
        shop.status = "suspended"
        shop.save()
        assert call("POST", "payouts").json()["error"]["code"] == "payouts_suspended"
        later(minutes=5)
        assert read(f"payouts/{payout['id']}")["payout"]["status"] == "pending"

    @pytest.mark.parametrize("blocked_by", ["a halt", "a suspension"])
    def test_that_was_begun_and_never_sent_is_not_sent_while_it_may_not_be(
        self, earn, bank, pay_out, later, read, shop, settings, blocked_by
    ):
        """A worker dies between its commit and its call; here the bank is down instead."""
        earn(50)
        bank()
        payout = pay_out(amount=20)
        settings.SANDBOX_FAULT = "down"
        later(minutes=1, seconds=1)
        settings.SANDBOX_FAULT = ""
        assert read(f"payouts/{payout['id']}")["payout"]["status"] == "in_transit"
        halt = Halt.objects.create(reason="L1")
        if blocked_by == "a suspension":
            halt.delete()
            Merchant.objects.update(status="suspended")
        later(minutes=5)
        assert not Transfer.objects.exists()
        assert Payout.objects.get().last_error
        Halt.objects.all().delete()
        Merchant.objects.update(status="active")
        later(minutes=11)
        assert Transfer.objects.get().amount == 2000

    def test_that_was_sent_is_followed_whatever_is_halted(self, earn, bank, pay_out, later, read):
        earn(50)
        bank()
        payout = pay_out(amount=20)
        later(minutes=1, seconds=1)
        Halt.objects.create(reason="L1")
        later(seconds=6)
        assert read(f"payouts/{payout['id']}")["payout"]["status"] == "paid"

    def test_of_a_merchant_that_has_closed_is_made_for_the_money_is_its_own(self, earn, bank, pay_out, later, read):
        earn(50)
        bank()
        Merchant.objects.update(status="closed")
        payout = pay_out()
        later(minutes=1, seconds=1)
        later(seconds=6)
        assert read(f"payouts/{payout['id']}")["payout"]["status"] == "paid"

    def test_of_a_merchant_that_is_not_approved_yet_has_nothing_to_pay_out(self, pay, bank, call):
        """It takes no payments, so it needs no rule of its own."""
        Merchant.objects.update(status="onboarding", mode="live")
        bank()
        assert pay().json()["error"]["code"] == "merchant_inactive"
        response = call("POST", "payouts")
        assert (response.status_code, response.json()["message"]) == (422, "0.00 USD is available.")


class TestCancel:
    def test_gives_the_money_back(self, earn, bank, pay_out, call, balance):
        earn(50)
        bank()
        payout = pay_out()
        assert call("POST", f"payouts/{payout['id']}/cancel").json()["payout"]["status"] == "cancelled"
        assert balance() == {"pending": 0, "available": 50, "reserved": 0}
        assert told(payout) == ["payout.created", "payout.cancelled"]
        again = call("POST", f"payouts/{payout['id']}/cancel")
        assert (again.status_code, again.json()["error"]["code"]) == (409, "illegal_transition")

    def test_is_too_late_once_the_bank_was_asked(self, earn, bank, pay_out, call, later):
        earn(50)
        bank()
        payout = pay_out()
        later(minutes=2)
        response = call("POST", f"payouts/{payout['id']}/cancel")
        assert (response.status_code, response.json()["error"]["code"]) == (409, "payout_under_way")

    def test_of_a_held_one_is_not_the_merchants(self, earn, bank, pay_out, call, later, read):
        earn(50)
        bank()
        payout = pay_out()
        hold_payout(Payout.objects.get())
        later(days=1)
        assert call("POST", f"payouts/{payout['id']}/cancel").json()["error"]["code"] == "payout_held"
        release_payout(Payout.objects.get())
        later(seconds=1)
        later(seconds=6)
        assert read(f"payouts/{payout['id']}")["payout"]["status"] == "paid"
        assert told(payout)[:3] == ["payout.created", "payout.held", "payout.pending"]


class TestFailure:
    @pytest.mark.parametrize(("number", "code"), [("000111111116", "no_account"), ("000111111113", "account_closed")])
    def test_gives_the_money_back(self, earn, bank, pay_out, read, later, balance, number, code):
        earn(50)
        bank(account_number=number)
        payout = pay_out()
        later(minutes=2)
        later(seconds=6)
        failed = read(f"payouts/{payout['id']}")["payout"]
        assert (failed["status"], failed["failure_code"]) == ("failed", code)
        assert balance() == {"pending": 0, "available": 50, "reserved": 0}
        assert verify() == []

    def test_after_it_was_paid_gives_the_money_back_too(self, earn, bank, pay_out, read, later, balance):
        earn(50)
        bank(account_number="000555555559")
        payout = pay_out()
        later(minutes=2)
        later(seconds=6)
        assert read(f"payouts/{payout['id']}")["payout"]["status"] == "paid"
        later(seconds=30)
        assert read(f"payouts/{payout['id']}")["payout"]["status"] == "failed"
        assert balance() == {"pending": 0, "available": 50, "reserved": 0}
        assert told(payout) == ["payout.created", "payout.in_transit", "payout.paid", "payout.failed"]
        assert verify() == []

    @pytest.mark.parametrize("fault", ["silent", "down", "garbage"])
    def test_is_not_what_silence_means(self, earn, bank, pay_out, read, later, settings, fault):
        earn(50)
        bank()
        payout = pay_out()
        settings.SANDBOX_FAULT = fault
        later(minutes=2)
        row = Payout.objects.get()
        assert (row.status, row.last_error[:11]) == ("in_transit", "the sandbox")
        settings.SANDBOX_FAULT = ""
        later(minutes=2)
        later(minutes=2)
        assert read(f"payouts/{payout['id']}")["payout"]["status"] == "paid"
        assert Transfer.objects.count() == 1

    def test_of_the_bank_to_hold_that_much_is_a_refusal(self, earn, bank, pay_out, read, later, balance):
        """Its own books decide: here it has paid the money out already, and nobody has told us."""
        earn(50)
        bank()
        payout = pay_out()
        Transfer.objects.create(key="somebody", account=Payout.objects.get().merchant_id, amount=1, currency="USD")
        later(minutes=2)
        assert read(f"payouts/{payout['id']}")["payout"]["failure_code"] == "balance_insufficient"

    def test_to_make_sense_is_left_to_a_person(self, earn, bank, pay_out, later, balance):
        earn(50)
        bank()
        pay_out()
        later(minutes=1, seconds=1)
        Transfer.objects.update(amount=4999)
        later(seconds=10)
        row = Payout.objects.get()
        assert (row.status, row.review_reason, row.due_at) == ("in_transit", "The carrier's amount is 49.99 USD.", None)
        assert balance()["reserved"] == 50


class TestEntries:
    @pytest.fixture
    def settled(self, read):
        """What a payout settles: kind and amount of each entry."""

        def of(payout):
            rows, path = [], f"payouts/{payout['id']}/entries?page_size=2"
            while path:
                page = read(path)
                rows += page["entries"]
                path = page["next"] and page["next"].partition("/api/v1/")[2]
            assert {row["entry"]["account"] for row in rows} == {"merchant_available"}
            return sorted((row["entry"]["kind"], row["settled"]) for row in rows)

        return of

    def test_sum_to_the_payout(self, earn, bank, pay_out, settled):
        earn(50, 30, 20)
        bank()
        assert settled(pay_out()) == [("settlement", 20), ("settlement", 30), ("settlement", 50)]

    def test_of_a_part_are_the_oldest_and_the_rest_is_the_next_ones(self, earn, bank, pay_out, settled):
        earn(50)
        earn(30)
        bank()
        first, second = pay_out(amount=60), pay_out()
        assert settled(first) == [("settlement", 10), ("settlement", 50)]
        assert settled(second) == [("settlement", 20)]
        assert verify() == []

    def test_have_the_refunds_among_them(self, earn, bank, pay_out, settled, call):
        earn(50, 30)
        payment = call("GET", "payments").json()["payments"][0]["id"]
        assert call("POST", f"payments/{payment}/refund", amount=12).status_code == 201
        bank()
        assert settled(pay_out(amount=40)) == [("refund_reserved", -12), ("settlement", 2), ("settlement", 50)]
        assert settled(pay_out()) == [("settlement", 28)]

    def test_of_one_that_failed_are_settled_anew_by_what_came_back(self, earn, bank, pay_out, settled, call, later):
        earn(50)
        bank()
        first = pay_out(amount=20)
        call("POST", f"payouts/{first['id']}/cancel")
        later(days=1)
        assert settled(pay_out()) == [("reversal", 20), ("settlement", 30)]
        assert settled(first) == [("settlement", 20)]
        assert verify() == []

    def test_are_the_merchants_own(self, earn, bank, pay_out, call):
        earn(50)
        bank()
        rival = User.objects.create(email="owner@rival.example.com")
        add_member(create_merchant(name="Rival"), rival, "owner")
        payout = f"payouts/{pay_out()['id']}"
        for method, path in [("GET", payout), ("GET", f"{payout}/entries"), ("POST", f"{payout}/cancel")]:
            assert call(method, path, by=rival).status_code == 404


class TestList:
    def test_shows_the_newest_first_and_filters(self, earn, bank, pay_out, read, call):
        earn(50)
        bank()
        ids = [pay_out(amount=amount)["id"] for amount in (1, 2, 3)]
        call("POST", f"payouts/{ids[1]}/cancel")
        assert [row["id"] for row in read("payouts")["payouts"]] == ids[::-1]
        assert [row["id"] for row in read("payouts?status=cancelled")["payouts"]] == [ids[1]]
        assert read("payouts?currency=EUR")["payouts"] == []
        assert call("GET", "payouts?status=gone").status_code == 400

    def test_is_not_for_everybody_on_the_team(self, api, member):
        assert api.get("/api/v1/payouts", headers=member("support")).status_code == 403
        assert api.get("/api/v1/payouts", headers=member("viewer")).status_code == 200
