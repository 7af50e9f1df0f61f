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

from core import queue
from payments.models import Payment
from tests.books import disagreements
from tests.conftest import database_url

pytestmark = pytest.mark.django_db(transaction=True)

MANAGE = Path(__file__).resolve().parent.parent / "manage.py"
STORM_SECONDS = float(os.environ.get("CHAOS_SECONDS", "8"))
WORKERS, CLIENTS = 2, 3
LIFE_SECONDS = (0.7, 2.5)  # of a worker, to the kill; it needs about half a second to start
ORDERS, KEYS = 60, 10_000
TIMEOUT = 30
CARDS = ["4242424242424242", "4000000000000002", "4000002500003155", "4000000000009995", "4000000000006975"]
EXPECTED = {201, 409, 422}  # made or replayed; the order is paid; the key was used for another body


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
    def test_leaves_the_books_in_agreement(self, server_url, shop):
        seed = random.randrange(10**6)
        print(f"seed {seed}")  # noqa: T201 shown when the test fails
        end = time.monotonic() + STORM_SECONDS
        workers = Workers()
        try:
            with ThreadPoolExecutor(CLIENTS) as pool:
                clients = [pool.submit(pay_until, end, server_url, seed + n) for n in range(CLIENTS)]
                workers.kill_until(end, random.Random(seed))
        finally:
            workers.kill_all()
        finish()

        assert set.union(*(client.result() for client in clients)) <= EXPECTED
        assert disagreements() == []
        assert not Payment.objects.filter(status__in=["pending", "processing"]).exists()


def finish() -> None:
    """Does what is left to do, as if the leases of the killed had run out."""
    for _round in range(10):
        for model in queue.QueueRow.__subclasses__():
            if model is not Payment:  # theirs is when they expire
                model.objects.filter(due_at__isnull=False).update(due_at=timezone.now())
        if not queue.run_due():
            return
