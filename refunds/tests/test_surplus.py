"""Money that may not stay: it goes back whatever its merchant does, and says nothing of the payment beside it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core import queue
from core.mail import Email
from notifications.models import Event
from payments.models import Payment
from payments.services import start_attempt
from payments.services.review import ask_again
from refunds.models import Refund
from sandbox.models import Charge, Operation
from sandbox.services import decide
from tests.books import disagreements

JSON = "application/json"


@pytest.fixture
def post(api, owner):
    return lambda path, **body: api.post(f"/api/v1/{path}", body, headers=owner, content_type=JSON)


@pytest.fixture
def cancelled(pay, post, work):
    """A payment of 50.00 that was cancelled, and whose money came all the same: it is about to go back."""
    payment_id = pay().json()["payment"]["id"]
    attempt(payment_id, "paypal", work)
    post(f"payments/{payment_id}/cancel")
    arrives("paypal", take_in)
    return Payment.objects.get()


@pytest.fixture
def twice(pay, work):
    """A payment of 50.00 that was paid, and whose transfer came on top: that is about to go back."""
    payment_id = pay().json()["payment"]["id"]
    attempt(payment_id, "bank_transfer", work)
    attempt(payment_id, "paypal", work)
    arrives("paypal", work)
    arrives("bank_transfer", take_in)
    return Payment.objects.get()


def attempt(payment_id, method, work):
    tries = Payment.objects.get(pk=payment_id).payer_attempts
    start_attempt(payment_id=payment_id, attempt=tries, method=method)
    work()


def arrives(method, work):
    decide(charge_id=Charge.objects.get(method=method).pk, approve=True)
    work()


def take_in():
    """Does what the worker would, but for refunds."""
    jobs = [task.handler for task in queue.registry.values() if task.name.startswith(("sandbox.", "payments."))]
    while sum(job() for job in jobs):
        pass


def give_back():
    """The refund of the surplus is made, and not yet asked for."""
    queue.registry["refunds.surplus"].handler()
    return Refund.objects.get(is_surplus=True)


def come_back(refund, work):
    """The provider had given the money back, and its bank sends it to us again."""
    Operation.objects.filter(key=refund.transaction_id).update(due_at=timezone.now())
    work()


def told(payment):
    return list(Event.objects.filter(object_id=payment.pk).order_by("sequence").values_list("type", flat=True))


def error_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


class TestGoesBack:
    def test_although_its_merchant_calls_that_off(self, cancelled, post, work):
        refund = give_back()
        assert error_of(post(f"refunds/{refund.pk}/cancel")) == (409, "refund_of_surplus")
        work()
        cancelled.refresh_from_db()
        assert (cancelled.status, cancelled.amount_refunded) == ("refunded", 5000)

    def test_before_its_merchant_can_take_it(self, cancelled, post, work):
        assert error_of(post(f"payments/{cancelled.pk}/refund", amount=50)) == (409, "payment_not_refundable")
        assert not Refund.objects.exists()
        work()
        assert Refund.objects.get().is_surplus

    def test_beside_what_its_merchant_gives_back(self, twice, post, work):
        assert error_of(post(f"payments/{twice.pk}/refund", amount="50.01")) == (422, "refund_too_large")
        assert post(f"payments/{twice.pk}/refund", amount=50).status_code == 201
        work()
        charges = {refund.charge.method: refund.is_surplus for refund in Refund.objects.select_related("charge")}
        assert charges == {"paypal": False, "bank_transfer": True}
        assert disagreements() == []

    @pytest.mark.parametrize("limit", [None, 100])
    def test_again_when_its_merchant_calls_off_a_refund_of_their_own(self, shop, cancelled, post, work, limit):
        shop.refund_approval_limit = limit
        shop.save()
        work()
        come_back(Refund.objects.get(), work)
        own = post(f"payments/{cancelled.pk}/refund").json()["refund"]
        assert own["status"] == ("pending" if limit is None else "requires_approval")
        assert post(f"refunds/{own['id']}/cancel").status_code == 200
        work()
        cancelled.refresh_from_db()
        assert (cancelled.amount_refunded, cancelled.amount_refund_pending) == (5000, 0)
        assert Refund.objects.filter(is_surplus=True, status="succeeded").count() == 1

    def test_again_when_a_refund_of_its_merchants_comes_back(self, cancelled, post, work):
        work()
        come_back(Refund.objects.get(), work)
        own = post(f"payments/{cancelled.pk}/refund").json()["refund"]
        work()
        come_back(Refund.objects.get(pk=own["id"]), work)
        cancelled.refresh_from_db()
        assert cancelled.amount_refunded == 5000
        assert disagreements() == []

    def test_not_again_by_itself_when_that_comes_back(self, cancelled, work, time_machine):
        work()
        refund = Refund.objects.select_related("transaction").get()
        come_back(refund, work)
        time_machine.move_to(timezone.now() + timedelta(days=5))
        work()
        assert Refund.objects.get().status == "failed"
        refund.transaction.refresh_from_db()
        assert "could not be given back" in refund.transaction.review_reason

    def test_or_stays_under_review_however_often_the_provider_is_asked(self, cancelled, post, work):
        work()
        refund = Refund.objects.select_related("transaction").get()
        come_back(refund, work)
        for by_hand in (False, True):
            if by_hand:
                post(f"payments/{cancelled.pk}/refund")
            ask_again(refund.transaction_id)
            work()
            refund.transaction.refresh_from_db()
            assert (refund.transaction.review_reason == "") == by_hand


class TestThatComesBack:
    """The payment is what it was before its surplus went: nobody is told of another success."""

    def test_leaves_a_cancelled_payment_cancelled(self, cancelled, post, work):
        work()
        come_back(Refund.objects.get(), work)
        cancelled.refresh_from_db()
        assert (cancelled.status, cancelled.amount_captured, cancelled.amount_refunded) == ("cancelled", 5000, 0)
        assert told(cancelled)[-3:] == ["payment.surplus", "payment.refunded", "payment.cancelled"]
        assert post(f"payments/{cancelled.pk}/refund").status_code == 201
        work()
        cancelled.refresh_from_db()
        assert cancelled.status == "refunded"

    def test_mails_its_payer_no_second_time(self, pay, work):
        """A payment that failed, because another had paid its order."""
        late = pay(order_id="o-1").json()["payment"]["id"]
        attempt(late, "paypal", work)
        pay(order_id="o-1", card_number="4242424242424242", card_expiry_month=12, card_expiry_year=2040)
        work()
        arrives("paypal", work)
        come_back(Refund.objects.get(), work)
        assert Payment.objects.get(pk=late).status == "failed"
        assert Email.objects.filter(template="payment_failed").count() == 1

    def test_leaves_a_payment_refunded_whose_own_charge_went_back(self, twice, post, work):
        post(f"payments/{twice.pk}/refund", amount=50)
        work()
        come_back(Refund.objects.get(is_surplus=True), work)
        twice.refresh_from_db()
        assert (twice.status, twice.amount_captured, twice.amount_refunded) == ("refunded", 10000, 5000)
        assert told(twice).count("payment.completed") == told(twice).count("payment.refunded") == 1

    def test_leaves_a_completed_payment_completed(self, twice, work):
        work()
        come_back(Refund.objects.get(), work)
        twice.refresh_from_db()
        assert (twice.status, twice.amount_refunded) == ("completed", 0)
        assert told(twice).count("payment.completed") == 1


class TestOfACompletedPayment:
    def test_is_no_part_of_a_refund_of_everything(self, twice, post, work):
        assert post(f"payments/{twice.pk}/refund").json()["refund"]["amount"] == 50
        work()
        charges = {refund.charge.method: refund.amount for refund in Refund.objects.select_related("charge")}
        assert charges == {"paypal": 5000, "bank_transfer": 5000}
        assert disagreements() == []

    def test_that_could_not_go_back_is_given_back_apart(self, twice, post, work):
        work()
        come_back(Refund.objects.get(), work)
        assert "50.00 USD" in post(f"payments/{twice.pk}/refund", amount=100).json()["message"]
        assert [post(f"payments/{twice.pk}/refund").json()["refund"]["amount"] for _each in range(2)] == [50, 50]
        assert error_of(post(f"payments/{twice.pk}/refund")) == (422, "refund_too_large")
        work()
        assert [refund.charge.method for refund in Refund.objects.order_by("pk")][1:] == ["paypal", "bank_transfer"]
        twice.refresh_from_db()
        assert (twice.status, twice.amount_refunded) == ("refunded", 10000)

    def test_does_not_keep_it_from_being_refunded(self, twice, post, work):
        refund = post(f"payments/{twice.pk}/refund", amount=50).json()["refund"]
        queue.registry["refunds.transactions"].handler()
        come_back(Refund.objects.get(pk=refund["id"]), take_in)  # slow: its provider is done only now
        queue.registry["refunds.notices"].handler()
        queue.registry["refunds.transactions"].handler()
        twice.refresh_from_db()
        assert (twice.status, twice.amount_refunded) == ("refunded", 5000)
        work()
        twice.refresh_from_db()
        assert (twice.status, twice.amount_refunded) == ("refunded", 10000)

    def test_does_not_hide_that_its_own_charge_came_back(self, twice, post, work):
        refund = post(f"payments/{twice.pk}/refund", amount=50).json()["refund"]
        work()
        come_back(Refund.objects.get(pk=refund["id"]), work)
        twice.refresh_from_db()
        assert (twice.status, twice.amount_refunded) == ("completed", 5000)

    @pytest.mark.parametrize("status", ["cancelled", "failed"])
    def test_is_no_way_to_another_status(self, twice, post, api, owner, work, status):
        post(f"payments/{twice.pk}/refund", amount=50)
        work()
        path = f"/api/v1/payments/{twice.pk}"
        assert error_of(api.patch(path, {"status": status}, headers=owner, content_type=JSON)) == (
            409,
            "illegal_transition",
        )
        assert error_of(post(f"payments/{twice.pk}/cancel")) == (409, "illegal_transition")
        assert Payment.objects.get().status == "refunded"
