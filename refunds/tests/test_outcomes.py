"""What a refund makes of answers that come late, twice or against each other, and of money that came too often."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from notifications.models import Event
from payments.models import Payment, Transaction
from payments.providers import PROVIDERS
from payments.services import start_attempt
from refunds.models import Refund
from refunds.services import return_surplus
from refunds.services.outcomes import apply_refund
from sandbox.models import Charge, Operation
from sandbox.services import decide
from tests.books import disagreements

JSON = "application/json"
CARD = {"card_expiry_month": 12, "card_expiry_year": 2030}
AT_ONCE, SLOW, FAILS_LATER = "4242424242424242", "4000000000007726", "4000000000005126"


@pytest.fixture
def paid(pay, work):
    """`paid(number)` is a payment of 50.00 that went through."""

    def make(number=AT_ONCE, **fields):
        payment_id = pay(card_number=number, **CARD, **fields).json()["payment"]["id"]
        work()
        return Payment.objects.get(pk=payment_id)

    return make


@pytest.fixture
def refund(api, owner):
    def post(payment, **body):
        path = f"/api/v1/payments/{payment.pk}/refund"
        answer = api.post(path, body, headers=owner, content_type=JSON)
        return Refund.objects.select_related("transaction").get(pk=answer.json()["refund"]["id"])

    return post


def answer_about(refund):
    return PROVIDERS["sandbox"].lookup_operation(refund.transaction_id)


def told(row):
    return list(Event.objects.filter(object_id=row.pk).order_by("sequence").values_list("type", flat=True))


def due(refund):
    Transaction.objects.filter(pk=refund.transaction_id).update(due_at=timezone.now())


class TestAnswers:
    def test_that_come_twice_change_nothing(self, paid, refund, work):
        row = refund(paid(), amount=20)
        work()
        before = told(row)
        for _again in range(3):
            apply_refund(row.pk, answer_about(row))
        assert Payment.objects.get().amount_refunded == 2000
        assert told(row) == before

    def test_of_a_success_after_a_failure_are_left_to_a_person(self, paid, refund, work):
        row = refund(paid(FAILS_LATER), amount=20)
        work()
        success = answer_about(row)
        Operation.objects.update(due_at=timezone.now())
        work()
        apply_refund(row.pk, success)
        row.refresh_from_db()
        assert row.status == "failed"
        assert Payment.objects.get().amount_refunded == 0
        assert "after it had failed" in Transaction.objects.get(kind="refund").review_reason

    def test_of_another_operation_are_not_believed(self, paid, refund, work):
        row = refund(paid(SLOW), amount=20)
        work()
        answer = answer_about(row)
        for strange in ({"key": "txn_x"}, {"charge_reference": "ch_x"}):
            apply_refund(row.pk, replace(answer, status="failed", **strange))
        row.refresh_from_db()
        assert row.status == "succeeded"
        assert "another operation or charge" in Transaction.objects.get(kind="refund").review_reason

    def test_that_cross_with_news_are_asked_for_again(self, paid, refund, work):
        row = refund(paid(FAILS_LATER), amount=20)
        work()
        success = answer_about(row)
        Refund.objects.update(status="processing")
        Transaction.objects.filter(kind="refund").update(status="processing")
        Payment.objects.update(amount_refunded=0, amount_refund_pending=2000)
        due(row)  # the notice of the late failure comes while the worker has the success in its hands
        apply_refund(row.pk, success)
        assert Transaction.objects.get(kind="refund").due_at is not None

    @pytest.mark.parametrize("fault", ["silent", "down", "garbage"])
    def test_of_a_late_failure_are_asked_for_until_the_provider_gives_them(self, paid, refund, work, settings, fault):
        row = refund(paid(FAILS_LATER), amount=20)
        work()
        Operation.objects.update(due_at=timezone.now())
        settings.SANDBOX_FAULT = fault
        work()
        settings.SANDBOX_FAULT = ""
        row.refresh_from_db()
        assert row.status == "succeeded"
        with time_machine.travel(timezone.now() + timedelta(hours=6)):
            work()
        row.refresh_from_db()
        assert row.status == "failed"

    def test_that_the_provider_has_lost_end_the_asking(self, paid, refund, work):
        row = refund(paid(), amount=20)
        work()
        Operation.objects.all().delete()
        due(row)
        work()
        txn = Transaction.objects.get(kind="refund")
        assert (txn.status, txn.due_at) == ("succeeded", None)
        assert not Operation.objects.exists()


def authorized_twice(pay, work):
    """By a transfer, and by PayPal, which comes too late and is released."""
    payment_id = pay(capture_method="manual").json()["payment"]["id"]
    announce(payment_id, work)
    start_attempt(payment_id=payment_id, attempt=1, method="paypal")
    work()
    arrives("bank_transfer", work)
    arrives("paypal", work)
    return payment_id


class TestCharge:
    def test_that_was_captured_is_refunded_not_a_newer_one_that_was_voided(self, api, owner, pay, refund, work):
        payment_id = authorized_twice(pay, work)
        path = f"/api/v1/payments/{payment_id}/capture"
        assert api.post(path, {"amount": 20}, headers=owner, content_type=JSON).status_code == 201
        row = refund(Payment.objects.get())
        work()
        row.refresh_from_db()
        assert (row.charge.method, row.status) == ("bank_transfer", "succeeded")
        assert disagreements() == []

    def test_and_comes_back_is_no_less_though_another_came_too_late(self, api, owner, pay, refund, work):
        payment_id = authorized_twice(pay, work)
        assert (
            api.post(f"/api/v1/payments/{payment_id}/capture", {}, headers=owner, content_type=JSON).status_code == 201
        )
        row = refund(Payment.objects.get())
        work()
        assert Payment.objects.get().status == "refunded"
        apply_refund(row.pk, replace(answer_about(row), status="failed", failure_code="refund_failed"))
        assert (Payment.objects.get().status, Payment.objects.get().amount_refunded) == ("completed", 0)


class TestDispute:
    def test_blocks_an_approval(self, api, member, shop, paid, refund):
        shop.refund_approval_limit = 1
        shop.save()
        row = refund(paid())
        Payment.objects.update(amount_disputed=100)
        answer = api.post(
            f"/api/v1/refunds/{row.pk}/approve", content_type="application/json", headers=member("finance")
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "payment_disputed")


class TestSurplus:
    @pytest.fixture
    def late(self, pay, paid, work):
        """A payment whose money came after another had paid its order."""

        def make(number="4000002500003155") -> Payment:
            late = pay(card_number=number, **CARD, order_id="o-1").json()["payment"]["id"]
            work()
            paid(order_id="o-1")
            charge = Charge.objects.get(key=Transaction.objects.get(payment_id=late).pk)
            decide(charge_id=charge.pk, approve=True)
            work()
            return Payment.objects.get(pk=late)

        return make

    def test_that_comes_back_leaves_the_payment_and_calls_a_person(self, late):
        payment = late()
        row = Refund.objects.get(payment=payment)
        answer = replace(answer_about(row), status="failed", failure_code="refund_failed")
        apply_refund(row.pk, answer)
        payment.refresh_from_db()
        assert (payment.status, payment.amount_refunded) == ("failed", 0)
        assert told(payment)[-3:] == ["payment.failed", "payment.refunded", "payment.failed"]
        assert "could not be given back" in Transaction.objects.get(pk=row.transaction_id).review_reason

    def test_that_came_back_may_be_given_back_by_hand(self, late, refund, work):
        payment = late()
        row = Refund.objects.get(payment=payment)
        apply_refund(row.pk, replace(answer_about(row), status="failed", failure_code="refund_failed"))
        Operation.objects.update(status="failed", failure_code="refund_failed")
        Charge.objects.update(amount_refunded=0)
        again = refund(payment)
        work()
        payment.refresh_from_db()
        assert (again.amount, payment.amount_refunded) == (5000, 5000)

    def test_on_top_of_a_refund_is_all_that_goes_back(self, pay, paid, refund, work):
        """A payment that was paid twice and half given back keeps the other half."""
        payment_id = pay().json()["payment"]["id"]
        transfer_then_card(payment_id, work)
        payment = Payment.objects.get(pk=payment_id)
        assert (payment.status, payment.amount_captured) == ("completed", 10000)
        refund(payment, amount=25)
        payment.refresh_from_db()
        assert (payment.amount_refunded, payment.amount_refund_pending) == (5000, 2500)
        for _again in range(3):
            Payment.objects.update(surplus_due_at=timezone.now() - timedelta(seconds=1))
            assert return_surplus(payment_id) == []
            work()
        payment.refresh_from_db()
        assert (payment.status, payment.amount_refunded) == ("completed", 7500)
        assert disagreements() == []

    @pytest.mark.parametrize("transfer_first", [True, False])
    def test_on_top_of_a_part_that_was_captured_is_the_whole_transfer(self, api, owner, pay, work, transfer_first):
        """What was captured stays, all of it and nothing else, and can still be refunded."""
        payment_id = pay().json()["payment"]["id"]
        announce(payment_id, work)
        Payment.objects.update(capture_method="manual")  # from here on, so that the transfer is a sale
        start_attempt(payment_id=payment_id, attempt=1, method="paypal")
        work()
        for method in ("paypal", "bank_transfer") if transfer_first else ("paypal",):
            arrives(method, work)
        path = f"/api/v1/payments/{payment_id}"
        assert api.post(f"{path}/capture", {"amount": 20}, headers=owner, content_type=JSON).status_code == 201
        if not transfer_first:
            arrives("bank_transfer", work)

        payment = api.get(path, headers=owner).json()["payment"]
        assert (payment["status"], payment["amount_captured"], payment["amount_refunded"]) == ("completed", 70, 50)
        assert Refund.objects.get().charge.method == "bank_transfer"
        assert api.post(f"{path}/refund", {}, headers=owner, content_type=JSON).json()["refund"]["amount"] == 20
        work()
        assert api.get(path, headers=owner).json()["payment"]["status"] == "refunded"
        assert disagreements() == []

    def test_of_two_charges_goes_back_to_each(self, pay, work):
        payment_id = pay().json()["payment"]["id"]
        transfer_then_card(payment_id, work)
        Refund.objects.all().delete()
        Payment.objects.update(
            status="cancelled", completed_at=None, amount_refunded=0, surplus_due_at=timezone.now(), order_key=None
        )
        Transaction.objects.update(is_surplus=True)
        rows = return_surplus(payment_id)
        assert [row.amount for row in rows] == [5000, 5000]
        assert rows[0].charge != rows[1].charge
        assert return_surplus(payment_id) == []
        assert Payment.objects.get().surplus_due_at is None


def transfer_then_card(payment_id, work):
    """Announces a transfer, pays by card all the same, and then the transfer arrives."""
    announce(payment_id, work)
    start_attempt(payment_id=payment_id, attempt=1, method="paypal")
    work()
    arrives("paypal", work)
    arrives("bank_transfer", work)


def announce(payment_id, work):
    start_attempt(payment_id=payment_id, attempt=0, method="bank_transfer")
    work()


def arrives(method, work):
    decide(charge_id=Charge.objects.get(method=method).pk, approve=True)
    work()
