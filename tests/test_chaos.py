"""Customers pay while workers are killed again and again; afterwards the books agree to the cent.

A short storm in every run; `make chaos` makes it a long one (CHAOS_SECONDS).
"""

import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from django.utils import timezone

from accounts.policy import SCOPES
from accounts.services import create_key
from core import queue
from payments.models import Payment
from refunds.models import Refund
from tests.books import disagreements
from tests.conftest import database_url

pytestmark = pytest.mark.django_db(transaction=True)

MANAGE = Path(__file__).resolve().parent.parent / "manage.py"
STORM_SECONDS = float(os.environ.get("CHAOS_SECONDS", "8"))
WORKERS, CLIENTS = 2, 3
LIFE_SECONDS = (0.7, 2.5)  # of a worker, to the kill; it needs about half a second to start
ORDERS, KEYS = 60, 10_000
MOST = 999.99  # more than a part that is given back
PARTLY = 0.8  # of the refunds; the others give back all that is left
TIMEOUT = 30
CARDS = ["4242424242424242", "4000000000000002", "4000002500003155", "4000000000009995", "4000000000006975"]
# Made or replayed; the order is paid, or given back; the key was used for another body, or less is left.
EXPECTED = {201, 409, 422}


def pay_until(end: float, url: str, seed: int) -> set[int]:
    """One customer after another, some of them twice with the same request; the statuses they got."""
    chance, statuses = random.Random(seed), set()
    with requests.Session() as session:
        while time.monotonic() < end:
            body = {
                "customer_name": "John Doe",
                "customer_email": f"john{chance.randrange(20)}@example.com",
                "amount": chance.randrange(1, 99_999) / 100,
                "order_id": f"order-{chance.randrange(ORDERS)}",
                "card_number": chance.choice(CARDS),
                "card_expiry_month": 12,
                "card_expiry_year": 2040,
            }
            headers = {"Idempotency-Key": f"key-{chance.randrange(KEYS)}"}
            for _time in range(chance.choice([1, 1, 2])):
                response = session.post(f"{url}/api/v1/payments", json=body, headers=headers, timeout=TIMEOUT)
                statuses.add(response.status_code)
            time.sleep(chance.random() / 10)
    return statuses


def refund_until(end: float, url: str, headers: dict[str, str], seed: int) -> set[int]:
    """Parts of paid payments, and all of some, given back by the merchant, now and then twice with the same request."""
    chance, statuses = random.Random(seed), set()
    with requests.Session() as session:
        session.headers.update(headers)
        while time.monotonic() < end:
            paid = session.get(f"{url}/api/v1/payments?status=completed", timeout=TIMEOUT).json()["payments"]
            if paid:
                body = {"payment_id": chance.choice(paid)["id"]}
                body |= {"amount": chance.randrange(1, 20_000) / 100} if chance.random() < PARTLY else {}
                key = {"Idempotency-Key": f"key-{chance.randrange(KEYS)}"}
                for _time in range(chance.choice([1, 1, 2])):
                    response = session.post(f"{url}/api/v1/refunds", json=body, headers=key, timeout=TIMEOUT)
                    statuses.add(response.status_code)
            time.sleep(chance.random() / 10)
    return statuses


class Workers:
    """Worker processes that do not live long."""

    def __init__(self) -> None:
        self.environment = {**os.environ, "DATABASE_URL": database_url(), "LOG_LEVEL": "ERROR"}
        self.processes = [self.start() for _n in range(WORKERS)]

    def start(self) -> subprocess.Popen:
        command = [sys.executable, str(MANAGE), "work"]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL)

    def kill_until(self, end: float, chance: random.Random) -> None:
        while time.monotonic() < end:
            time.sleep(chance.uniform(*LIFE_SECONDS))
            number = chance.randrange(WORKERS)
            self.kill(self.processes[number])
            self.processes[number] = self.start()

    def kill(self, process: subprocess.Popen) -> None:
        process.kill()
        process.wait()

    def kill_all(self) -> None:
        for process in self.processes:
            self.kill(process)


class TestStorm:
    def test_leaves_the_books_in_agreement(self, server_url, shop, owner_user, pay):
        seed = random.randrange(10**6)
        print(f"seed {seed}")  # noqa: T201 shown when the test fails
        end = time.monotonic() + STORM_SECONDS
        _row, secret = create_key(shop, by=owner_user, by_role="owner", key=None, name="Shop", scopes=SCOPES)
        merchant = {"Authorization": f"Bearer {secret}"}
        pay(amount=MOST, card_number=CARDS[0], card_expiry_month=12, card_expiry_year=2040)
        queue.run_due()  # something of which any part can be given back from the first moment
        workers = Workers()
        try:
            with ThreadPoolExecutor(CLIENTS + 1) as pool:
                clients = [pool.submit(pay_until, end, server_url, seed + n) for n in range(CLIENTS)]
                clients.append(pool.submit(refund_until, end, server_url, merchant, seed))
                workers.kill_until(end, random.Random(seed))
        finally:
            workers.kill_all()
        finish()

        assert set.union(*(client.result() for client in clients)) <= EXPECTED
        assert disagreements() == []
        assert Refund.objects.filter(status="succeeded").exists()
        assert not Refund.objects.filter(status__in=["pending", "processing"]).exists()
        assert not Payment.objects.filter(status__in=["pending", "processing"]).exists()


def finish() -> None:
    """Does what is left to do, as if the leases of the killed had run out."""
    for _round in range(10):
        for model in queue.QueueRow.__subclasses__():
            if model is not Payment:  # theirs is when they expire
                model.objects.filter(due_at__isnull=False).update(due_at=timezone.now())
        if not queue.run_due():
            return
