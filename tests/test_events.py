"""Every change of a payment's, a refund's or a payout's status yields exactly one event, with the object as it is then.

Cell by cell over the squares of statuses, through the three doors that there are; and nothing goes around the doors.
"""

import ast
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import Customer
from core.state import IllegalTransition
from ledger.models import BankAccount, Payout, PayoutStatus
from ledger.services.booking import book_payout_created
from ledger.services.payouts import lock_payout, move_payout
from notifications.models import EVENT_TYPES, Event
from payments.models import HOLDS_ORDER, Payment, Status
from payments.services.status import claim_order, move_payment, order_key
from refunds.models import Refund
from refunds.models import Status as RefundStatus
from refunds.services.requests import charges_left, lock_refund, new_refund
from refunds.services.status import move_refund, reserve

CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
AMOUNT = 5000
# From where a refund begins, on which way to each status.
WAYS = {
    RefundStatus.REQUIRES_APPROVAL: [RefundStatus.REQUIRES_APPROVAL],
    RefundStatus.PENDING: [RefundStatus.PENDING],
    RefundStatus.PROCESSING: [RefundStatus.PENDING, RefundStatus.PROCESSING],
    RefundStatus.SUCCEEDED: [RefundStatus.PENDING, RefundStatus.PROCESSING, RefundStatus.SUCCEEDED],
    RefundStatus.FAILED: [RefundStatus.PENDING, RefundStatus.PROCESSING, RefundStatus.FAILED],
    RefundStatus.CANCELLED: [RefundStatus.PENDING, RefundStatus.CANCELLED],
}
PAYOUT_WAYS = {
    PayoutStatus.PENDING: [],
    PayoutStatus.HELD: [PayoutStatus.HELD],
    PayoutStatus.IN_TRANSIT: [PayoutStatus.IN_TRANSIT],
    PayoutStatus.PAID: [PayoutStatus.IN_TRANSIT, PayoutStatus.PAID],
    PayoutStatus.FAILED: [PayoutStatus.IN_TRANSIT, PayoutStatus.FAILED],
    PayoutStatus.CANCELLED: [PayoutStatus.CANCELLED],
}


@pytest.fixture
def shown(api, owner):
    """`shown("payment", id)`: the object as the API shows it to its merchant now."""
    return lambda noun, pk: api.get(f"/api/v1/{noun}s/{pk}", headers=owner).json()[noun]


def told(row: Payment | Refund | Payout) -> list[Event]:
    return list(Event.objects.filter(object_id=row.pk).order_by("sequence"))


class TestPayment:
    @pytest.fixture
    def payment_that_is(self, shop):
        def make(status):
            return Payment.objects.create(
                merchant=shop,
                customer=Customer.objects.create(merchant=shop, email="john@example.com", name="John"),
                order_id="order-1",
                order_key=order_key(shop.pk, "order-1") if status in HOLDS_ORDER else None,
                status=status,
                amount=AMOUNT,
                amount_captured=AMOUNT,
                currency="USD",
                provider="sandbox",
                expires_at=timezone.now(),
            )

        return make

    @pytest.mark.parametrize("new", Status.values)
    @pytest.mark.parametrize("old", Status.values)
    def test_tells_of_each_move_once_and_of_nothing_else(self, payment_that_is, shown, old, new):
        payment = payment_that_is(old)
        may = new in Payment.TRANSITIONS[old]
        with suppress(IllegalTransition), transaction.atomic():
            if new in HOLDS_ORDER:
                claim_order(payment)  # which goes through `processing` in the database
            move_payment(payment, new)

        payment.refresh_from_db()
        assert payment.status == (new if may else old)
        assert [(event.type, event.sequence) for event in told(payment)] == ([(f"payment.{new}", 1)] if may else [])
        for event in told(payment):
            assert json.loads(event.payload) == shown("payment", payment.pk)

    def test_has_an_event_for_every_status(self):
        assert {f"payment.{status}" for status in Status.values} <= set(EVENT_TYPES)


class TestRefund:
    @pytest.fixture
    def refund_that_is(self, pay, work):
        """A refund of all of a payment, walked there through the door."""

        def make(status):
            payment_id = pay(**CARD).json()["payment"]["id"]
            work()
            with transaction.atomic():
                payment = Payment.objects.locked(pk=payment_id)
                charge, _left = next(charges_left(payment))
                refund = new_refund(payment, charge, payment.money)
                refund.status, *way = WAYS[status]
                reserve(payment, refund)
                for step in way:
                    move_refund(payment, refund, step)
            return refund

        return make

    @pytest.mark.parametrize("new", RefundStatus.values)
    @pytest.mark.parametrize("old", RefundStatus.values)
    def test_tells_of_each_move_once_and_of_nothing_else(self, refund_that_is, shown, old, new):
        refund = refund_that_is(old)
        before = [event.type for event in told(refund)]
        may = new in Refund.TRANSITIONS.get(old, ())
        with suppress(IllegalTransition), transaction.atomic():
            payment, refund = lock_refund(refund.pk)
            move_refund(payment, refund, new)

        refund.refresh_from_db()
        events = told(refund)
        assert refund.status == (new if may else old)
        assert [event.type for event in events] == [*before, *([f"refund.{new}"] if may else [])]
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        if may:
            assert json.loads(events[-1].payload) == shown("refund", refund.pk)

    @pytest.mark.parametrize("status", RefundStatus.values)
    def test_was_told_of_from_its_creation_on(self, refund_that_is, status):
        asked = status == RefundStatus.REQUIRES_APPROVAL  # told at once, for somebody has to approve
        way = [status] if asked else WAYS[status][1:]
        assert [event.type for event in told(refund_that_is(status))] == [
            "refund.created",
            *(f"refund.{step}" for step in way),
        ]

    def test_in_full_tells_of_its_payment_once_too(self, refund_that_is, shown):
        payment = refund_that_is(RefundStatus.SUCCEEDED).payment
        assert [event.type for event in told(payment)][-2:] == ["payment.completed", "payment.refunded"]
        assert json.loads(told(payment)[-1].payload) == shown("payment", payment.pk)

    def test_has_an_event_for_every_status(self):
        assert {f"refund.{status}" for status in RefundStatus.values} <= set(EVENT_TYPES)


class TestPayout:
    @pytest.fixture
    def payout_that_is(self, shop):
        """A payout, walked there through the door; that it is told of from its creation on is in ledger/tests."""

        def make(status):
            account = BankAccount.objects.create(merchant=shop, currency="USD", account_number="1234", last4="1234")
            payout = Payout.objects.create(merchant=shop, bank_account=account, amount=AMOUNT, currency="USD")
            with transaction.atomic():
                book_payout_created(payout.pk, AMOUNT, merchant_id=shop.pk, currency="USD")
                for step in PAYOUT_WAYS[status]:
                    move_payout(payout, step)
            return payout

        return make

    @pytest.mark.parametrize("new", PayoutStatus.values)
    @pytest.mark.parametrize("old", PayoutStatus.values)
    def test_tells_of_each_move_once_and_of_nothing_else(self, payout_that_is, shown, old, new):
        payout = payout_that_is(old)
        before = [event.type for event in told(payout)]
        may = new in Payout.TRANSITIONS.get(old, ())
        with suppress(IllegalTransition), transaction.atomic():
            move_payout(lock_payout(payout.pk), new)

        payout.refresh_from_db()
        events = told(payout)
        assert payout.status == (new if may else old)
        assert [event.type for event in events] == [*before, *([f"payout.{new}"] if may else [])]
        if may:
            assert json.loads(events[-1].payload) == shown("payout", payout.pk)

    def test_has_an_event_for_every_status(self):
        assert {f"payout.{status}" for status in PayoutStatus.values} <= set(EVENT_TYPES)


# Whatever sets a status in the apps that handle money. A transaction's has no event.
DOORS = """
ledger/services/payouts.py move_payout: move_to(payout)
payments/services/status.py move_payment: move_to(payment)
payments/services/status.py claim_order: Payment.objects.filter(pk=payment.pk).update
payments/services/status.py close_transaction: move_to(txn)
payments/services/authorizations.py _begin: move_to(txn)
payments/services/outcomes.py _record: move_to(txn)
payments/services/payments.py customer_returned: move_to(txn)
payments/services/transactions.py _begin: move_to(txn)
refunds/services/status.py move_refund: move_to(refund)
refunds/services/requests.py _create: refund.status =
refunds/services/outcomes.py begin: move_to(txn)
refunds/services/outcomes.py settle: txn.status =
"""
APPS = ("checkout", "config", "ledger", "payments", "refunds")
# They write a past with its events; config/tests/test_demo_history.py holds the two together.
SAMPLES = [Path("config", f"demo_{name}.py") for name in ("history", "refunds", "payouts")]


def changes_of_status(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Each place that sets a `status`: the function around it, and what it does there."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                change = _change(node)
                if change:
                    yield function.name, change


def _change(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr == "status":
        return f"{ast.unparse(node)} ="
    if not isinstance(node, ast.Call):
        return ""
    name = ast.unparse(node.func)
    if name == "move_to":
        return f"move_to({ast.unparse(node.args[0])})"
    words = {word.value for word in ast.walk(node) if isinstance(word, ast.Constant) and isinstance(word.value, str)}
    if name.endswith(".update") and "status" in {keyword.arg for keyword in node.keywords}:
        return name
    return name if name.endswith((".bulk_update", "setattr", ".raw", ".execute")) and "status" in words else ""


def found_in(app: str) -> Iterator[str]:
    for file in sorted((settings.BASE_DIR / app).rglob("*.py")):
        path = file.relative_to(settings.BASE_DIR)
        if path not in SAMPLES and not {"tests", "migrations"} & set(path.parts):
            yield from _found_in(file, path)


def _found_in(file: Path, path: Path) -> Iterator[str]:
    for function, change in changes_of_status(ast.parse(file.read_text(encoding="utf-8"))):
        yield f"{path.as_posix()} {function}: {change}"


class TestDoors:
    def test_are_the_only_places_where_a_status_changes(self):
        found = [place for app in APPS for place in found_in(app)]
        assert sorted(found) == sorted(DOORS.strip().splitlines())

    @pytest.mark.parametrize(
        "line",
        [
            "payment.status = 'x'",
            "payment.status, other = 'x', 1",
            "rows.filter(pk=1).update(status='x', due_at=None)",
            "move_to(payment, 'x')",
            "setattr(payment, 'status', 'x')",
            "Payment.objects.bulk_update(rows, ['amount', 'status'])",
        ],
    )
    def test_are_seen_whatever_they_look_like(self, line):
        assert list(changes_of_status(ast.parse(f"def f():\n    {line}")))
