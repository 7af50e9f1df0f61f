"""A merchant with money to pay out, and somebody of its finance who may."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import Merchant, User
from accounts.services import add_member

PASSWORD = "a-password-of-tests-1"
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
ACCOUNT = {"currency": "USD", "country": "US", "holder": "Acme Inc", "account_number": "000123456789"}

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def _quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def finance(shop: Merchant) -> User:
    """Who looks after the shop's money."""
    user = User.objects.create_user("finance@shop.example.com", PASSWORD, name="Finance")
    add_member(shop, user, "finance")
    return user


@pytest.fixture
def call(api: Client, finance: User, bearer: Call) -> Call:
    """`call("POST", "payouts", amount=…)` sends a request as finance, or as `by`, who logs in for it."""

    def send(method: str, path: str, headers: dict[str, str] | None = None, by: User = finance, **body: Any) -> Any:
        data = json.dumps(body) if method in ("POST", "PATCH") else ""
        headers = {**bearer(by), **(headers or {})}
        return api.generic(method, f"/api/v1/{path}", data, content_type="application/json", headers=headers)

    return send


@pytest.fixture
def read(call: Call) -> Callable[[str], Any]:
    """The JSON of a path, numbers as they stand there."""
    return lambda path: json.loads(call("GET", path).content, parse_float=Decimal)


@pytest.fixture
def earn(pay: Call, work: Callable[[], int], later: Callable[..., None]) -> Callable[..., None]:
    """`earn(50, 30)` takes a payment of each amount, which is then available."""

    def take(*amounts: float, **fields: Any) -> None:
        for amount in amounts:
            assert pay(**CARD, amount=amount, **fields).status_code == 201
            work()
        later(days=2, minutes=1)

    return take


@pytest.fixture
def bank(call: Call) -> Callable[..., str]:
    """`bank(currency="EUR")` has payouts go to an account, and answers with its id."""

    def add(**fields: Any) -> str:
        response = call("POST", "bank-accounts", **{**ACCOUNT, "password": PASSWORD, **fields})
        assert response.status_code == 201, response.content
        return response.json()["bank_account"]["id"]

    return add


@pytest.fixture
def balance(read: Callable[[str], Any]) -> Callable[[], dict[str, Decimal]]:
    """What there is in dollars, by name."""

    def of_dollars() -> dict[str, Decimal]:
        currencies = {row.pop("currency"): row for row in read("balance")["balance"]["currencies"]}
        return currencies.get("USD", {})

    return of_dollars
