"""A worker whose every transaction loses its first try does what it would have done."""

import pytest

from ledger.verification import verify
from notifications.models import Event
from payments.models import Transaction
from sandbox.models import Charge
from tests.deadlocks import conflicts

pytestmark = pytest.mark.django_db

CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
STATUSES = ["created", "processing", "completed", "refunded"]


def test_comes_to_the_same_books(pay, api, owner, work, monkeypatch):
    with conflicts(monkeypatch):
        payment = pay(**CARD).json()["payment"]["id"]
        work()
        api.post(f"/api/v1/payments/{payment}/refund", {}, headers=owner, content_type="application/json")
        work()
    transactions = Transaction.objects.filter(payment=payment)
    assert set(transactions.values_list("kind", "status")) == {("sale", "succeeded"), ("refund", "succeeded")}
    charge = Charge.objects.get(key__in=transactions.values("pk"))
    assert (charge.amount_captured, charge.amount_refunded) == (5000, 5000)
    told = Event.objects.filter(object_id=payment).order_by("sequence").values_list("type", "sequence")
    assert list(told) == [(f"payment.{status}", n) for n, status in enumerate(STATUSES, start=1)]
    assert verify() == []
