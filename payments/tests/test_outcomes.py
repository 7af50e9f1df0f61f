"""Every answer a provider may give about a payment, and every silence."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from core.money import Money
from notifications.models import Event
from payments import services
from payments.models import Payment, Transaction
from payments.providers import Result
from payments.services.notices import store_notice
from sandbox import services as sandbox
from sandbox.models import Charge
from tests.deadlocks import deadlock_at

pytestmark = pytest.mark.django_db

GOOD, DECLINED, THREE_D_SECURE = "4242424242424242", "4000000000000002", "4000002500003155"


def told(payment: Payment) -> list[str]:
    events = Event.objects.filter(object_id=payment.pk).order_by("sequence")
    return [event.type.removeprefix("payment.") for event in events]


def result_of(txn: Transaction, status: str = "succeeded", **changes) -> Result:
    captured = txn.amount if status == "succeeded" else 0
    fields = {"status": status, "key": txn.pk, "reference": "ch_1", "account": txn.merchant_id, "money": txn.money}
    return Result(**{**fields, "captured": captured, **changes})


@pytest.mark.django_db(transaction=True)
class TestADeadlock:
    @pytest.mark.parametrize("table", ["ledger_journal", "notifications_event"])
    def test_loses_no_answer(self, start, work, table):
        payment = start(GOOD)
        with deadlock_at("INSERT", table):
            work()

        payment.refresh_from_db()
        assert payment.status == "completed"
        assert payment.transactions.get().last_error == ""


class TestSilence:
    @pytest.mark.parametrize("fault", ["silent", "down", "garbage"])
    def test_leaves_the_payment_processing_and_asks_again(self, start, work, settings, fault):
        payment = start(GOOD)
        settings.SANDBOX_FAULT = fault
        work()

        txn = payment.transactions.get()
        payment.refresh_from_db()
        assert (payment.status, txn.status) == ("processing", "processing")
        assert txn.last_error
        assert txn.due_at > timezone.now()

    @pytest.mark.parametrize("fault", ["silent", "down", "garbage"])
    def test_ends_in_one_charge_once_the_provider_answers_again(self, start, work, settings, fault):
        payment = start(GOOD)
        settings.SANDBOX_FAULT = fault
        work()
        settings.SANDBOX_FAULT = ""
        with time_machine.travel(timezone.now() + timedelta(minutes=1)):
            work()

        payment.refresh_from_db()
        assert payment.status == "completed"
        assert Charge.objects.filter(key=payment.transactions.get().pk).count() == 1

    def test_of_three_days_is_left_to_a_person(self, start, work, settings):
        payment = start(GOOD)
        settings.SANDBOX_FAULT = "down"
        work()
        with time_machine.travel(timezone.now() + timedelta(hours=73)):
            work()

        txn = payment.transactions.get()
        assert txn.due_at is None
        assert txn.review_reason

    def test_that_a_notice_breaks_ends_the_review(self, start, work, settings):
        payment = start(GOOD)
        txn = payment.transactions.get()
        settings.SANDBOX_FAULT = "silent"
        work()
        payment.transactions.update(review_reason="The provider has not told the outcome.")
        settings.SANDBOX_FAULT = ""
        store_notice(provider="sandbox", event_id="n", kind="payment", type="charge.succeeded", transaction_id=txn.pk)
        work()

        assert payment.transactions.get().status == "succeeded"
        assert payment.transactions.get().review_reason == ""

    @pytest.mark.parametrize("fault", ["silent", "down", "garbage"])
    def test_over_the_news_of_a_cancelled_payment_loses_no_late_success(self, start, work, settings, fault):
        payment = start(THREE_D_SECURE)
        work()
        charge = Charge.objects.get(key=payment.transactions.get().pk)
        services.cancel_payment(payment_id=payment.pk)
        sandbox.decide(charge_id=charge.pk, approve=True)
        settings.SANDBOX_FAULT = fault
        with time_machine.travel(timezone.now() + timedelta(days=4)):
            work()
            settings.SANDBOX_FAULT = ""
        with time_machine.travel(timezone.now() + timedelta(days=5)):
            work()

        payment.refresh_from_db()
        assert (payment.status, payment.amount_captured, payment.amount_refunded) == ("refunded", 5000, 5000)

    def test_shorter_than_the_timeout_is_only_slow(self, start, work, settings):
        settings.SANDBOX_FAULT = "slow"
        payment = start(GOOD)
        work()
        payment.refresh_from_db()
        assert payment.status == "completed"

    def test_blocks_another_attempt_and_a_cancellation(self, start, attempt, work, settings):
        payment = start()
        attempt(payment, GOOD)
        settings.SANDBOX_FAULT = "silent"
        work()

        attempt(payment, GOOD)
        assert payment.transactions.count() == 1
        with pytest.raises(services.payments.PaymentInFlight):
            services.cancel_payment(payment_id=payment.pk, reason="requested_by_customer")


class TestForeignAnswer:
    @pytest.mark.parametrize(
        "change",
        [
            {"money": Money(4999, "USD")},
            {"money": Money(5000, "EUR")},
            {"account": "mer_another"},
            {"key": "txn_another"},
            {"captured": 4999},
        ],
    )
    def test_is_parked_and_never_completes_the_payment(self, start, work, change):
        payment = start(GOOD)
        services.transactions._begin(payment.transactions.get().pk)
        txn = payment.transactions.get()
        services.apply_result(txn.pk, result_of(txn, **change))

        txn.refresh_from_db()
        payment.refresh_from_db()
        assert (payment.status, payment.amount_captured) == ("processing", 0)
        assert txn.review_reason
        assert txn.due_at is None

    def test_with_another_reference_than_before_is_parked(self, start):
        payment = start(THREE_D_SECURE)
        services.run_transaction(payment.transactions.get())
        txn = payment.transactions.get()
        services.apply_result(
            txn.pk, result_of(txn, "requires_action", reference="ch_1", next_action={"type": "redirect"})
        )
        txn.refresh_from_db()
        services.apply_result(txn.pk, result_of(txn, reference="ch_2"))

        txn.refresh_from_db()
        assert "reference" in txn.review_reason


class TestOldNews:
    def test_told_twice_changes_nothing(self, start, work):
        payment = start(GOOD)
        work()
        txn = payment.transactions.get()
        before = told(payment)
        services.apply_result(txn.pk, result_of(txn, reference=txn.provider_reference))

        payment.refresh_from_db()
        assert (payment.status, payment.amount_captured) == ("completed", 5000)
        assert told(payment) == before == ["created", "processing", "completed"]

    @pytest.mark.parametrize("status", ["processing", "requires_action", "failed", "cancelled"])
    def test_after_success_is_ignored(self, start, work, status):
        payment = start(GOOD)
        work()
        txn = payment.transactions.get()
        services.apply_result(txn.pk, result_of(txn, status, reference=txn.provider_reference))

        payment.refresh_from_db()
        assert payment.status == "completed"


class TestLateSuccess:
    def test_completes_a_payment_that_had_failed(self, start, work):
        payment = start(DECLINED)
        work()
        txn = payment.transactions.get()
        services.apply_result(txn.pk, result_of(txn, reference=txn.provider_reference))

        payment.refresh_from_db()
        assert (payment.status, payment.amount_captured, payment.failure_code) == ("completed", 5000, "")

    def test_on_a_cancelled_payment_is_surplus(self, start, work):
        payment = start(THREE_D_SECURE)
        work()
        services.cancel_payment(payment_id=payment.pk, reason="requested_by_customer")
        txn = payment.transactions.get()
        services.apply_result(txn.pk, result_of(txn, reference=txn.provider_reference))

        payment.refresh_from_db()
        assert (payment.status, payment.amount_captured) == ("cancelled", 5000)
        assert payment.surplus_due_at
        assert told(payment)[-1] == "surplus"

    def test_on_a_paid_order_is_surplus_and_goes_back(self, decide, start, work):
        waiting = start(THREE_D_SECURE, order_id="o-1")
        work()
        paid = start(GOOD, order_id="o-1")
        work()
        decide(waiting, approve=True)
        work()

        paid.refresh_from_db()
        waiting.refresh_from_db()
        assert paid.status == "completed"
        assert (waiting.status, waiting.failure_code) == ("refunded", "order_already_paid")
        assert (waiting.amount_captured, waiting.amount_refunded) == (5000, 5000)
        assert told(waiting)[-3:] == ["surplus", "failed", "refunded"]


class TestDecline:
    def test_of_a_card_in_the_request_fails_the_payment(self, start, work):
        payment = start(DECLINED)
        work()
        payment.refresh_from_db()
        assert (payment.status, payment.failure_code, payment.due_at) == ("failed", "card_declined", None)

    def test_on_the_checkout_page_leaves_it_open_for_another_try(self, start, attempt, work):
        payment = start()
        attempt(payment, DECLINED)
        work()
        payment.refresh_from_db()
        assert (payment.status, payment.failure_code) == ("pending", "card_declined")
        attempt(payment, GOOD)
        work()
        payment.refresh_from_db()
        assert (payment.status, payment.failure_code) == ("completed", "")

    def test_is_final_the_fifth_time(self, start, attempt, work):
        payment = start()
        for _n in range(5):
            attempt(payment, DECLINED)
            work()
        payment.refresh_from_db()
        assert (payment.status, payment.payer_attempts) == ("failed", 5)
        with pytest.raises(services.NotPayable):
            attempt(payment, GOOD)

    def test_shows_the_exact_reason_only_in_the_transaction(self, start, work):
        payment = start("4000000000009979")
        work()
        payment.refresh_from_db()
        assert payment.failure_code == "card_declined"
        assert payment.transactions.get().provider_code == "stolen_card"

    def test_gives_the_order_free_for_another_payment(self, start, work):
        start(DECLINED, order_id="o-1")
        work()
        second = start(GOOD, order_id="o-1")
        work()
        second.refresh_from_db()
        assert second.status == "completed"

    def test_by_refusal_of_the_request_fails_the_attempt(self, start, work):
        payment = start(GOOD)
        payment.transactions.update(source="tok_unknown")
        work()
        payment.refresh_from_db()
        assert (payment.status, payment.failure_code) == ("failed", "processing_error")


class TestOrder:
    def test_that_is_paid_is_refused_at_once(self, start, pay, work):
        start(GOOD, order_id="o-1")
        work()
        response = pay(order_id="o-1")
        assert (response.status_code, response.json()["error"]["code"]) == (409, "order_already_paid")
        assert Payment.objects.count() == 1

    def test_that_is_paid_is_answered_again_to_the_same_key(self, start, pay, work):
        first = pay(
            order_id="o-1",
            headers={"Idempotency-Key": "k"},
            card_number=GOOD,
            card_expiry_month=1,
            card_expiry_year=2040,
        )
        work()
        again = pay(
            order_id="o-1",
            headers={"Idempotency-Key": "k"},
            card_number=GOOD,
            card_expiry_month=1,
            card_expiry_year=2040,
        )
        assert again.status_code == 201
        assert again.json()["payment"]["id"] == first.json()["payment"]["id"]
        assert again.json()["payment"]["status"] == "completed"

    def test_that_is_in_flight_takes_another_payment_which_waits(self, start, work, settings):
        first = start(GOOD, order_id="o-1")
        settings.SANDBOX_FAULT = "down"
        work()
        second = start(GOOD, order_id="o-1")
        work()
        settings.SANDBOX_FAULT = ""
        second.refresh_from_db()
        assert second.status == "pending"
        for minutes in (1, 2):
            with time_machine.travel(timezone.now() + timedelta(minutes=minutes)):
                work()
        first.refresh_from_db()
        second.refresh_from_db()
        assert {first.status, second.status} == {"completed", "failed"}
        assert Charge.objects.count() == 1
