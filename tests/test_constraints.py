"""The database itself refuses what the business refuses, whatever the code above it does."""

from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction
from django.db.models import CheckConstraint, F

from payments.models import Payment
from refunds.models import Refund

CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
APPS = ("payments", "refunds")
# What each constraint stands against, as an update of a completed payment of 50.00 with a refund of 20.00 under way.
FORBIDDEN: dict[str, dict[str, Any]] = {
    "payment_amount_above_zero": {"amount": 0},
    "payment_not_over_refunded": {"amount_refunded": F("amount_captured") - F("amount_refund_pending") + 1},
    "payment_order_key_only_while_held": {"status": "pending"},
    "payment_completed_is_captured": {"amount_captured": 0, "amount_refund_pending": 0},
    "transaction_amount_above_zero": {"amount": 0},
    "refund_amount_above_zero": {"amount": 0},
}


@pytest.fixture
def _rows(api, owner, pay, work) -> None:
    payment_id = pay(**CARD, order_id="order-1").json()["payment"]["id"]
    work()
    path = f"/api/v1/payments/{payment_id}/refund"
    assert api.post(path, {"amount": 20}, headers=owner, content_type="application/json").status_code == 201


def constraints() -> dict[str, type]:
    models = [model for app in APPS for model in apps.get_app_config(app).get_models()]
    return {it.name: model for model in models for it in model._meta.constraints if isinstance(it, CheckConstraint)}


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("name", FORBIDDEN)
def test_refuses(name):
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        constraints()[name].objects.update(**FORBIDDEN[name])


@pytest.mark.usefixtures("_rows")
def test_takes_the_last_cent():
    Payment.objects.update(amount_refunded=F("amount_captured") - F("amount_refund_pending"))
    assert Refund.objects.get().amount == 2000


def test_no_constraint_is_forgotten():
    assert set(constraints()) == set(FORBIDDEN)
