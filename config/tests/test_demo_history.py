"""The sample data: believable, the same every time, at rest, and what the live code would have written."""

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import Customer, Merchant
from config.demo import seed
from config.demo_history import CHARGE_TERMS
from config.demo_stories import tell_history
from core.ids import is_id
from core.queue import late_rows, run_due
from core.renderers import to_json
from ledger.balances import balances
from ledger.models import Settlement
from ledger.verification import verify
from notifications.models import EVENT_TYPES, Event
from payments.models import HOLDS_ORDER, Payment, Status, Transaction, TransactionStatus
from payments.providers import PROVIDERS
from payments.serializers import MerchantPayment
from payments.services.status import EXPIRES, order_key
from sandbox.models import Charge
from sandbox.services import create_charge

pytestmark = pytest.mark.django_db

EVENING = datetime(2026, 5, 19, 23, 59, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def demo(django_db_setup, django_db_blocker):
    """Seeded once for all of these tests, which change nothing that outlives them."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield seed(timezone.now())
        transaction.set_rollback(True)


def midnight():
    return timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)


class TestHistory:
    def test_is_believable(self):
        statuses = Counter(Payment.objects.values_list("status", flat=True))
        assert 240 <= statuses.total() <= 270
        assert 0.82 < statuses["completed"] / statuses.total() < 0.88
        assert set(statuses) == {"completed", "failed", "cancelled", "pending", "authorized"}
        assert len(set(Payment.objects.values_list("currency", flat=True))) == 6
        assert len(set(Payment.objects.exclude(payment_method="").values_list("payment_method", flat=True))) == 5
        assert len(set(Payment.objects.exclude(failure_code="").values_list("failure_code", flat=True))) >= 5
        emails = Customer.objects.values_list("email", flat=True)
        assert all(email.endswith("@example.com") for email in emails)

    def test_lies_in_six_weeks_that_end_yesterday(self):
        for model in (Customer, Payment, Transaction, Event, Charge):
            times = model.objects.values_list("created_at", flat=True)
            assert midnight() - timedelta(days=42) <= min(times)
            assert max(times) < midnight()
        assert max(Payment.objects.values_list("updated_at", flat=True)) < midnight()
        assert max(Transaction.objects.values_list("updated_at", flat=True)) < midnight()

    def test_sorts_by_id_as_by_time(self):
        for model in (Customer, Payment, Transaction, Charge):
            rows = list(model.objects.order_by("id").values_list("created_at", flat=True))
            assert rows == sorted(rows)

    def test_is_the_same_relative_to_any_day(self):
        first, second = (_outline(tell_history(_store(), end), end) for end in (EVENING, EVENING + timedelta(days=3)))
        assert first == second

    def test_waits_for_nobody(self):
        assert not any(late_rows().values())
        before = list(Payment.objects.order_by("id").values())
        assert run_due() == 0
        assert list(Payment.objects.order_by("id").values()) == before

    def test_has_books_that_agree(self):
        assert verify() == []
        assert set(balances(Merchant.objects.get())) == set(Payment.objects.values_list("currency", flat=True))

    def test_is_at_rest_for_the_whole_day_of_seeding(self):
        for model in (Payment, Transaction, Charge, Settlement):
            assert not model.objects.filter(due_at__lt=midnight() + timedelta(days=1)).exists()


class TestConsistency:
    """What the live code would have written, row by row."""

    def test_events_are_gap_free_and_end_in_the_payment_as_it_is(self):
        events = defaultdict(list)
        for event in Event.objects.order_by("id"):
            assert event.type in EVENT_TYPES
            events[event.object_id].append(event)
        for payment in Payment.objects.all():
            told = events[payment.pk]
            assert [event.sequence for event in told] == list(range(1, len(told) + 1))
            assert told[0].type == "payment.created"
            assert told[-1].type == (f"payment.{payment.status}" if len(told) > 1 else "payment.created")
            assert json.loads(told[-1].payload) == json.loads(to_json(MerchantPayment(payment).data))
            statuses = [json.loads(event.payload)["status"] for event in told]
            assert all(after in Payment.TRANSITIONS[before] for before, after in pairwise(statuses))

    def test_the_order_key_is_held_by_exactly_the_payments_that_hold_their_order(self):
        for payment in Payment.objects.all():
            holds = payment.order_id is not None and payment.status in HOLDS_ORDER
            assert payment.order_key == (order_key(payment.merchant_id, payment.order_id) if holds else None)

    def test_amounts_and_times_go_with_the_status(self):
        for payment in Payment.objects.all():
            paid = payment.status == Status.COMPLETED
            assert payment.amount_captured == (payment.amount if paid else 0)
            assert (payment.completed_at is not None) == paid
            assert payment.due_at == (payment.expires_at if payment.status in EXPIRES else None)
            assert bool(payment.cancellation_reason) == (payment.status == Status.CANCELLED)
            assert payment.failure_code or payment.status != Status.FAILED

    def test_transactions_are_open_only_while_somebody_waits(self):
        waiting = Transaction.objects.filter(open_for__isnull=False)
        assert {txn.status for txn in waiting} == {TransactionStatus.REQUIRES_ACTION}
        assert all(txn.open_for == txn.payment_id and txn.due_at for txn in waiting)
        assert not Transaction.objects.filter(open_for=None, due_at__isnull=False).exists()
        assert Transaction.objects.count() == Charge.objects.count()

    def test_the_sandbox_says_what_we_say(self):
        for txn in Transaction.objects.all():
            answer = PROVIDERS["sandbox"].lookup(txn.pk)
            assert answer.status == txn.status
            assert (answer.money, answer.account) == (txn.money, txn.merchant_id)
            assert (answer.reference, answer.answer) == (txn.provider_reference, txn.provider_answer)
            assert (answer.failure_code, answer.provider_code) == (txn.failure_code, txn.provider_code)
            captured = txn.amount if (txn.status, txn.kind) == ("succeeded", "sale") else 0
            assert answer.captured == captured

    def test_a_charge_that_is_sent_again_is_the_same_charge(self):
        charge = Charge.objects.filter(status="awaiting_transfer").first()
        terms = (*CHARGE_TERMS, "key", "account_name", "description", "return_url")
        assert create_charge(**{name: getattr(charge, name) for name in terms})["id"] == charge.pk


def _store():
    return Merchant(id="mer_01kvjvx9g00123456789abcdef", name="Demo Store")


def _outline(history, end):
    """Every row without its place in time: an id without the 10 characters of its time, times as ages."""

    def timeless(value):
        if isinstance(value, datetime):
            return value - end
        return f"{value[:-26]}{value[-16:]}" if is_id(value) else value

    columns = {
        Customer: ("id", "email", "name", "created_at"),
        Payment: ("id", "reference", "amount", "currency", "status", "order_id", "customer_email", "updated_at"),
        Transaction: ("id", "status", "failure_code", "created_at"),
        Charge: ("id", "status", "amount_captured", "created_at"),
        Event: ("id", "type", "sequence", "created_at"),
    }
    rows = [*history.customers, *history.payments, *history.transactions, *history.charges, *history.events]
    return [[timeless(getattr(row, name)) for name in columns[type(row)]] for row in rows]
