"""What a payer and a merchant do, for the tests of payments."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client, RequestFactory
from django.utils import timezone
from rest_framework.request import Request

from accounts.models import Customer, Merchant
from core.api import Page, paginate
from core.errors import ApiError, as_api_error
from core.ids import new_id
from core.queue import run_due
from notifications.models import Event
from payments import services
from payments.cards import TEST_CARDS, CardSource
from payments.filters import list_payments
from payments.models import Payment
from sandbox import services as sandbox
from sandbox.models import Charge

JSON = "application/json"
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}


def error_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def shown(answer: Any) -> tuple[int, str, Any]:
    payment = answer.json()["payment"]
    return answer.status_code, payment["status"], payment["amount_captured"]


def told(payment_id: str) -> list[str]:
    """The events of a payment, as they came."""
    return list(Event.objects.filter(object_id=payment_id).order_by("sequence").values_list("type", flat=True))


@pytest.fixture
def start(pay) -> Callable[..., Payment]:
    """A payment as the API makes it; with a card when a number is given."""

    def create(number: str = "", **fields) -> Payment:
        card = {"card_number": number, "card_expiry_month": 12, "card_expiry_year": 2040} if number else {}
        response = pay(**card, **fields)
        assert response.status_code == 201, response.content
        return Payment.objects.get(pk=response.json()["payment"]["id"])

    return create


@pytest.fixture
def attempt() -> Callable[..., Payment]:
    """The payer tries a card, or another method, on the checkout page."""

    def send(payment: Payment, number: str = "", method: str = "credit_card") -> Payment:
        payment.refresh_from_db()
        card = CardSource(TEST_CARDS[number].token, "visa", number[-4:], 12, 2040) if number else None
        return services.start_attempt(
            payment_id=payment.pk, attempt=payment.payer_attempts, method=method, card=card, phone="+233241234567"
        )

    return send


@pytest.fixture
def decide() -> Callable[..., None]:
    """The payer answers on the sandbox's page."""

    def answer(payment: Payment, *, approve: bool) -> None:
        txn = payment.transactions.get(open_for=payment.pk)
        sandbox.decide(charge_id=Charge.objects.get(key=txn.pk).pk, approve=approve)

    return answer


# --- Reserved money ---------------------------------------------------------------------------
@pytest.fixture
def authorized(pay: Callable[..., Any]) -> Callable[..., str]:
    """`authorized(amount=…)` is the id of a payment whose money is reserved."""

    def make(**fields: Any) -> str:
        payment_id = pay(**{**CARD, "capture_method": "manual", "amount": 100, **fields}).json()["payment"]["id"]
        run_due()
        return payment_id

    return make


@pytest.fixture
def post(api: Client, owner: dict[str, str]) -> Callable[..., Any]:
    """`post("capture", payment_id, amount=60)` does it as the shop's owner."""

    def send(verb: str, payment_id: str, headers: dict[str, str] | None = None, **body: Any) -> Any:
        path = f"/api/v1/payments/{payment_id}/{verb}"
        return api.post(path, body, headers={**owner, **(headers or {})}, content_type=JSON)

    return send


@pytest.fixture
def capture(post: Callable[..., Any]) -> Callable[..., Any]:
    return lambda payment_id, headers=None, **body: post("capture", payment_id, headers, **body)


@pytest.fixture
def cancel(post: Callable[..., Any]) -> Callable[..., Any]:
    return lambda payment_id, **body: post("cancel", payment_id, **body)


@pytest.fixture
def read(api: Client, owner: dict[str, str]) -> Callable[[str], Any]:
    """The payment as its merchant sees it."""
    return lambda payment_id: api.get(f"/api/v1/payments/{payment_id}", headers=owner).json()["payment"]


# --- Lists ------------------------------------------------------------------------------------
@pytest.fixture
def make(shop: Merchant) -> Callable[..., Payment]:
    """`make("a", age=timedelta(days=3), currency="EUR")`: a payment of that age, called `a` in its description.
    One made later is younger, unless `at` says when it was made."""
    order = count()

    def create(name: str, *, age: timedelta = timedelta(0), merchant: Merchant = shop, **fields: Any) -> Payment:
        at = fields.pop("at", None) or timezone.now() - age + timedelta(milliseconds=next(order))
        email = fields.setdefault("customer_email", "john@example.com")
        customer, _created = Customer.objects.get_or_create(merchant=merchant, email=email, defaults={"name": "John"})
        least = {"amount": 5000, "currency": "USD", "provider": "sandbox", "customer_name": "John"}
        least |= {"id": new_id("pay", at=at), "created_at": at, "expires_at": at, "description": name}
        return Payment.objects.create(merchant=merchant, customer=customer, **{**least, **fields})

    return create


@pytest.fixture
def ask(shop: Merchant) -> Callable[..., tuple[Page, str]]:
    """`ask("status=failed")`: the page of the shop's payments, or of other rows, and the note on its window."""

    def answer(query: str, rows: QuerySet[Any] | None = None, listing: Any = list_payments) -> tuple[Page, str]:
        request = Request(RequestFactory().get(f"/api/v1/list?{query}"))
        found = listing(request.query_params, shop.payments.all() if rows is None else rows)
        return paginate(request, found.rows, ascending=found.ascending), found.note

    return answer


@pytest.fixture
def found(ask: Callable[..., tuple[Page, str]]) -> Callable[..., list[str]]:
    """`found("status=failed")` names the payments of the page."""
    return lambda *query: [payment.description for payment in ask(*query)[0].rows]


@pytest.fixture
def refused(ask: Callable[..., tuple[Page, str]]) -> Callable[..., ApiError]:
    """`refused("status=x")`: the error of a list that is not given."""

    def error(*query: Any) -> ApiError:
        with pytest.raises(Exception) as caught:  # noqa: PT011 as_api_error tells which
            ask(*query)
        answer = as_api_error(caught.value)
        assert answer.status == 400
        return answer

    return error
