"""Reserved money that is let go: by its merchant, in the end by itself, and at once where it came too late."""

from datetime import timedelta

from django.utils import timezone

from core.queue import run_due
from payments.models import Payment, Transaction
from payments.providers import PROVIDERS
from payments.services.authorizations import LAPSE_RETRY
from payments.services.status import AUTHORIZATION_LIFETIME
from payments.tests.conftest import CARD, JSON, error_of, shown, told
from sandbox import services as sandbox
from sandbox.models import Charge
from tests.books import disagreements


def status_and_reason(payment_id):
    """From the row: a log-in does not last as long as an authorization."""
    return Payment.objects.values_list("status", "cancellation_reason").get(pk=payment_id)


def operation():
    return Transaction.objects.get(kind__in=["capture", "void"])


def ask_again():
    Transaction.objects.filter(open_for__isnull=False).update(due_at=timezone.now())
    run_due()


class TestVoid:
    def test_releases_the_money(self, authorized, cancel, read):
        payment_id = authorized()
        assert shown(cancel(payment_id)) == (200, "cancelled", 0)
        assert read(payment_id)["cancellation_reason"] == "void"
        assert (Charge.objects.get().status, operation().kind) == ("cancelled", "void")
        assert told(payment_id)[-2:] == ["payment.authorized", "payment.cancelled"]
        assert disagreements() == []

    def test_keeps_the_merchants_reason(self, authorized, cancel, read):
        payment_id = authorized()
        cancel(payment_id, reason="fraudulent")
        assert read(payment_id)["cancellation_reason"] == "fraudulent"

    def test_by_patch_is_the_same(self, api, owner, authorized):
        path = f"/api/v1/payments/{authorized()}"
        answer = api.patch(path, {"status": "cancelled"}, headers=owner, content_type=JSON)
        assert shown(answer) == (200, "cancelled", 0)
        assert answer.json()["payment"]["cancellation_reason"] == "void"
        assert Charge.objects.get().status == "cancelled"

    def test_frees_the_order(self, pay, authorized, cancel):
        cancel(authorized(order_id="order-1"))
        assert pay(order_id="order-1").status_code == 201

    def test_a_second_time_is_refused(self, authorized, cancel):
        payment_id = authorized()
        cancel(payment_id)
        assert error_of(cancel(payment_id)) == (409, "illegal_transition")

    def test_of_a_captured_payment_is_refused(self, authorized, capture, cancel):
        payment_id = authorized()
        capture(payment_id)
        assert error_of(cancel(payment_id)) == (409, "illegal_transition")
        assert Charge.objects.get().status == "succeeded"

    def test_is_not_the_payers_to_ask(self, api, authorized, read):
        payment_id = authorized()
        api.post(f"/pay/{payment_id}/cancel")
        assert (read(payment_id)["status"], Charge.objects.get().status) == ("authorized", "authorized")


class TestLapse:
    def test_releases_what_nobody_captured_in_seven_days(self, authorized, later):
        payment_id = authorized(order_id="order-1")
        later(timedelta(days=6, hours=23))
        assert status_and_reason(payment_id) == ("authorized", "")
        later(timedelta(hours=2))
        assert status_and_reason(payment_id) == ("cancelled", "expired")
        assert Charge.objects.get().status == "cancelled"
        assert disagreements() == []

    def test_is_announced_in_expires_at(self, authorized, read):
        before = timezone.now()
        payment_id = authorized()
        expires_at = Payment.objects.get(pk=payment_id).expires_at
        assert before <= expires_at - AUTHORIZATION_LIFETIME <= timezone.now()
        assert read(payment_id)["expires_at"][:16] == expires_at.isoformat()[:16]

    def test_leaves_a_captured_payment_alone(self, authorized, capture, later):
        payment_id = authorized()
        capture(payment_id)
        later(AUTHORIZATION_LIFETIME * 2)
        assert status_and_reason(payment_id) == ("completed", "")

    def test_waits_for_a_capture_in_flight(self, authorized, capture, settings, later):
        payment_id = authorized()
        settings.SANDBOX_FAULT = "silent"
        capture(payment_id)
        later(AUTHORIZATION_LIFETIME + timedelta(minutes=1))
        assert Payment.objects.get(pk=payment_id).due_at > timezone.now() + LAPSE_RETRY / 2
        settings.SANDBOX_FAULT = ""
        ask_again()
        assert status_and_reason(payment_id) == ("completed", "")

    def test_is_tried_again_when_the_provider_refuses(self, authorized, monkeypatch, later):
        payment_id = authorized()
        with monkeypatch.context() as patch:
            patch.setattr("sandbox.services.WORK", dict.fromkeys(sandbox.WORK, lambda charge, operation: "declined"))
            later(AUTHORIZATION_LIFETIME + timedelta(minutes=1))
        assert status_and_reason(payment_id) == ("authorized", "")
        later(LAPSE_RETRY + timedelta(minutes=1))
        assert status_and_reason(payment_id) == ("cancelled", "expired")


class TestAnAuthorizationThatComesTooLate:
    def test_is_released_again(self, pay, authorized, cancel, read):
        """The order's other payment has reserved its money while this one was with its bank."""
        late = pay(**{**CARD, "card_number": "4000002500003155"}, capture_method="manual", order_id="o-1")
        run_due()
        first = authorized(order_id="o-1")
        late = late.json()["payment"]["id"]
        late_charge = Charge.objects.get(key=Transaction.objects.get(payment_id=late).pk)
        sandbox.decide(charge_id=late_charge.pk, approve=True)
        run_due()
        late_charge.refresh_from_db()
        assert (read(first)["status"], read(late)["status"]) == ("authorized", "failed")
        assert (late_charge.status, operation().status) == ("cancelled", "succeeded")
        assert read(late)["failure"]["code"] == "order_already_paid"
        assert disagreements() == []

    def test_is_not_what_is_captured_though_the_provider_had_released_it_before_we_did(
        self, start, attempt, capture, monkeypatch
    ):
        payment = start(capture_method="manual")
        for method in ("bank_transfer", "paypal"):
            attempt(payment, method=method)
            run_due()
        charge, late = Charge.objects.order_by("pk")
        void = PROVIDERS["sandbox"].void

        def void_too_late(request):
            monkeypatch.undo()
            sandbox.void_charge(key="by-the-bank", charge_id=late.pk)
            return void(request)

        monkeypatch.setattr(PROVIDERS["sandbox"], "void", void_too_late)
        for arrives in (charge, late):
            sandbox.decide(charge_id=arrives.pk, approve=True)
            run_due()
        assert operation().status == "failed"
        assert shown(capture(payment.pk)) == (201, "completed", 50.00)
        assert list(Charge.objects.order_by("pk").values_list("status", flat=True)) == ["succeeded", "cancelled"]
