"""The requests in the docs work as they stand there."""

import json
import os
import re
import shutil
import subprocess

import pytest
import requests
from django.conf import settings

from accounts.models import Merchant, User
from accounts.services import add_member, create_key, create_merchant
from core.money import Money
from ledger.tasks import run_settlements
from payments.models import Payment
from payments.services import change_payment, create_payment
from refunds.services import create_refund

PAGES = [
    (settings.BASE_DIR / "docs" / name).read_text(encoding="utf-8") for name in ("api.md", "webhooks.md", "emails.md")
]
BLOCKS = [block for page in PAGES for block in re.findall(r"```sh\n(.+?)```", page, re.DOTALL)]
NOUNS = ("payments", "refunds", "customers", "payouts")
SCOPES = ["balance:read", *(f"{noun}:{verb}" for noun in NOUNS for verb in ("read", "write"))]

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def start(merchant: Merchant, **fields: str) -> str:
    payer = {"customer_name": "John Doe", "customer_email": "john@example.com"}
    payment, _replayed = create_payment(merchant=merchant, money=Money(99_99, "USD"), key=None, **payer, **fields)
    return payment.pk


def authorize(merchant: Merchant) -> str:
    payment = Payment.objects.get(pk=start(merchant, capture_method="manual"))
    return change_payment(payment, status="authorized").pk


def pay(merchant: Merchant) -> Payment:
    return change_payment(Payment.objects.get(pk=start(merchant)), status="completed")


@pytest.fixture
def shell(transactional_db, server_url) -> dict[str, str]:
    """What the docs tell to keep in variables."""
    merchant = create_merchant(name="Demo Store", status="active", settlement_delay_days=0)
    owner = User.objects.create_user("owner@example.com", "tillgate-demo", name="Olivia Owner")
    add_member(merchant, owner, "owner")
    log_in = {"email": owner.email, "password": "tillgate-demo"}
    tokens = requests.post(f"{server_url}/api/v1/auth/token", json=log_in, timeout=30).json()["token"]
    _key, secret = create_key(merchant, by=owner, by_role="owner", key=None, name="Shop", scopes=SCOPES)
    variables = {
        **os.environ,
        "TOKEN": tokens["access"],
        "REFRESH": tokens["refresh"],
        "KEY": secret,
        "MERCHANT": merchant.pk,
        "PAYMENT": start(merchant, order_id="order-1042"),
        "UNPAID": start(merchant),
        "AUTHORIZED": authorize(merchant),
        "PAID": pay(merchant).pk,
        "REFUND": create_refund(pay(merchant), key=None, by=owner)[0].pk,
    }
    run_settlements()
    return variables


def run(block: str, shell: dict[str, str], server_url: str) -> list[dict]:
    """Runs a block as bash would, and answers with what each of its requests got."""
    block = block.replace("http://localhost:8000", server_url)
    block = re.sub(r"pay_[0-9a-z]{26}", shell["PAYMENT"], block)
    block = block.replace("curl ", "curl -sS -w '\\n' ")
    done = subprocess.run(["bash", "-ec", block], env=shell, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_request_succeeds(number, shell, server_url):
    for answer in run(BLOCKS[number], shell, server_url):
        assert answer["status"] == "success", answer


def test_the_lists_show_what_the_docs_say(shell, server_url):
    blocks = {block: run(block, shell, server_url) for block in BLOCKS if "payments" in block and "GET" not in block}
    by_order = next(answers for block, answers in blocks.items() if "/payments/order/" in block)[0]
    assert shell["PAYMENT"] in {payment["id"] for payment in by_order["payments"]}
    patched = next(answers for block, answers in blocks.items() if "PATCH" in block)[0]["payment"]
    assert (patched["status"], patched["metadata"]) == ("completed", {"seat": "14F"})
