"""Reserved money captured, released and lapsing at the same moment, over HTTP, with real threads and connections. As in
test_concurrency.py, the run on MariaDB and PostgreSQL is what counts: SQLite has one writer."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import requests
from django.utils import timezone

from accounts.models import User
from accounts.policy import SCOPES
from accounts.services import add_member, create_key
from core import queue
from core.errors import ApiError
from notifications.models import Event
from payments import services
from payments.models import Payment, Transaction
from sandbox.models import Charge, Operation
from tests.books import disagreements
from tests.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

TIMEOUT = 60
ROUNDS = 8
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
TOO_LATE = {"payment_in_flight", "payment_not_authorized", "illegal_transition"}


@pytest.fixture
def post(server_url, shop) -> Callable[..., requests.Response]:
    """`post(payment, "capture", key=…, amount=…)` sends a request as the shop's program."""
    owner = User.objects.create(email="owner@shop.example.com", name="Owner")
    add_member(shop, owner, "owner")
    _row, secret = create_key(shop, by=owner, by_role="owner", key=None, name="Shop", scopes=SCOPES)

    def send(payment: Payment, verb: str, *, key: str | None = None, **fields: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {secret}"} | ({"Idempotency-Key": key} if key else {})
        url = f"{server_url}/api/v1/payments/{payment.pk}/{verb}"
        return requests.post(url, json=fields, headers=headers, timeout=TIMEOUT)

    return send


@pytest.fixture
def authorized(pay) -> Callable[[], Payment]:
    """100.00, reserved."""

    def make() -> Payment:
        payment_id = pay(amount=100, capture_method="manual", **CARD).json()["payment"]["id"]
        queue.run_due()
        return Payment.objects.get(pk=payment_id)

    return make


def outcome(answer: requests.Response) -> str:
    return answer.json()["error"]["code"] if answer.status_code >= 400 else str(answer.status_code)


def told(payment: Payment) -> list[str]:
    return list(Event.objects.filter(object_id=payment.pk).order_by("sequence").values_list("type", flat=True))


class TestOneIdempotencyKey:
    def test_makes_one_capture_of_fifty_requests_at_once(self, post, authorized):
        payment = authorized()
        answers = at_once([lambda: post(payment, "capture", key="capture-1", amount=60)] * 50)

        assert Counter(map(outcome, answers)) == {"201": 50}
        assert sorted("Idempotent-Replayed" in answer.headers for answer in answers) == [False] + [True] * 49
        payment.refresh_from_db()
        assert (payment.status, payment.amount_captured) == ("completed", 6000)
        assert (Operation.objects.count(), Transaction.objects.filter(kind="capture").count()) == (1, 1)
        assert disagreements() == []


class TestOnePayment:
    """Nothing but the lock on the payment's row stands between these."""

    def test_is_captured_once_of_twenty_requests_without_a_key(self, post, authorized):
        payment = authorized()
        answers = at_once([partial(post, payment, "capture", amount=n + 1) for n in range(20)])

        won = [answer for answer in answers if answer.status_code == 201]
        assert len(won) == 1
        assert {outcome(answer) for answer in answers} - {"201"} <= TOO_LATE
        payment.refresh_from_db()
        assert payment.amount_captured == Charge.objects.get().amount_captured == Operation.objects.get().amount
        assert told(payment)[-2:] == ["payment.authorized", "payment.completed"]
        assert disagreements() == []

    def test_is_captured_or_voided(self, post, authorized):
        for _round in range(ROUNDS):
            payment = authorized()
            captured, voided = at_once([partial(post, payment, "capture"), partial(post, payment, "cancel")])

            payment.refresh_from_db()
            if captured.status_code == 201:
                assert (payment.status, payment.amount_captured) == ("completed", 10_000)
                assert outcome(voided) in TOO_LATE
            else:
                assert (payment.status, payment.cancellation_reason) == ("cancelled", "void")
                assert (outcome(voided), outcome(captured) in TOO_LATE) == ("200", True)
            assert payment.transactions.filter(kind__in=["capture", "void"]).count() == 1
        assert disagreements() == []

    def test_is_captured_or_lapses(self, authorized):
        for _round in range(ROUNDS):
            payment = authorized()
            Payment.objects.filter(pk=payment.pk).update(expires_at=timezone.now())
            capture = partial(services.capture_payment, payment, key=None)
            at_once([partial(_allowed, capture), partial(services.lapse_authorization, payment)])

            payment.refresh_from_db()
            assert (payment.status, payment.cancellation_reason) in [("completed", ""), ("cancelled", "expired")]
            assert payment.transactions.filter(kind__in=["capture", "void"]).count() == 1
        assert disagreements() == []


class TestManyWorkers:
    def test_carry_out_each_capture_once(self, authorized, settings):
        payments = [authorized() for _n in range(10)]
        settings.SANDBOX_FAULT = "down"
        for payment in payments:
            services.capture_payment(payment, key=None)
        settings.SANDBOX_FAULT = ""
        Transaction.objects.filter(kind="capture").update(due_at=timezone.now())
        at_once([queue.run_due] * 4)

        assert set(Payment.objects.values_list("status", flat=True)) == {"completed"}
        assert Operation.objects.count() == 10
        assert Event.objects.filter(type="payment.completed").count() == 10
        assert disagreements() == []

    def test_and_whoever_asked_carry_it_out_once(self, authorized):
        payment = authorized()
        answers = at_once([partial(services.capture_payment, payment, key="k" * 64), *[queue.run_due] * 3])
        assert answers[0][0].status in ("authorized", "completed")
        queue.run_due()

        payment.refresh_from_db()
        assert (payment.status, Operation.objects.count()) == ("completed", 1)
        assert disagreements() == []


def _allowed(call: Callable[[], Any]) -> None:
    """Makes the call; that the other one was faster is an answer."""
    with suppress(ApiError):
        call()
