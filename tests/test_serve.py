"""The whole product as `make run` starts it: web and worker as processes of their own, on a database of their own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.conftest import free_port, wait_until_it_answers

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 30  # generous: a test that measures time would fail on a busy machine
CARD_NUMBER, CVV = "4111111111111111", "7391"
REFUSED_NUMBER = "4532015112830366"  # passes Luhn, is nobody's
BODY = {
    "customer_name": "John Doe",
    "customer_email": "john@example.com",
    "amount": 99.99,
    "currency": "USD",
    "payment_method": "credit_card",
    "card_number": CARD_NUMBER,
    "card_expiry_month": 12,
    "card_expiry_year": 2040,
    "card_cvv": CVV,
    "description": "Two concert tickets",
}


@dataclass
class Product:
    url: str
    process: subprocess.Popen
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def children(self) -> dict[str, int]:
        """The process ids below `serve`, by what they are."""
        found = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, parent = int(path.parent.name), int(path.read_text().rpartition(")")[2].split()[1])
                command = (path.parent / "cmdline").read_text()
            except OSError:
                continue
            if parent == self.process.pid:
                found["worker" if command.rstrip("\0").endswith("work") else "web"] = pid
        return found

    def pay(self, **fields: object) -> dict:
        response = requests.post(f"{self.url}/api/v1/payments", json={**BODY, **fields}, timeout=10)
        assert response.status_code == 201, response.text
        return response.json()["payment"]

    def status(self, payment: dict) -> str:
        return requests.get(f"{self.url}/api/v1/payments/{payment['id']}", timeout=10).json()["payment"]["status"]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("product")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{folder}/tillgate.sqlite3",
        "SITE_URL": url,
        "SANDBOX_SETTLE_SECONDS": "0.4",
        "LOG_LEVEL": "DEBUG",
    }
    command = [sys.executable, str(ROOT / "manage.py"), "serve", "--demo", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_it_answers(url)
        yield Product(url, process, folder)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"{what} did not come about"
        time.sleep(0.1)


class TestProduct:
    def test_says_where_it_is_and_how_to_log_in(self, product):
        until(lambda: "tillgate-demo" in product.log, "the welcome")
        assert f"{product.url}/api/docs" in product.log

    def test_completes_a_payment_by_card(self, product):
        payment = product.pay()
        assert payment["status"] == "pending"
        until(lambda: product.status(payment) == "completed", "completion")

    def test_answers_while_the_worker_stands_still_and_goes_on_when_it_returns(self, product):
        worker = product.children()["worker"]
        os.kill(worker, signal.SIGSTOP)
        try:
            payments = [product.pay() for _n in range(3)]
            time.sleep(1)
            assert {product.status(payment) for payment in payments} == {"pending"}
        finally:
            os.kill(worker, signal.SIGCONT)
        until(lambda: {product.status(payment) for payment in payments} == {"completed"}, "completion")

    def test_starts_a_killed_worker_again(self, product):
        worker = product.children()["worker"]
        until(lambda: "worker:" in product.log, "the worker")
        time.sleep(5)  # a process that dies sooner is not started again
        os.kill(worker, signal.SIGKILL)
        payment = product.pay()
        until(lambda: product.children().get("worker", worker) != worker, "another worker")
        until(lambda: product.status(payment) == "completed", "completion")

    def test_keeps_no_card_number_and_no_security_code(self, product):
        refused = requests.post(
            f"{product.url}/api/v1/payments", json={**BODY, "card_number": REFUSED_NUMBER}, timeout=10
        )
        assert refused.status_code == 400
        files = [path for path in product.folder.rglob("*") if path.is_file()]
        assert len(files) >= 2
        for path in files:
            content = path.read_bytes()
            for secret in (CARD_NUMBER, REFUSED_NUMBER, CVV):  # alone: an id may hold the four digits by chance
                alone = rf"(?<![0-9A-Za-z.]){secret}(?![0-9A-Za-z])".encode()
                assert not re.search(alone, content), f"{secret} stands in {path.name}"

    def test_stops_web_and_worker_when_told(self, product):
        children = product.children()
        assert set(children) == {"web", "worker"}
        product.process.send_signal(signal.SIGTERM)
        assert product.process.wait(PATIENCE_SECONDS) == 0
        assert not [pid for pid in children.values() if Path(f"/proc/{pid}").exists()]
        assert "Traceback" not in product.log
