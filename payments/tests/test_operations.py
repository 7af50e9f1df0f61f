"""What the provider says to a capture or a void, and what becomes of the payment."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core.queue import LEASE, run_due
from payments.models import Payment, Transaction
from payments.providers import OperationResult
from payments.services.authorizations import apply_operation
from payments.tests.conftest import error_of, told
from sandbox import services as sandbox
from sandbox.models import Charge, Operation
from tests.books import disagreements

FAULTS = ["silent", "down", "garbage"]


def operation():
    return Transaction.objects.get(kind__in=["capture", "void"])


def ask_again():
    Transaction.objects.filter(open_for__isnull=False).update(due_at=timezone.now())
    run_due()


@pytest.mark.parametrize(("verb", "status"), [("capture", "completed"), ("cancel", "cancelled")])
class TestProvider:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_that_does_not_answer_is_asked_again_and_does_it_once(
        self, authorized, post, read, settings, fault, verb, status
    ):
        payment_id = authorized()
        settings.SANDBOX_FAULT = fault
        assert post(verb, payment_id).json()["payment"]["status"] == "authorized"
        settings.SANDBOX_FAULT = ""
        for second in ("capture", "cancel"):
            assert error_of(post(second, payment_id)) == (409, "payment_in_flight")
        ask_again()
        assert read(payment_id)["status"] == status
        assert Operation.objects.count() == 1
        assert disagreements() == []

    def test_is_asked_by_the_worker_when_whoever_began_is_gone(
        self, authorized, post, read, monkeypatch, time_machine, verb, status
    ):
        payment_id = authorized()
        for module in ("authorizations", "changes"):
            monkeypatch.setattr(f"payments.services.{module}.run_operation", lambda txn: None)
        assert post(verb, payment_id).json()["payment"]["status"] == "authorized"
        run_due()
        assert read(payment_id)["status"] == "authorized"
        time_machine.move_to(timezone.now() + LEASE + timedelta(seconds=1))
        run_due()
        assert read(payment_id)["status"] == status

    def test_that_has_released_the_money_by_itself_is_believed(self, authorized, post, read, verb, status):
        payment_id = authorized()
        sandbox.void_charge(key="by-the-bank", charge_id=Charge.objects.get().pk)
        post(verb, payment_id)
        payment = read(payment_id)
        assert (payment["status"], payment["cancellation_reason"]) == ("cancelled", "void")
        assert (operation().status, operation().provider_code) == ("failed", "charge_not_authorized")

    def test_that_took_money_unasked_is_left_to_a_person(self, authorized, post, read, verb, status):
        payment_id = authorized()
        sandbox.capture_charge(key="by-hand", charge_id=Charge.objects.get().pk, amount=4000)
        post(verb, payment_id)
        assert (read(payment_id)["status"], read(payment_id)["amount_captured"]) == ("authorized", 0)
        assert "40.00 USD" in operation().review_reason
        assert error_of(post(verb, payment_id)) == (409, "payment_in_flight")

    def test_that_refuses_leaves_the_payment_as_it_was(self, authorized, post, read, monkeypatch, verb, status):
        payment_id = authorized()
        with monkeypatch.context() as patch:
            patch.setattr("sandbox.services.WORK", dict.fromkeys(sandbox.WORK, lambda charge, operation: "declined"))
            post(verb, payment_id)
        payment = read(payment_id)
        assert (payment["status"], payment["cancellation_reason"], payment["failure"]) == ("authorized", None, None)
        assert (operation().failure_code, operation().provider_code) == ("processing_error", "declined")
        assert post(verb, payment_id).json()["payment"]["status"] == status

    def test_that_speaks_of_another_amount_is_not_believed(self, authorized, post, read, settings, verb, status):
        payment_id = authorized()
        settings.SANDBOX_FAULT = "silent"
        post(verb, payment_id)
        settings.SANDBOX_FAULT = ""
        Operation.objects.update(amount=999)
        ask_again()
        assert (read(payment_id)["status"], read(payment_id)["amount_captured"]) == ("authorized", 0)
        assert "9.99 USD" in operation().review_reason


class TestAnswer:
    """What a provider says of a capture that is in flight, whoever brings it."""

    @pytest.fixture
    def txn(self, authorized, capture, settings):
        payment_id = authorized()
        settings.SANDBOX_FAULT = "down"
        capture(payment_id)
        return operation()

    @pytest.fixture
    def say(self, txn):
        def bring(status):
            result = OperationResult(status, txn.pk, "cap_1", txn.charge.provider_reference, txn.money)
            apply_operation(txn.pk, result)
            txn.refresh_from_db()
            return txn.status, txn.payment.status, Payment.objects.get().amount_captured

        return bring

    def test_that_it_is_still_at_work_keeps_it_in_flight(self, txn, say):
        assert say("processing") == ("processing", "authorized", 0)
        assert (txn.open_for, txn.due_at > timezone.now()) == (txn.payment_id, True)

    def test_told_twice_or_taken_back_changes_nothing(self, txn, say):
        say("succeeded")
        for status in ("succeeded", "failed", "processing"):
            assert say(status)[::2] == ("succeeded", 10000)
            assert (txn.open_for, txn.due_at) == (None, None)
        assert told(txn.payment_id).count("payment.completed") == 1
