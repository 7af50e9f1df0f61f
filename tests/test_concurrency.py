"""Many at once, over HTTP, with real threads and connections. SQLite has one writer and hides races, so what
counts here is the run on MariaDB and PostgreSQL; it passes on SQLite all the same."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from django.db import connections
from django.utils import timezone

from core import queue
from notifications.models import Event
from payments.models import Payment, Transaction
from sandbox.models import Charge

pytestmark = pytest.mark.django_db(transaction=True)

TIMEOUT = 60
BODY = {"customer_name": "John Doe", "customer_email": "john@example.com", "amount": 50.00}
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040, "card_cvv": "123"}


@pytest.fixture
def post(server_url, shop) -> Callable[..., requests.Response]:
    def send(key: str | None = None, **fields: Any) -> requests.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return requests.post(f"{server_url}/api/v1/payments", json={**BODY, **fields}, headers=headers, timeout=TIMEOUT)

    return send


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Starts all calls together, each in a thread with a connection of its own."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            barrier.wait()
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


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


class TestManyWorkers:
    def test_charge_each_payment_once(self, post):
        for _n in range(25):
            post(**CARD)
        at_once([queue.run_due] * 4)
        _work_until_nothing_waits()

        assert set(Payment.objects.values_list("status", flat=True)) == {"completed"}
        assert Charge.objects.count() == 25
        assert Event.objects.filter(type="payment.completed").count() == 25


def _work_until_nothing_waits() -> None:
    """Runs the queues, waiting jobs too (a payment waits a second while another has its order)."""
    for _round in range(20):
        Transaction.objects.filter(open_for__isnull=False).update(due_at=timezone.now())
        queue.run_due()
        if not Payment.objects.filter(status__in=["pending", "processing"]).exists():
            return
    pytest.fail("payments still wait")
