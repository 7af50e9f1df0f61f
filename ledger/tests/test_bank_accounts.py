"""Where payouts go, over HTTP, and when they leave by themselves."""

from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.services import add_member, create_key
from core.mail import Email
from ledger.carriers import BY_HAND
from ledger.models import BankAccount, Halt, Payout
from ledger.services import hold_payout, run_schedule
from ledger.tests.conftest import ACCOUNT, PASSWORD

pytestmark = pytest.mark.django_db

THURSDAY = datetime(2026, 11, 26, 15, tzinfo=UTC)


class TestAdding:
    def test_takes_the_password_again(self, call):
        response = call("POST", "bank-accounts", **ACCOUNT, password="not that one 1")
        assert (response.status_code, response.json()["error"]["code"]) == (400, "current_password_wrong")
        assert response.json()["error"]["param"] == "password"
        assert call("POST", "bank-accounts", **ACCOUNT).json()["error"]["code"] == "parameter_missing"
        assert not BankAccount.objects.exists()

    def test_keeps_the_number_encrypted_and_shows_its_end(self, call, bank, read):
        row = read(f"bank-accounts/{bank()}")["bank_account"]
        assert (row["last4"], row["in_use"], row["schedule"], row["minimum"]) == ("6789", True, "manual", 0)
        assert "000123456789" not in call("GET", "bank-accounts").content.decode()
        stored = BankAccount.objects.extra(select={"raw": "account_number"}).get()
        assert "000123456789" not in stored.raw
        assert stored.account_number == "000123456789"

    def test_takes_the_place_of_the_one_before_with_its_schedule(self, bank, read):
        first = bank(schedule="weekly", anchor=5, minimum=10)
        second = bank(account_number="DE89370400440532013000")
        rows = {row["id"]: row for row in read("bank-accounts")["bank_accounts"]}
        assert (rows[first]["in_use"], rows[first]["next_payout_at"]) == (False, None)
        assert (rows[second]["in_use"], rows[second]["schedule"], rows[second]["minimum"]) == (True, "weekly", 10)
        assert rows[second]["next_payout_at"] is not None

    def test_leaves_those_of_other_currencies_alone(self, bank, read):
        bank()
        bank(currency="EUR")
        assert [row["in_use"] for row in read("bank-accounts")["bank_accounts"]] == [True, True]

    def test_tells_the_owners(self, bank, shop):
        owner = User.objects.create(email="owner@shop.example.com")
        add_member(shop, owner, "owner")
        bank()
        mail = Email.objects.get(template="new_bank_account")
        assert mail.to == owner.email
        assert "6789" in mail.context
        assert "000123456789" not in mail.context

    def test_is_done_once_for_one_key(self, call):
        body = {**ACCOUNT, "password": PASSWORD}
        first = call("POST", "bank-accounts", {"Idempotency-Key": "1"}, **body)
        again = call("POST", "bank-accounts", {"Idempotency-Key": "1"}, **body)
        assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
        assert again.json()["bank_account"]["id"] == first.json()["bank_account"]["id"]
        other = call("POST", "bank-accounts", {"Idempotency-Key": "1"}, **{**body, "account_number": "999123456789"})
        assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")

    @pytest.mark.parametrize(
        ("fields", "code", "param"),
        [
            ({"account_number": "DE89370400440532013001"}, "account_number_invalid", "account_number"),
            ({"account_number": "12 34"}, "parameter_invalid", "account_number"),
            ({"account_number": "①②③④⑤"}, "parameter_invalid", "account_number"),
            ({"account_number": "1" * 35}, "parameter_invalid", "account_number"),
            ({"currency": "usd"}, "currency_invalid", "currency"),
            ({"country": "Germany"}, "parameter_invalid", "country"),
            ({"holder": ""}, "parameter_missing", "holder"),
            ({"schedule": "hourly"}, "parameter_invalid", "schedule"),
            ({"schedule": "weekly", "anchor": 8}, "parameter_invalid", "anchor"),
            ({"schedule": "monthly", "anchor": 29}, "parameter_invalid", "anchor"),
            ({"minimum": "0.001"}, "amount_precision", "minimum"),
            ({"iban": "x"}, "parameter_unknown", "iban"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, call, fields, code, param):
        response = call("POST", "bank-accounts", **{**ACCOUNT, "password": PASSWORD, **fields})
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["param"]) == (400, code, param)
        assert not BankAccount.objects.exists()

    @pytest.mark.parametrize(
        ("country", "number"),
        [
            ("US", "NZ12345678"),
            ("US", "DE12345678"),
            ("IN", "AB12345678901234"),
            ("GB", "31926819"),
            ("GB", "GB82WEST12345698765432"),
            ("US", "DE89370400440532013000"),
            ("MT", "MT84MALT011000012345MTLCAST001S"),
        ],
    )
    def test_takes_numbers_of_every_country(self, bank, country, number):
        bank(country=country, account_number=number)

    @pytest.mark.parametrize(
        ("country", "number"),
        [
            ("DE", "DE8937040044053201300"),  # a digit is missing
            ("DE", "DE893704004405320130001"),
            ("DE", "ED89370400440532013000"),
            ("US", "DE89370400440532013001"),
            ("FR", "GB82WEST12345698765433"),
        ],
    )
    def test_refuses_an_iban_that_is_mistyped(self, call, country, number):
        body = {**ACCOUNT, "country": country, "account_number": number, "password": PASSWORD}
        assert call("POST", "bank-accounts", **body).json()["error"]["code"] == "account_number_invalid"

    def test_is_for_people_only(self, api, shop, finance):
        _row, secret = create_key(
            shop, by=finance, by_role="owner", key=None, name="Shop", scopes=["payouts:read", "payouts:write"]
        )
        headers = {"Authorization": f"Bearer {secret}"}
        body = {**ACCOUNT, "password": PASSWORD}
        response = api.post("/api/v1/bank-accounts", body, content_type="application/json", headers=headers)
        assert response.status_code == 403


class TestRemoving:
    @pytest.mark.parametrize(
        ("body", "code"),
        [({}, "parameter_missing"), ({"password": "not that one 1"}, "current_password_wrong")],
    )
    def test_takes_the_password_again(self, bank, call, body, code):
        response = call("POST", f"bank-accounts/{bank()}/remove", **body)
        assert (response.status_code, response.json()["error"]["code"]) == (400, code)
        assert BankAccount.objects.get().is_in_use
        assert not Email.objects.filter(template="bank_account_removed").exists()

    def test_tells_the_owners(self, bank, call, shop):
        owner = User.objects.create(email="owner@shop.example.com")
        add_member(shop, owner, "owner")
        call("POST", f"bank-accounts/{bank()}/remove", password=PASSWORD)
        mail = Email.objects.get(template="bank_account_removed")
        assert (mail.to, "6789" in mail.context, "Finance" in mail.context) == (owner.email, True, True)

    def test_ends_payouts_to_it(self, earn, bank, call):
        earn(50)
        account = bank(schedule="daily")
        response = call("POST", f"bank-accounts/{account}/remove", password=PASSWORD)
        assert (response.status_code, response.json()["bank_account"]["in_use"]) == (200, False)
        assert call("POST", "payouts").json()["error"]["code"] == "bank_account_missing"
        again = call("POST", f"bank-accounts/{account}/remove", password=PASSWORD)
        assert again.json()["error"]["code"] == "bank_account_missing"
        assert call("PATCH", f"bank-accounts/{account}", schedule="daily").status_code == 409

    def test_leaves_a_payout_on_its_way_alone(self, earn, bank, call, later, read):
        earn(50)
        account = bank()
        payout = call("POST", "payouts").json()["payout"]["id"]
        call("POST", f"bank-accounts/{account}/remove", password=PASSWORD)
        later(minutes=2)
        later(seconds=6)
        assert read(f"payouts/{payout}")["payout"]["status"] == "paid"


class TestSchedule:
    @pytest.mark.parametrize(
        ("terms", "next_payout_at"),
        [
            ({"schedule": "manual"}, None),
            ({"schedule": "daily"}, "2026-11-27T00:00:00Z"),
            ({"schedule": "weekly"}, "2026-11-30T00:00:00Z"),
            ({"schedule": "weekly", "anchor": 4}, "2026-12-03T00:00:00Z"),
            ({"schedule": "monthly"}, "2026-12-01T00:00:00Z"),
            ({"schedule": "monthly", "anchor": 28}, "2026-11-28T00:00:00Z"),
        ],
    )
    def test_says_when_the_next_payout_is(self, time_machine, bank, call, terms, next_payout_at):
        time_machine.move_to(THURSDAY)
        response = call("PATCH", f"bank-accounts/{bank()}", **terms)
        assert response.json()["bank_account"]["next_payout_at"] == next_payout_at

    @pytest.mark.parametrize(
        ("terms", "anchor"),
        [
            ({"schedule": "weekly"}, 1),
            ({"schedule": "daily"}, 1),
            ({"schedule": "weekly", "anchor": 5}, 5),
            ({"schedule": "monthly"}, 15),
            ({"minimum": 10}, 15),
        ],
    )
    def test_of_another_kind_begins_on_its_first_day_unless_another_is_sent(self, bank, call, terms, anchor):
        account = bank(schedule="monthly", anchor=15)
        response = call("PATCH", f"bank-accounts/{account}", **terms)
        assert (response.status_code, response.json()["bank_account"]["anchor"]) == (200, anchor)
        replaced = call("GET", f"bank-accounts/{bank(**terms)}").json()["bank_account"]
        assert replaced["anchor"] == anchor

    def test_pays_out_all_that_is_available_each_time(self, earn, bank, read, later):
        bank(schedule="daily")
        earn(50)
        later(days=1)
        earn(30)
        later(days=1)
        payouts = read("payouts?ordering=created")["payouts"]
        assert [(row["amount"], row["scheduled"], row["requested_by"]) for row in payouts] == [
            (50, True, None),
            (30, True, None),
        ]

    def test_waits_for_the_minimum(self, earn, bank, read, later):
        bank(schedule="daily", minimum=60)
        earn(50)
        later(days=3)
        assert read("payouts")["payouts"] == []
        earn(10)
        later(days=1)
        assert [row["amount"] for row in read("payouts")["payouts"]] == [60]

    def test_reads_a_balance_and_no_entries_until_there_is_enough(self, earn, bank):
        bank(schedule="daily", minimum=60)
        earn(50)
        with CaptureQueriesContext(connection) as queries:
            run_schedule(BankAccount.objects.get())
        assert not any("ledger_payoutline" in query["sql"] for query in queries)

    def test_waits_for_the_books(self, earn, bank, read, later):
        earn(50)
        bank(schedule="daily")
        Halt.objects.create(reason="L1")
        later(days=1)
        assert not Payout.objects.exists()
        assert BankAccount.objects.get().last_error.startswith("PayoutsHalted")
        Halt.objects.all().delete()
        later(hours=1, minutes=1)
        assert [row["amount"] for row in read("payouts")["payouts"]] == [50]

    def test_that_pays_nothing_out_comes_round_again(self, bank, later):
        bank(schedule="daily")
        later(days=1)
        before = BankAccount.objects.get().due_at
        later(days=1)
        assert (BankAccount.objects.get().due_at - before).days == 1


class TestANumberThatCannotBeRead:
    """The key that it was encrypted with is lost: nobody can be paid there, and all else goes on."""

    @pytest.fixture
    def lost(self, earn, bank, call, settings):
        """The ids of such a bank account and of a payout to it."""
        earn(50)
        account = bank()
        payout = call("POST", "payouts", amount=20).json()["payout"]
        settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
        return account, payout["id"]

    def test_is_in_nobodys_way(self, lost, call):
        account, payout = lost
        for path in ("bank-accounts", f"bank-accounts/{account}", "payouts", f"payouts/{payout}"):
            assert call("GET", path).status_code == 200
        assert call("PATCH", f"bank-accounts/{account}", schedule="daily").status_code == 200
        assert call("POST", "payouts", amount=1).status_code == 201
        assert call("POST", f"bank-accounts/{account}/remove", password=PASSWORD).status_code == 200

    def test_is_replaced_and_its_payout_called_off(self, lost, bank, call, later, balance):
        later(minutes=2)
        assert bank() != lost[0]
        assert call("POST", f"payouts/{lost[1]}/cancel").status_code == 200
        assert balance()["available"] == 50
        assert call("POST", "payouts").status_code == 201

    def test_does_not_keep_staff_from_payouts(self, lost, client, shop):
        client.force_login(User.objects.create_superuser("admin@example.com"))
        Payout.objects.update(carrier=BY_HAND)
        for page in ("payout/", f"payout/{lost[1]}/change/", "bankaccount/"):
            assert client.get(f"/admin/ledger/{page}").status_code == 200
        assert hold_payout(Payout.objects.get()).status == "held"
