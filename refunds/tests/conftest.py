"""A payment that went through, and what its merchant does with it."""

import pytest

JSON = "application/json"
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2030}


@pytest.fixture
def paid(pay, work):
    """`paid(amount=…)` is a payment that went through."""

    def make(number="4242424242424242", **fields):
        payment = pay(**{**CARD, "card_number": number}, **fields).json()["payment"]
        work()
        return payment["id"]

    return make


@pytest.fixture
def refund(api, owner):
    """`refund(payment_id, amount=…)` posts a refund as the shop's owner."""

    def post(payment_id, headers=None, **body):
        path = f"/api/v1/payments/{payment_id}/refund"
        return api.post(path, body, headers={**owner, **(headers or {})}, content_type=JSON)

    return post


@pytest.fixture
def read(api, owner):
    return lambda payment_id: api.get(f"/api/v1/payments/{payment_id}", headers=owner).json()["payment"]
