from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from payments.models import Payment

VISA = "4242424242424242"
DECLINED = "4000000000000002"
THREE_D_SECURE = "4000002500003155"


@pytest.fixture
def payment(pay) -> Callable[..., Payment]:
    """Starts a payment of 50.00 USD, unless told otherwise."""

    def start(**fields: Any) -> Payment:
        return Payment.objects.get(pk=pay(**fields).json()["payment"]["id"])

    return start


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
