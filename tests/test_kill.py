"""A worker that is killed loses nothing and charges nobody twice.

The worker is killed (SIGKILL) before its first database statement, then before its second, and so on to the last:
between any two there is every step that it can be killed at, the calls to the sandbox among them.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
from django.db import connection, connections
from django.utils import timezone

from core import queue
from core.state import IllegalTransition
from ledger import tasks as ledger
from ledger.models import BankAccount, Payout, Settlement
from ledger.services import create_payout
from ledger.verification import verify
from notifications.models import Event
from payments.models import Payment, ProviderNotice, Transaction
from payments.services import PaymentInFlight, capture_payment, change_payment, collect_sandbox_notices
from refunds import tasks as refunds
from refunds.models import Refund
from sandbox import tasks as sandbox
from sandbox.models import Charge, Operation, Transfer
from tests.books import disagreements

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"),  # the child runs this thread alone
]

MOST_STATEMENTS = 300


@pytest.fixture
def pay_by_card(pay):
    def send(number: str, order_id: str) -> Payment:
        response = pay(card_number=number, card_expiry_month=12, card_expiry_year=2040, order_id=order_id)
        return Payment.objects.get(pk=response.json()["payment"]["id"])

    return send


def work_until_killed_before(statement: int, work: Callable[[], int] = queue.run_due) -> bool:
    """Runs the queues in a process of its own that is killed; answers whether there was so much to do."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        os.environ.pop("PYTEST_CURRENT_TEST", None)
        _work_and_die(statement, work)
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _work_and_die(statement: int, work: Callable[[], int]) -> None:
    left = statement

    def count(execute, sql, params, many, context):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        work()
    os._exit(0)


def restart_worker_after_the_leases() -> None:
    for model in (Transaction, ProviderNotice, Charge):
        model.objects.filter(due_at__isnull=False).update(due_at=timezone.now())
    queue.run_due()


@pytest.mark.parametrize(
    ("number", "status", "told"),
    [
        ("4242424242424242", "completed", ["payment.created", "payment.processing", "payment.completed"]),
        ("4000000000000002", "failed", ["payment.created", "payment.processing", "payment.failed"]),
    ],
)
class TestKilledWorker:
    def test_ends_every_payment_as_the_sandboxs_books_say_with_one_charge_each(self, pay_by_card, number, status, told):
        for point in range(1, MOST_STATEMENTS):
            payment = pay_by_card(number, order_id=f"order-{point}")
            killed = work_until_killed_before(point)
            restart_worker_after_the_leases()

            payment.refresh_from_db()
            charge = Charge.objects.get(key__in=payment.transactions.values("pk"))
            events = Event.objects.filter(object_id=payment.pk).order_by("sequence")
            assert payment.status == status, point
            assert payment.amount_captured == charge.amount_captured == (payment.amount if status == "completed" else 0)
            assert [event.type for event in events] == told, point
            assert [event.sequence for event in events] == [1, 2, 3], point
            if not killed:
                assert point > 20, "the worker did too little to be killed at"
                return
        pytest.fail("the worker never came to an end")


@pytest.mark.parametrize(("verb", "status"), [("capture", "completed"), ("cancel", "cancelled")])
class TestKilledOnTheWayToTheProvider:
    def test_loses_no_capture_or_void_and_repeats_none(self, pay, verb, status):
        """Here it is the web process that is killed; the merchant sends the same request again."""
        for point in range(1, MOST_STATEMENTS):
            card = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
            payment = Payment.objects.get(pk=pay(**card, capture_method="manual").json()["payment"]["id"])
            queue.run_due()
            ask = partial(ask_for, verb, payment, key=f"{point:064}")
            killed = work_until_killed_before(point, ask)
            with suppress(IllegalTransition, PaymentInFlight):
                ask()
            restart_worker_after_the_leases()

            payment.refresh_from_db()
            told = Event.objects.filter(object_id=payment.pk).order_by("sequence").values_list("type", flat=True)
            assert payment.status == status, point
            assert list(told)[2:] == ["payment.authorized", f"payment.{status}"], point
            assert Operation.objects.count() == point
            if not killed:
                assert point > 20, "the request did too little to be killed at"
                assert disagreements() == []
                return
        pytest.fail("the request never came to an end")


def ask_for(verb: str, payment: Payment, *, key: str) -> None:
    if verb == "capture":
        capture_payment(payment, key=key)
    else:
        change_payment(payment, status="cancelled")


def give_back() -> int:
    """What the worker does for refunds."""
    return refunds.run_refunds() + collect_sandbox_notices() + refunds.handle_notices()


class TestKilledRefund:
    def test_ends_every_refund_with_one_operation_each(self, api, owner, pay_by_card):
        payment = pay_by_card("4242424242424242", order_id="order-1")
        queue.run_due()
        for point in range(1, MOST_STATEMENTS):
            path = f"/api/v1/payments/{payment.pk}/refund"
            body = api.post(path, {"amount": "0.01"}, headers=owner, content_type="application/json").json()
            killed = work_until_killed_before(point, give_back)
            restart_worker_after_the_leases()

            refund = Refund.objects.get(pk=body["refund"]["id"])
            told = Event.objects.filter(object_id=refund.pk).order_by("sequence").values_list("type", flat=True)
            assert refund.status == "succeeded", point
            assert list(told) == ["refund.created", "refund.processing", "refund.succeeded"], point
            assert Operation.objects.count() == point
            assert disagreements() == [], point
            if not killed:
                assert point > 20, "the worker did too little to be killed at"
                return
        pytest.fail("the worker never came to an end")


def pay_out() -> int:
    """What the worker does for a payout from beginning to end, with all the waiting over."""
    done = 0
    for model in (Payout, Transfer, Payout):
        model.objects.filter(due_at__isnull=False).update(due_at=timezone.now())
        done += ledger.run_payouts() + sandbox.settle()
    return done


class TestKilledPayout:
    def test_ends_every_payout_with_one_transfer_each(self, shop, pay_by_card):
        pay_by_card("4242424242424242", order_id="order-1")
        queue.run_due()
        Settlement.objects.update(due_at=timezone.now())
        ledger.run_settlements()
        BankAccount.objects.create(
            merchant=shop, currency="USD", in_use_for=f"{shop.pk} USD", account_number="000123456789", last4="6789"
        )
        for point in range(1, MOST_STATEMENTS):
            payout, _replayed = create_payout(shop, currency="USD", amount="0.01")
            killed = work_until_killed_before(point, pay_out)
            pay_out()

            payout.refresh_from_db()
            told = Event.objects.filter(object_id=payout.pk).order_by("sequence").values_list("type", flat=True)
            assert payout.status == "paid", point
            assert list(told) == ["payout.created", "payout.in_transit", "payout.paid"], point
            assert Transfer.objects.count() == point
            Payout.objects.update(due_at=None)  # nobody asks whether it comes back
            if not killed:
                assert point > 20, "the worker did too little to be killed at"
                assert verify() == []
                return
        pytest.fail("the worker never came to an end")
