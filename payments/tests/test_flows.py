"""The ways to a paid payment beside a plain card, and what ends one that is not paid."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from payments import services
from payments.models import NoticeKind, Payment, ProviderNotice
from payments.services.notices import store_notice
from sandbox import services as sandbox
from sandbox.models import Charge

pytestmark = pytest.mark.django_db

GOOD, DECLINED, THREE_D_SECURE = "4242424242424242", "4000000000000002", "4000002500003155"


class TestAction:
    def test_waits_for_the_payer_and_completes_when_they_approve(self, decide, start, work):
        payment = start(THREE_D_SECURE)
        work()
        payment.refresh_from_db()
        assert payment.status == "requires_action"
        assert payment.next_action["type"] == "redirect"
        decide(payment, approve=True)
        work()
        payment.refresh_from_db()
        assert (payment.status, payment.next_action) == ("completed", None)

    def test_that_the_payer_refuses_is_a_decline(self, decide, start, work):
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
    def test_on_the_phone_or_in_the_wallet_completes(self, decide, start, attempt, work, method):
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
    def test_stays_pending_with_the_account_to_pay_to_until_the_money_arrives(self, decide, start, attempt, work):
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

    def test_may_be_left_for_a_card_and_goes_back_when_it_arrives_all_the_same(self, start, attempt, work):
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
        assert (payment.amount_captured, payment.amount_refunded) == (10000, 5000)
        assert payment.surplus_due_at is None


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
