from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from payments.models import Payment, Status

VISA = "4242424242424242"
DECLINED = "4000000000000002"
THREE_D_SECURE = "4000002500003155"

TRANSFER = {
    "type": "bank_transfer",
    "bank_name": "Sandbox Bank",
    "account_name": "Acme",
    "account_number": "0123456789",
    "reference": "7K2M9QX4AB",
    "url": "http://testserver/sandbox/charges/x",
}
REDIRECT = {"type": "redirect", "url": "http://testserver/sandbox/charges/x"}
# What makes a payment be in each state of its page.
ROWS: dict[str, dict[str, Any]] = {
    "payable": {},
    "processing": {"status": Status.PROCESSING},
    "slow": {"status": Status.PROCESSING, "updated_at": timezone.now() - timedelta(minutes=1)},
    "requires_action": {"status": Status.REQUIRES_ACTION, "next_action": REDIRECT},
    "bank_transfer": {"next_action": TRANSFER},
    "completed": {"status": Status.COMPLETED, "amount_captured": 5000, "completed_at": timezone.now()},
    "authorized": {"status": Status.AUTHORIZED},
    "failed": {"status": Status.FAILED, "failure_code": "card_declined"},
    "already_paid": {"status": Status.FAILED, "failure_code": "order_already_paid"},
    "cancelled": {"status": Status.CANCELLED, "cancellation_reason": "requested_by_customer"},
    "expired": {"status": Status.CANCELLED, "cancellation_reason": "expired"},
    "refunded": {"status": Status.REFUNDED, "amount_captured": 5000, "completed_at": timezone.now()},
}


@pytest.fixture
def payment(pay) -> Callable[..., Payment]:
    """Starts a payment of 50.00 USD, unless told otherwise."""

    def start(**fields: Any) -> Payment:
        return Payment.objects.get(pk=pay(**fields).json()["payment"]["id"])

    return start


@pytest.fixture
def in_state(payment: Callable[..., Payment]) -> Callable[..., Payment]:
    """A payment put into a state behind the services' back, for tests of what is shown."""

    def make(state: str, **fields: Any) -> Payment:
        row = payment(order_id="order-1042", description="Two loaves")
        Payment.objects.filter(pk=row.pk).update(**{"updated_at": timezone.now(), **ROWS[state], **fields})
        return Payment.objects.get(pk=row.pk)

    return make


@pytest.fixture
def open_page(client: Client) -> Callable[..., HttpResponse]:
    """Looks at a payment's page, or at a page below it."""
    return lambda payment, below="", **options: client.get(f"/pay/{payment.pk}{below}", **options)


@pytest.fixture
def submit(client: Client) -> Callable[..., HttpResponse]:
    """Sends the form with a good Visa card; None leaves a field out."""

    def post(payment: Payment, **fields: Any) -> HttpResponse:
        form = {
            "attempt": Payment.objects.get(pk=payment.pk).payer_attempts,
            "method": "credit_card",
            "card_number": VISA,
            "card_expiry": "12 / 40",
            "card_cvc": "123",
        } | fields
        return client.post(f"/pay/{payment.pk}", {name: value for name, value in form.items() if value is not None})

    return post


@pytest.fixture
def seen(client: Client) -> Callable[[Payment, str], HttpResponse]:
    """What htmx is answered when the page shows this state."""
    return lambda payment, state: client.get(f"/pay/{payment.pk}/status?seen={state}", headers={"HX-Request": "true"})
