"""Payouts asked for, called off and carried out many at once, over HTTP, with real threads and connections. As in
test_concurrency.py, the run on MariaDB and PostgreSQL is what counts: SQLite has one writer."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import requests
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Merchant, User
from accounts.policy import SCOPES
from accounts.services import add_member, create_key
from core import queue
from ledger.balances import balances
from ledger.models import BankAccount, Payout, Settlement
from ledger.services import add_bank_account, create_payout, run_payout
from ledger.tasks import run_settlements
from ledger.verification import verify
from notifications.models import Event
from payments.models import Payment
from refunds.models import Refund
from sandbox import transfers
from sandbox.models import Transfer
from tests.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

TIMEOUT = 60
IMPATIENT = {"postgresql": "SET lock_timeout = '5s'", "mysql": "SET innodb_lock_wait_timeout = 5"}
PASSWORD = "a-password-of-tests-1"
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
MANY = 8 if connection.vendor == "sqlite" else 30
ROUNDS = 2 if connection.vendor == "sqlite" else 10

Send = Callable[..., requests.Response]


@pytest.fixture(autouse=True)
def _quick_hashes(settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def post(server_url, shop) -> Send:
    """`post(path, key=…, field=…)` sends a request as the shop's program."""
    owner = User.objects.create_user("owner@shop.example.com", PASSWORD)
    add_member(shop, owner, "owner")
    _row, secret = create_key(shop, by=owner, by_role="owner", key=None, name="Shop", scopes=SCOPES)

    def send(path: str, *, key: str | None = None, **fields: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {secret}"} | ({"Idempotency-Key": key} if key else {})
        return requests.post(f"{server_url}/api/v1/{path}", json=fields, headers=headers, timeout=TIMEOUT)

    return send


@pytest.fixture
def funds(pay, shop) -> Payment:
    """100.00 that are available, and a bank account."""
    payment_id = pay(amount=100, **CARD).json()["payment"]["id"]
    queue.run_due()
    Settlement.objects.update(due_at=timezone.now())
    run_settlements()
    BankAccount.objects.create(
        merchant=shop, currency="USD", in_use_for=f"{shop.pk} USD", account_number="000123456789", last4="6789"
    )
    return Payment.objects.get(pk=payment_id)


def outcomes(answers: list[requests.Response]) -> Counter[str]:
    return Counter(
        answer.json()["error"]["code"] if answer.status_code >= 400 else str(answer.status_code) for answer in answers
    )


def hand_over() -> None:
    """The time to call payouts off is over."""
    Payout.objects.filter(status="pending").update(due_at=timezone.now())


@pytest.mark.usefixtures("funds")
class TestManyPayouts:
    def test_pay_out_what_there_is_and_not_a_cent_more(self, post, shop):
        each = 10_000 // (MANY - 1) + 1
        answers = at_once([lambda: post("payouts", amount=each / 100)] * MANY)
        fit = 10_000 // each
        assert outcomes(answers) == {"201": fit, "payout_too_large": MANY - fit}
        assert balances(shop)["USD"].available.amount == 10_000 - fit * each
        assert verify() == []

    def test_of_everything_are_one(self, post, shop):
        answers = at_once([lambda: post("payouts")] * 8)
        assert outcomes(answers) == {"201": 1, "payout_too_large": 7}
        assert verify() == []

    def test_with_one_key_are_one(self, post):
        answers = at_once([lambda: post("payouts", key="monday", amount=10)] * 8)
        assert outcomes(answers) == {"201": 8}
        assert len({answer.json()["payout"]["id"] for answer in answers}) == Payout.objects.count() == 1

    def test_are_sent_once_by_however_many_workers(self, post):
        assert post("payouts", amount=40).status_code == 201
        hand_over()
        payout = Payout.objects.get()
        at_once([lambda: run_payout(Payout.objects.get(pk=payout.pk))] * 4)
        assert Transfer.objects.get().amount == 4000
        types = Event.objects.filter(object_id=payout.pk).order_by("sequence").values_list("type", flat=True)
        assert list(types) == ["payout.created", "payout.in_transit"]


@pytest.mark.usefixtures("funds")
class TestAPayout:
    def test_that_is_called_off_while_it_leaves_does_one_or_the_other(self, post, funds, shop):
        for number in range(ROUNDS):
            payout_id = post("payouts", amount=1).json()["payout"]["id"]
            hand_over()
            answer, _done = at_once([lambda path=f"payouts/{payout_id}/cancel": post(path), queue.run_due])
            payout = Payout.objects.get(pk=payout_id)
            sent = Transfer.objects.filter(key=payout_id).exists()
            assert (payout.status == "cancelled") == (answer.status_code == 200) == (not sent), number
        assert verify() == []

    def test_beside_a_refund_of_the_same_money_leaves_the_books_in_order(self, post, funds, shop):
        """Both may have it: the refund takes what is available below zero, and the next payout pays for that."""
        answers = at_once([lambda: post("payouts", amount=100), lambda: post(f"payments/{funds.pk}/refund", amount=60)])
        assert answers[1].status_code == 201
        queue.run_due()
        paid_out = answers[0].status_code == 201
        assert balances(shop)["USD"].available.amount == (-6000 if paid_out else 4000)
        assert Refund.objects.get().status == "succeeded"
        assert verify() == []

    @pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer")
    def test_in_the_making_keeps_no_payment_waiting(self, funds, shop, pay):
        def take_another() -> str:
            with connection.cursor() as cursor:
                cursor.execute(IMPATIENT[connection.vendor])
            payment_id = pay(amount=5, **CARD).json()["payment"]["id"]
            queue.run_due()
            return Payment.objects.get(pk=payment_id).status

        with transaction.atomic():
            create_payout(shop, currency="USD", amount="10")
            assert at_once([take_another]) == ["completed"]
        assert verify() == []

    def test_to_an_account_that_is_replaced_goes_to_one_of_both(self, post, shop):
        for number in range(ROUNDS):
            details = {"country": "US", "holder": "Shop", "account_number": f"00012345{number:04}"}
            replace = partial(add_bank_account, shop, by=owner_of(shop), password=PASSWORD, key=None, currency="USD")
            answer, _account = at_once([lambda: post("payouts", amount=1), partial(replace, **details)])
            assert answer.status_code == 201, number
        assert Payout.objects.count() == ROUNDS
        assert verify() == []

    def test_comes_through_however_often_its_account_is_replaced(self, post, shop):
        """Beside payments, which refer to the merchant's row as well."""
        details = {"country": "US", "holder": "Shop", "account_number": "000123456789", "currency": "USD"}
        replace = partial(add_bank_account, shop, by=owner_of(shop), password=PASSWORD, key=None, **details)

        def again_and_again(call: Callable[[], Any]) -> Callable[[], list[Any]]:
            return lambda: [call() for _n in range(ROUNDS)]

        calls = [replace, replace, lambda: post("payouts", amount=0.5), lambda: post("payouts", amount=0.5)]
        payers = [lambda: post("payments", customer_name="Ada", customer_email="ada@example.com", amount=5)] * 2
        _one, _other, *answers = at_once(list(map(again_and_again, [*calls, *payers])))
        assert outcomes([answer for of_one in answers for answer in of_one]) == {"201": 4 * ROUNDS}
        assert BankAccount.objects.filter(in_use_for__isnull=False).count() == 1
        assert verify() == []

    def test_finds_one_account_when_two_first_ones_are_added_at_once(self, post, shop):
        details = {"country": "US", "holder": "Shop", "account_number": "000123456789", "currency": "EUR"}
        replace = partial(add_bank_account, shop, by=owner_of(shop), password=PASSWORD, key=None, **details)
        at_once([replace] * 4)
        assert BankAccount.objects.filter(in_use_for=f"{shop.pk} EUR").count() == 1


@pytest.mark.usefixtures("funds")
class TestTransfersOfTheSandbox:
    def test_send_no_more_than_it_holds(self, shop):
        def send(number: int) -> str:
            details = {"account": shop.pk, "amount": 8000, "currency": "USD", "account_number": "000123456789"}
            return transfers.create_transfer(key=f"po_{number}", **details)["status"]

        assert sorted(at_once([partial(send, number) for number in range(4)])) == [*["failed"] * 3, "in_transit"]
        assert transfers.held_for(shop.pk, "USD") == 2000


def owner_of(shop: Merchant) -> User:
    return User.objects.get(memberships__merchant=shop, memberships__role="owner")
