"""The database itself refuses what the business refuses, whatever the code above it does."""

from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction
from django.db.models import CheckConstraint, F, Model
from django.utils import timezone

from accounts.models import MAX_SETTLEMENT_DELAY_DAYS
from core.mail import queue_email
from ledger.models import BankAccount, Entry, Fee, Payout, PayoutLine
from notifications.models import Event, WebhookDelivery, WebhookEndpoint
from payments.models import Payment
from refunds.models import Refund
from sandbox.models import Charge, Dispute, Transfer

CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
NOW = timezone.now()
# What each constraint stands against, as a row of its model that differs in this only: of a completed payment of 50.00
# with 10.00 refunded and 20.00 under way, or of what the fixture makes.
FORBIDDEN: list[tuple[str, dict[str, Any]]] = [
    ("email_due_while_queued", {"due_at": None}),
    ("email_due_while_queued", {"status": "failed"}),
    ("email_sent_without_context", {"status": "sent", "due_at": None, "sent_at": NOW}),
    ("email_sent_without_context", {"status": "sent", "due_at": None, "context": None}),
    ("email_skipped_for_a_reason", {"status": "skipped", "due_at": None, "context": None}),
    ("email_skipped_for_a_reason", {"status": "skipped", "due_at": None, "reason": "switched_off"}),
    ("merchant_settles_in_time", {"settlement_delay_days": MAX_SETTLEMENT_DELAY_DAYS + 1}),
    ("webhook_endpoint_failing_since_a_failure", {"failures": 1}),
    ("webhook_endpoint_failing_since_a_failure", {"failing_since": NOW}),
    ("webhook_delivery_due_while_pending", {"due_at": None}),
    ("webhook_delivery_due_while_pending", {"status": "delivered"}),
    ("entry_is_not_zero", {"amount": 0}),
    ("fee_is_not_more_than_all", {"basis_points": 10_001}),
    ("bank_account_due_while_scheduled", {"due_at": NOW}),
    ("bank_account_due_while_scheduled", {"due_at": NOW, "schedule": "daily", "in_use_for": None}),
    ("bank_account_anchor", {"anchor": 0}),
    ("bank_account_anchor", {"anchor": 29}),
    ("payout_amount_above_zero", {"amount": 0}),
    ("payout_line_is_not_zero", {"amount": 0}),
    ("sandbox_transfer_amount", {"amount": 0}),
    ("sandbox_charge_amount", {"amount": 0, "amount_captured": 0, "amount_refunded": 0}),
    ("sandbox_charge_not_over_captured", {"amount_captured": 5001}),
    ("sandbox_charge_not_over_refunded", {"amount_refunded": 5001}),
    ("sandbox_operation_amount", {"amount": 0}),
    ("sandbox_dispute_amount", {"amount": 0}),
    ("payment_amount_above_zero", {"amount": 0}),
    ("payment_not_over_refunded", {"amount_refunded": 3001}),
    ("payment_order_key_only_while_held", {"status": "pending"}),
    ("payment_completed_is_captured", {"amount_captured": 0, "amount_refunded": 0, "amount_refund_pending": 0}),
    ("transaction_amount_above_zero", {"amount": 0}),
    ("refund_amount_above_zero", {"amount": 0}),
]


@pytest.fixture
def _rows(api, owner, pay, work, shop) -> None:
    """At least one row of every model that has a constraint."""
    payment_id = pay(**CARD, order_id="order-1").json()["payment"]["id"]
    work()
    path = f"/api/v1/payments/{payment_id}/refund"
    for amount in (10, 20):
        work()
        assert api.post(path, {"amount": amount}, headers=owner, content_type="application/json").status_code == 201
    endpoint = WebhookEndpoint.objects.create(merchant=shop, url="https://shop.example.com/hook", secret="whsec_x")
    WebhookDelivery.objects.create(merchant=shop, endpoint=endpoint, event=Event.objects.first(), due_at=NOW)
    Fee.objects.create(merchant=shop, payee="platform", currency="USD")
    account = BankAccount.objects.create(merchant=shop, currency="USD", account_number="000123456789", last4="6789")
    payout = Payout.objects.create(merchant=shop, bank_account=account, amount=1, currency="USD")
    PayoutLine.objects.create(payout=payout, entry=Entry.objects.first(), amount=1)
    Transfer.objects.create(key="po_1", account=shop.pk, amount=1, currency="USD")
    Dispute.objects.create(charge=Charge.objects.get(), amount=1, currency="USD", due_by=NOW)
    queue_email("verify_email", to="a@example.com", context={"url": "https://x"})


def constraints() -> dict[str, type[Model]]:
    """By name, of every model of every app."""
    every = [(model, it) for model in apps.get_models() for it in model._meta.constraints]
    return {it.name: model for model, it in every if isinstance(it, CheckConstraint)}


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize(("name", "changes"), FORBIDDEN)
def test_refuses(name, changes):
    """By an insert: entries cannot be updated. The database looks at its checks before its keys."""
    row = constraints()[name].objects.order_by("pk").last()
    for field, value in changes.items():
        setattr(row, field, value)
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        row.save(force_insert=True)


@pytest.mark.usefixtures("_rows")
def test_takes_the_last_cent():
    Payment.objects.update(amount_refunded=F("amount_captured") - F("amount_refund_pending"))
    assert Refund.objects.latest("pk").amount == 2000


def test_no_constraint_is_forgotten():
    assert set(constraints()) == {name for name, _changes in FORBIDDEN}
