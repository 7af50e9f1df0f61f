"""Refunds asked for, approved, called off and carried out many at once, over HTTP, with real threads and connections.
As in test_concurrency.py, the run on MariaDB and PostgreSQL is what counts: SQLite has one writer."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import requests
from django.db import connection
from django.utils import timezone

from accounts.models import User
from accounts.policy import SCOPES
from accounts.services import add_member, create_key
from core import queue
from notifications.models import Event
from payments.models import Payment, Transaction
from refunds.models import Refund
from refunds.services import run_refund
from sandbox.models import Charge, Operation
from tests.books import disagreements
from tests.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

TIMEOUT = 60
PASSWORD = "a-password-of-tests-1"
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
# A hundred of 1.01 on 100.00 are one too many, whatever the number that SQLite's one writer is spared.
REFUNDS, EACH = (20, 505) if connection.vendor == "sqlite" else (100, 101)

Send = Callable[..., requests.Response]


@pytest.fixture
def people(shop) -> dict[str, User]:
    """The shop's owner and its finance, by role."""
    users = {}
    for role in ("owner", "finance"):
        users[role] = User.objects.create_user(f"{role}@shop.example.com", PASSWORD, name=role.capitalize())
        add_member(shop, users[role], role)
    return users


@pytest.fixture
def post(server_url, shop, people) -> Send:
    """`post(path, key=…, field=…)` sends a request as the shop's program, or with the token given."""
    _row, secret = create_key(shop, by=people["owner"], by_role="owner", key=None, name="Shop", scopes=SCOPES)

    def send(path: str, *, key: str | None = None, token: str = str(secret), **fields: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
        return requests.post(f"{server_url}/api/v1/{path}", json=fields, headers=headers, timeout=TIMEOUT)

    return send


@pytest.fixture
def log_in(server_url, people) -> Callable[[str], str]:
    """`log_in("finance")` is an access token of that server."""

    def send(role: str) -> str:
        body = {"email": people[role].email, "password": PASSWORD}
        return requests.post(f"{server_url}/api/v1/auth/token", json=body, timeout=TIMEOUT).json()["token"]["access"]

    return send


@pytest.fixture
def paid(pay) -> Payment:
    """100.00, captured."""
    payment_id = pay(amount=100, **CARD).json()["payment"]["id"]
    queue.run_due()
    return Payment.objects.get(pk=payment_id)


def outcomes(answers: list[requests.Response]) -> Counter[str]:
    return Counter(
        answer.json()["error"]["code"] if answer.status_code >= 400 else str(answer.status_code) for answer in answers
    )


class TestManyRefunds:
    def test_give_back_what_there_is_and_not_a_cent_more(self, post, paid):
        path = f"payments/{paid.pk}/refund"
        answers = at_once([lambda: post(path, amount=EACH / 100)] * REFUNDS)
        fit = 10_000 // EACH

        assert outcomes(answers) == {"201": fit, "refund_too_large": REFUNDS - fit}
        paid.refresh_from_db()
        assert paid.amount_refund_pending == fit * EACH
        at_once([queue.run_due] * 3)
        queue.run_due()

        paid.refresh_from_db()
        assert (paid.amount_refunded, paid.amount_refund_pending) == (fit * EACH, 0)
        assert Charge.objects.get().amount_refunded == fit * EACH
        assert Operation.objects.filter(status="succeeded").count() == fit
        assert disagreements() == []


class TestOneIdempotencyKey:
    @pytest.mark.parametrize("amount", ["10.00", "100.00"])
    def test_makes_one_refund_of_fifty_requests_at_once(self, post, paid, amount):
        answers = at_once([lambda: post(f"payments/{paid.pk}/refund", key="refund-1", amount=amount)] * 50)

        assert outcomes(answers) == {"201": 50}
        assert len({answer.json()["refund"]["id"] for answer in answers}) == 1
        assert sorted("Idempotent-Replayed" in answer.headers for answer in answers) == [False] + [True] * 49
        assert Event.objects.filter(type="refund.created").count() == 1
        queue.run_due()
        assert Operation.objects.count() == 1
        assert disagreements() == []


class TestOneRefund:
    """Nothing but the lock on the payment's row stands between these."""

    def test_is_approved_or_called_off(self, post, log_in, shop, paid):
        shop.refund_approval_limit = 1
        shop.save()
        token = log_in("finance")
        for _round in range(8):
            refund = post(f"payments/{paid.pk}/refund", amount=10).json()["refund"]["id"]
            verbs = [f"refunds/{refund}/approve", f"refunds/{refund}/cancel"]
            answers = at_once([lambda verb=verb: post(verb, token=token) for verb in verbs])
            # Cancelled after the approval is fine too: nobody has asked the provider.
            row = Refund.objects.select_related("transaction").get(pk=refund)
            state = (row.status, row.transaction and row.transaction.status)
            assert (outcomes(answers), state) in [
                ({"200": 1, "illegal_transition": 1}, ("cancelled", None)),
                ({"200": 2}, ("cancelled", "cancelled")),
            ]
        paid.refresh_from_db()
        assert paid.amount_refund_pending == 0
        queue.run_due()
        assert not Operation.objects.exists()

    def test_is_approved_once_by_ten_clicks(self, post, log_in, shop, paid):
        shop.refund_approval_limit = 1
        shop.save()
        token = log_in("finance")
        refund = post(f"payments/{paid.pk}/refund", amount=10).json()["refund"]["id"]
        answers = at_once([lambda: post(f"refunds/{refund}/approve", token=token)] * 10)

        assert outcomes(answers) == {"200": 1, "illegal_transition": 9}
        assert Transaction.objects.filter(kind="refund").count() == 1

    def test_is_called_off_or_carried_out(self, post, paid):
        for _round in range(8):
            refund = post(f"payments/{paid.pk}/refund", amount=1).json()["refund"]["id"]
            at_once([lambda path=f"refunds/{refund}/cancel": post(path), queue.run_due])
            queue.run_due()
            row = Refund.objects.get(pk=refund)
            told = Operation.objects.filter(key=row.transaction_id).count()
            assert (row.status, told) in [("cancelled", 0), ("succeeded", 1)]
        assert disagreements() == []

    def test_is_one_operation_at_the_provider_of_ten_workers_that_have_it(self, post, paid):
        post(f"payments/{paid.pk}/refund", amount=10)
        txn = Transaction.objects.get(kind="refund")
        at_once([lambda: run_refund(Transaction.objects.get(pk=txn.pk))] * 10)
        Transaction.objects.filter(pk=txn.pk).update(due_at=timezone.now())
        queue.run_due()

        assert Operation.objects.count() == 1
        refund = Refund.objects.get()
        told = Event.objects.filter(object_id=refund.pk).order_by("sequence").values_list("type", flat=True)
        assert list(told) == ["refund.created", "refund.processing", "refund.succeeded"]
        paid.refresh_from_db()
        assert paid.amount_refunded == 1000
