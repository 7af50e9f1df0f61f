"""A payer announces a transfer, then tries a card, and the transfer arrives all the same."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core import queue
from ledger.verification import verify
from payments.models import Transaction
from sandbox import services as sandbox
from sandbox.models import Charge
from tests.books import disagreements

pytestmark = pytest.mark.django_db

DECLINED, THREE_D_SECURE = "4000000000000002", "4000002500003155"


@pytest.fixture
def arrives(work):
    """`arrives(payment)`: the announced transfer, or with another method what was tried by that."""

    def approve(payment, method="bank_transfer"):
        key = Transaction.objects.get(payment=payment, method=method).pk
        sandbox.decide(charge_id=Charge.objects.get(key=key).pk, approve=True)
        work()
        payment.refresh_from_db()

    return approve


@pytest.fixture
def announced(start, attempt, work):
    """A payment whose payer has been shown where to transfer to."""

    def make(**fields):
        payment = start(**fields)
        attempt(payment, method="bank_transfer")
        work()
        return payment

    return make


class TestATransferThatArrives:
    @pytest.mark.parametrize(("capture", "status"), [("automatic", "completed"), ("manual", "authorized")])
    def test_calls_off_an_attempt_that_was_not_begun(self, announced, attempt, arrives, caplog, capture, status):
        payment = announced(capture_method=capture)
        charge = Charge.objects.get()
        sandbox.decide(charge_id=charge.pk, approve=True)
        queue.registry["sandbox.settle"].handler()
        attempt(payment, THREE_D_SECURE)
        for name in ("payments.collect_sandbox_notices", "payments.notices"):
            queue.registry[name].handler()
        Transaction.objects.filter(method="bank_transfer").update(due_at=payment.created_at)  # goes first
        arrived = Transaction.objects.get(method="bank_transfer")
        queue.run_due()
        payment.refresh_from_db()
        assert payment.status == status
        assert payment.transactions.exclude(pk=arrived.pk).get().status == "cancelled"
        assert Charge.objects.count() == 1
        assert "failed" not in caplog.text

    @pytest.mark.parametrize(("capture", "status"), [("automatic", "completed"), ("manual", "authorized")])
    def test_calls_off_an_attempt_that_waits_for_the_payer(self, announced, attempt, arrives, work, capture, status):
        payment = announced(capture_method=capture)
        attempt(payment, THREE_D_SECURE)
        work()
        arrives(payment)
        assert payment.status == status
        assert not Transaction.objects.filter(open_for=payment.pk).exists()

    @pytest.mark.parametrize(("capture", "status"), [("automatic", "completed"), ("manual", "authorized")])
    def test_calls_off_an_attempt_of_which_its_provider_tells_later_that_the_payer_has_to_act(
        self, announced, attempt, arrives, work, settings, time_machine, caplog, capture, status
    ):
        payment = announced(capture_method=capture)
        settings.SANDBOX_FAULT = "silent"
        attempt(payment, method="paypal")
        work()
        settings.SANDBOX_FAULT = ""
        arrives(payment)
        time_machine.move_to(timezone.now() + timedelta(minutes=1))
        work()
        payment.refresh_from_db()
        assert payment.status == status
        assert not Transaction.objects.filter(open_for=payment.pk).exists()
        arrives(payment, "paypal")
        assert (payment.status, verify()) == (status, [])
        assert disagreements() == []
        assert "failed" not in caplog.text

    def test_is_released_when_its_payment_has_failed(self, announced, attempt, arrives, work, caplog):
        payment = announced(capture_method="manual")
        for _try in range(4):
            attempt(payment, DECLINED)
            work()
        arrives(payment)
        assert payment.status == "failed"
        assert Charge.objects.get(method="bank_transfer").status == "cancelled"
        assert "failed" not in caplog.text
