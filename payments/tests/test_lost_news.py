"""Money that comes for an attempt which is given up at that moment is heard of, and goes back: nobody pays twice."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from core import queue
from ledger.verification import verify
from payments import services
from payments.models import Payment, Transaction
from payments.providers import PROVIDERS, OperationRequest, OperationResult
from payments.services import status as door
from payments.services.authorizations import NOT_RELEASED
from payments.services.review import ask_again
from sandbox import services as sandbox
from sandbox.models import Charge
from tests.books import disagreements

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(start, attempt, work):
    """A payment whose payer was sent to PayPal, or was told where to transfer to."""

    def make(method="paypal", **fields):
        payment = start(**fields)
        attempt(payment, method=method)
        work()
        return payment

    return make


@pytest.fixture
def give_up(api, owner, attempt):
    """Ways in which an attempt that waits for its payer is given up."""

    def cancel(payment):
        response = api.post(f"/api/v1/payments/{payment.pk}/cancel", {}, headers=owner, content_type="application/json")
        assert response.status_code == 200

    def expire(payment):
        Payment.objects.update(due_at=timezone.now(), expires_at=timezone.now())
        queue.registry["payments.expire"].handler()

    return {"cancelled": cancel, "expired": expire, "another": lambda payment: attempt(payment, method="paypal")}


def void_of(txn):
    return OperationRequest(txn.pk, txn.charge.provider_reference, txn.money)


def approve(**which) -> None:
    sandbox.decide(charge_id=Charge.objects.get(**which).pk, approve=True)


def hear() -> None:
    """The provider carries out what was approved, and its notices are taken in; nobody is asked about them yet."""
    for _step in range(2):
        for name in ("sandbox.settle", "payments.collect_sandbox_notices", "payments.notices"):
            queue.registry[name].handler()


def back() -> list[tuple[str, int]]:
    return list(Payment.objects.exclude(refunds=None).values_list("refunds__status", "refunds__amount"))


class TestNewsOfAnAttempt:
    @pytest.mark.parametrize("how", ["cancelled", "expired", "another"])
    def test_that_is_given_up_before_the_provider_is_asked(self, waiting, give_up, work, how):
        payment = waiting("bank_transfer", order_id="order-1")
        approve()
        hear()
        give_up[how](payment)
        work()
        if how != "another":
            assert back() == [("succeeded", 5000)]
        else:  # the payment still waits for money, so it is paid with it
            assert Payment.objects.get().status == "completed"
        assert disagreements() == []
        assert verify() == []

    def test_beside_another_that_pays(self, waiting, attempt, work):
        payment = waiting("bank_transfer")
        attempt(payment, method="paypal")
        work()
        approve(method="bank_transfer")
        approve(method="paypal")
        work()
        payment.refresh_from_db()
        assert (payment.status, payment.amount_captured, payment.amount_refunded) == ("completed", 10000, 5000)
        assert back() == [("succeeded", 5000)]
        assert disagreements() == []

    def test_about_which_the_provider_was_silent(self, waiting, give_up, work, settings, time_machine):
        payment = waiting()
        settings.SANDBOX_FAULT = "silent"
        approve()
        work()
        give_up["cancelled"](payment)
        settings.SANDBOX_FAULT = ""
        time_machine.move_to(timezone.now() + timedelta(minutes=1))
        work()
        assert back() == [("succeeded", 5000)]
        assert disagreements() == []

    def test_that_comes_while_the_provider_is_asked(self, waiting, give_up, work, monkeypatch):
        payment = waiting()
        give_up["cancelled"](payment)
        work()
        ask = PROVIDERS["sandbox"].lookup

        def ask_slowly(key):
            answer = ask(key)
            monkeypatch.undo()
            hear()
            return answer

        monkeypatch.setattr(PROVIDERS["sandbox"], "lookup", ask_slowly)
        approve()
        for name in ("payments.collect_sandbox_notices", "payments.notices", "payments.transactions"):
            queue.registry[name].handler()
        work()
        assert back() == [("succeeded", 5000)]

    def test_that_never_comes_is_asked_for_by_a_person(self, waiting, give_up, work):
        payment = waiting()
        give_up["cancelled"](payment)
        work()
        approve()
        queue.registry["sandbox.settle"].handler()
        ask_again(Transaction.objects.get().pk)
        queue.registry["payments.transactions"].handler()
        assert Payment.objects.get().surplus_due_at is not None


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_news_waits_for_whoever_gives_up_the_attempt(waiting, work, monkeypatch):
    """The notice is taken in between the cancelling's look at the transaction and its commit."""
    payment = waiting()
    close = door.close_transaction

    def hear_apart() -> None:
        approve()
        hear()
        connections.close_all()

    meanwhile = threading.Thread(target=hear_apart)

    def close_slowly(txn, status):
        monkeypatch.undo()
        meanwhile.start()
        meanwhile.join(0.5)
        assert meanwhile.is_alive()
        close(txn, status)

    monkeypatch.setattr(door, "close_transaction", close_slowly)
    services.cancel_payment(payment_id=payment.pk)
    meanwhile.join()
    work()
    assert back() == [("succeeded", 5000)]
    assert disagreements() == []


class TestAPaymentWhoseOrderIsTaken:
    def test_gives_up_the_attempt_beside_money_that_came_late(self, start, waiting, attempt, work, caplog):
        late, holder = waiting("bank_transfer", order_id="order-1"), waiting("paypal", order_id="order-1")
        services.customer_returned(payment_id=holder.pk)  # in flight from now on: it holds the order
        attempt(late, "4242424242424242")
        approve(method="bank_transfer")
        hear()
        Transaction.objects.filter(method="paypal").update(due_at=None)  # its provider is silent
        work()
        late.refresh_from_db()
        assert (late.status, late.failure_code) == ("refunded", "order_already_paid")
        assert sorted(late.transactions.filter(kind="sale").values_list("method", "status")) == [
            ("bank_transfer", "succeeded"),
            ("credit_card", "cancelled"),
        ]
        assert back() == [("succeeded", 5000)]
        assert "failed" not in caplog.text


class TestMoneyReservedTooLate:
    def test_that_is_not_released_is_left_to_a_person(self, waiting, give_up, work, monkeypatch):
        payment = waiting(capture_method="manual")
        give_up["cancelled"](payment)

        def refuse(request):
            return OperationResult("failed", request.key, "x", request.charge_reference, request.money, "try_later")

        monkeypatch.setattr(PROVIDERS["sandbox"], "void", refuse)
        approve()
        work()
        void = Transaction.objects.get(kind="void")
        assert (void.status, void.review_reason) == ("failed", NOT_RELEASED)
        monkeypatch.setattr(PROVIDERS["sandbox"], "lookup_operation", lambda key: refuse(void_of(void)))
        for released, reason in ((False, NOT_RELEASED), (True, "")):
            if released:
                sandbox.void_charge(key="by-hand", charge_id=Charge.objects.get().pk)
            ask_again(void.pk)
            work()
            void.refresh_from_db()
            assert (void.status, void.review_reason) == ("failed", reason)
