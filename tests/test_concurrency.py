"""Many at once, over HTTP, with real threads and connections. SQLite has one writer and hides races, so what
counts here is the run on MariaDB and PostgreSQL; it passes on SQLite all the same."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import requests
from django.utils import timezone

from core import queue
from core.errors import ApiError
from notifications.models import Event
from payments import services
from payments.cards import CardSource
from payments.models import Payment, Transaction
from payments.providers import Result
from sandbox.models import Charge
from tests.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

TIMEOUT = 60
BODY = {"customer_name": "John Doe", "customer_email": "john@example.com", "amount": 50.00}
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040, "card_cvv": "123"}

VISA = CardSource("tok_visa", "visa", "4242", 12, 2040)


@pytest.fixture
def post(server_url, shop) -> Callable[..., requests.Response]:
    def send(key: str | None = None, **fields: Any) -> requests.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return requests.post(f"{server_url}/api/v1/payments", json={**BODY, **fields}, headers=headers, timeout=TIMEOUT)

    return send


class TestOneIdempotencyKey:
    def test_makes_one_payment_of_fifty_requests_at_once(self, post):
        answers = at_once([lambda: post("order-77", **CARD)] * 50)

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["payment"]["id"] for answer in answers}) == 1
        assert sorted("Idempotent-Replayed" in answer.headers for answer in answers) == [False] + [True] * 49
        assert Payment.objects.count() == 1
        assert Event.objects.count() == 1
        queue.run_due()
        assert Charge.objects.count() == 1

    def test_with_two_bodies_lets_one_of_them_win(self, post):
        answers = at_once([lambda n=n: post("order-78", amount=n % 2 + 1) for n in range(20)])

        assert sorted(answer.status_code for answer in answers) == [201] * 10 + [422] * 10
        refused = [answer.json() for answer in answers if answer.status_code == 422]
        assert {body["error"]["code"] for body in refused} == {"idempotency_key_reused"}
        assert Payment.objects.count() == 1

    def test_makes_one_payment_a_key_when_many_keys_race(self, post):
        for round_ in range(5):
            answers = at_once([lambda n=n, r=round_: post(f"round-{r}-key-{n % 4}") for n in range(16)])
            assert {answer.status_code for answer in answers} == {201}
        assert Payment.objects.count() == 20


class TestOneOrder:
    def test_is_paid_once_by_six_card_payments_with_three_workers(self, post):
        answers = at_once([lambda: post(order_id="order-1", **CARD)] * 6)
        assert {answer.status_code for answer in answers} == {201}
        at_once([queue.run_due] * 3)
        _work_until_nothing_waits()

        payments = list(Payment.objects.all())
        assert sorted(payment.status for payment in payments) == ["completed"] + ["failed"] * 5
        assert {payment.failure_code for payment in payments if payment.status == "failed"} == {"order_already_paid"}
        assert Charge.objects.count() == 1
        assert Charge.objects.get().amount_captured == 5000

    def test_goes_to_the_next_payment_when_the_first_is_declined(self, post):
        post(order_id="order-2", **{**CARD, "card_number": "4000000000000002"})
        post(order_id="order-2", **CARD)
        _work_until_nothing_waits()

        assert sorted(Payment.objects.values_list("status", flat=True)) == ["completed", "failed"]


class TestOnePayment:
    """Nothing but the lock on the payment's row stands between these."""

    @pytest.fixture
    def payment(self, post) -> Payment:
        return Payment.objects.get(pk=post().json()["payment"]["id"])

    def test_takes_one_attempt_of_ten_clicks(self, payment):
        click = partial(services.start_attempt, payment_id=payment.pk, attempt=0, method="paypal")
        payments = at_once([click] * 10)

        assert {clicked.payer_attempts for clicked in payments} == {1}
        assert payment.transactions.count() == 1

    def test_takes_an_answer_once_that_ten_bring(self, payment):
        services.start_attempt(payment_id=payment.pk, attempt=0, method="credit_card", card=VISA)
        txn = payment.transactions.get()
        services.transactions._begin(txn.pk)
        answer = Result("succeeded", txn.pk, "ch_1", txn.merchant_id, txn.money, captured=txn.amount)
        at_once([partial(services.apply_result, txn.pk, answer)] * 10)

        payment.refresh_from_db()
        assert (payment.status, payment.amount_captured) == ("completed", 5000)
        assert _told(payment) == ["payment.created", "payment.processing", "payment.completed"]

    def test_is_either_cancelled_or_tried(self, payment):
        for _round in range(10):
            payment = Payment.objects.create(**_copy_of(payment))
            cancel = partial(services.cancel_payment, payment_id=payment.pk, reason="requested_by_customer")
            attempt = partial(services.start_attempt, payment_id=payment.pk, attempt=0, method="paypal")
            at_once([partial(_allowed, cancel), partial(_allowed, attempt)])

            payment.refresh_from_db()
            open_ones = payment.transactions.filter(open_for=payment.pk).count()
            assert (payment.status, open_ones) in [("cancelled", 0), ("pending", 1)]


class TestManyWorkers:
    def test_charge_each_payment_once(self, post):
        for _n in range(25):
            post(**CARD)
        at_once([queue.run_due] * 4)
        _work_until_nothing_waits()

        assert set(Payment.objects.values_list("status", flat=True)) == {"completed"}
        assert Charge.objects.count() == 25
        assert Event.objects.filter(type="payment.completed").count() == 25


def _told(payment: Payment) -> list[str]:
    return list(Event.objects.filter(object_id=payment.pk).order_by("sequence").values_list("type", flat=True))


def _allowed(call: Callable[[], Any]) -> None:
    """Makes the call; that the other one was faster is an answer."""
    with suppress(ApiError):
        call()


def _copy_of(payment: Payment) -> dict[str, Any]:
    names = ("merchant", "customer", "amount", "currency", "provider", "customer_name", "customer_email", "expires_at")
    return {name: getattr(payment, name) for name in names}


def _work_until_nothing_waits() -> None:
    """Runs the queues, waiting jobs too (a payment waits a second while another has its order)."""
    for _round in range(20):
        Transaction.objects.filter(open_for__isnull=False).update(due_at=timezone.now())
        queue.run_due()
        if not Payment.objects.filter(status__in=["pending", "processing"]).exists():
            return
    pytest.fail("payments still wait")
