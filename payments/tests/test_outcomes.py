"""What becomes of a payment: every answer a provider may give, and every silence."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from core.money import Money
from notifications.models import Event
from payments import services
from payments.cards import TEST_CARDS, CardSource
from payments.models import NoticeKind, Payment, ProviderNotice, Transaction
from payments.providers import Result
from payments.services.notices import store_notice
from sandbox import services as sandbox
from sandbox.models import Charge

pytestmark = pytest.mark.django_db

GOOD, DECLINED, THREE_D_SECURE = "4242424242424242", "4000000000000002", "4000002500003155"


@pytest.fixture
def start(pay):
    """A payment as the API makes it; with a card when a number is given."""

    def create(number: str = "", **fields) -> Payment:
        card = {"card_number": number, "card_expiry_month": 12, "card_expiry_year": 2040} if number else {}
        response = pay(**card, **fields)
        assert response.status_code == 201, response.content
        return Payment.objects.get(pk=response.json()["payment"]["id"])

    return create


@pytest.fixture
def attempt():
    """The payer tries a card, or another method, on the checkout page."""

    def send(payment: Payment, number: str = "", method: str = "credit_card") -> Payment:
        payment.refresh_from_db()
        card = CardSource(TEST_CARDS[number].token, "visa", number[-4:], 12, 2040) if number else None
        return services.start_attempt(
            payment_id=payment.pk, attempt=payment.payer_attempts, method=method, card=card, phone="+233241234567"
        )

    return send


def decide(payment: Payment, *, approve: bool) -> None:
    """The payer answers on the sandbox's page."""
    txn = payment.transactions.get(open_for=payment.pk)
    sandbox.decide(charge_id=Charge.objects.get(key=txn.pk).pk, approve=approve)


def told(payment: Payment) -> list[str]:
    events = Event.objects.filter(object_id=payment.pk).order_by("sequence")
    return [event.type.removeprefix("payment.") for event in events]


def result_of(txn: Transaction, status: str = "succeeded", **changes) -> Result:
    captured = txn.amount if status == "succeeded" else 0
    fields = {"status": status, "key": txn.pk, "reference": "ch_1", "account": txn.merchant_id, "money": txn.money}
    return Result(**{**fields, "captured": captured, **changes})


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

    def test_on_a_paid_order_is_surplus_and_fails_the_payment(self, start, work):
        waiting = start(THREE_D_SECURE, order_id="o-1")
        work()
        paid = start(GOOD, order_id="o-1")
        work()
        decide(waiting, approve=True)
        work()

        paid.refresh_from_db()
        waiting.refresh_from_db()
        assert paid.status == "completed"
        assert (waiting.status, waiting.failure_code) == ("failed", "order_already_paid")
        assert waiting.amount_captured == 5000
        assert waiting.surplus_due_at


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


class TestAction:
    def test_waits_for_the_payer_and_completes_when_they_approve(self, start, work):
        payment = start(THREE_D_SECURE)
        work()
        payment.refresh_from_db()
        assert payment.status == "requires_action"
        assert payment.next_action["type"] == "redirect"
        decide(payment, approve=True)
        work()
        payment.refresh_from_db()
        assert (payment.status, payment.next_action) == ("completed", None)

    def test_that_the_payer_refuses_is_a_decline(self, start, work):
        payment = start(THREE_D_SECURE)
        work()
        decide(payment, approve=False)
        work()
        payment.refresh_from_db()
        assert (payment.status, payment.failure_code) == ("failed", "authentication_failed")

    def test_comes_back_when_the_payer_returns_without_having_acted(self, start, work):
        payment = start(THREE_D_SECURE)
        work()
        services.customer_returned(payment_id=payment.pk)
        payment.refresh_from_db()
        assert payment.status == "processing"
        work()
        payment.refresh_from_db()
        assert payment.status == "requires_action"
        assert payment.next_action["type"] == "redirect"

    def test_holds_no_order(self, start, work):
        start(THREE_D_SECURE, order_id="o-1")
        work()
        assert Payment.objects.get().order_key is None

    @pytest.mark.parametrize("method", ["mobile_money", "paypal"])
    def test_on_the_phone_or_in_the_wallet_completes(self, start, attempt, work, method):
        payment = start()
        attempt(payment, method=method)
        work()
        payment.refresh_from_db()
        assert payment.status == "requires_action"
        decide(payment, approve=True)
        services.customer_returned(payment_id=payment.pk)
        work()
        payment.refresh_from_db()
        assert (payment.status, payment.payment_method) == ("completed", method)


class TestBankTransfer:
    def test_stays_pending_with_the_account_to_pay_to_until_the_money_arrives(self, start, attempt, work):
        payment = start(order_id="o-1")
        attempt(payment, method="bank_transfer")
        work()
        payment.refresh_from_db()
        assert (payment.status, payment.next_action["type"]) == ("pending", "bank_transfer")
        decide(payment, approve=True)
        work()
        payment.refresh_from_db()
        assert payment.status == "completed"
        assert payment.order_key

    def test_may_be_left_for_a_card_and_is_surplus_when_it_arrives_all_the_same(self, start, attempt, work):
        payment = start()
        attempt(payment, method="bank_transfer")
        work()
        transfer = payment.transactions.get()
        attempt(payment, GOOD)
        work()
        sandbox.decide(charge_id=Charge.objects.get(key=transfer.pk).pk, approve=True)
        work()

        payment.refresh_from_db()
        transfer.refresh_from_db()
        assert (payment.status, transfer.status) == ("completed", "succeeded")
        assert payment.amount_captured == 10000
        assert payment.surplus_due_at


class TestManualCapture:
    def test_authorizes_and_takes_no_money(self, start, work):
        payment = start(GOOD, capture_method="manual", order_id="o-1")
        work()
        payment.refresh_from_db()
        assert (payment.status, payment.amount_captured) == ("authorized", 0)
        assert payment.order_key
        assert Charge.objects.get().status == "authorized"


class TestExpiry:
    def test_cancels_what_nobody_paid(self, start, work):
        payment = start()
        with time_machine.travel(payment.expires_at + timedelta(seconds=1)):
            work()
        payment.refresh_from_db()
        assert (payment.status, payment.cancellation_reason, payment.due_at) == ("cancelled", "expired", None)

    def test_waits_while_a_provider_is_at_work(self, start, attempt, work, settings):
        payment = start()
        attempt(payment, GOOD)
        settings.SANDBOX_FAULT = "down"
        work()
        with time_machine.travel(payment.expires_at + timedelta(seconds=1)):
            services.expire_payment(payment)
            payment.refresh_from_db()
            assert payment.status == "processing"
            assert payment.due_at > timezone.now()

    def test_charges_nothing_afterwards(self, start, attempt, work):
        payment = start()
        attempt(payment, GOOD)
        services.expire_payment(payment)
        work()
        payment.refresh_from_db()
        assert payment.status == "cancelled"
        assert not Charge.objects.exists()

    def test_ends_the_checkout(self, start, attempt):
        payment = start()
        with time_machine.travel(payment.expires_at + timedelta(seconds=1)), pytest.raises(services.NotPayable):
            attempt(payment, GOOD)


class TestDoubleClick:
    def test_starts_one_attempt(self, start):
        payment = start()
        for _n in range(2):
            services.start_attempt(payment_id=payment.pk, attempt=0, method="paypal")
        assert payment.transactions.count() == 1

    def test_on_a_stale_page_starts_none(self, start, attempt, work):
        payment = start()
        attempt(payment, DECLINED)
        work()
        services.start_attempt(payment_id=payment.pk, attempt=0, method="paypal")
        assert payment.transactions.count() == 1


class TestNotice:
    def test_is_kept_once(self, start):
        for _n in range(2):
            store_notice(provider="sandbox", event_id="ntf_1", kind=NoticeKind.PAYMENT, type="charge.succeeded")
        assert ProviderNotice.objects.count() == 1

    def test_about_an_unknown_transaction_harms_nothing(self, db, work):
        store_notice(
            provider="sandbox", event_id="ntf_1", kind=NoticeKind.PAYMENT, type="charge.succeeded", transaction_id="x"
        )
        work()
        assert ProviderNotice.objects.get().due_at is None

    def test_that_lies_completes_nothing(self, start, work, settings):
        payment = start(THREE_D_SECURE)
        work()
        txn = payment.transactions.get()
        store_notice(
            provider="sandbox",
            event_id="ntf_lie",
            kind=NoticeKind.PAYMENT,
            type="charge.succeeded",
            transaction_id=txn.pk,
            payload={"status": "succeeded", "amount_captured": 5000},
        )
        work()
        payment.refresh_from_db()
        assert payment.status == "requires_action"

    def test_of_a_later_dispute_is_kept_for_the_disputes_app(self, start, work):
        start("4000000000000259")
        work()
        with time_machine.travel(timezone.now() + timedelta(minutes=1)):
            work()
        notice = ProviderNotice.objects.get(kind=NoticeKind.DISPUTE)
        assert notice.due_at is None
