"""Refunds that were made in the provider's own dashboard."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core import queue
from ledger.verification import verify
from notifications.models import Event
from payments.models import Payment, ProviderNotice, Transaction
from payments.providers import PROVIDERS
from payments.services import collect_sandbox_notices
from refunds.models import Refund
from refunds.services import cancel_refund, handle_notice
from refunds.services.notices import LONGEST_ROOM_WAIT, ON_ITS_WAY, ROOM_WAIT
from sandbox import services as sandbox
from sandbox.models import Charge, Notice, Operation
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


def give_back(payment, amount, key="by-hand"):
    """Somebody logs in at the provider and gives back this many minor units."""
    charge = Charge.objects.get(key=payment.transactions.get(kind="sale").pk)
    return sandbox.create_refund(key=key, charge_id=charge.pk, amount=amount)


def parked() -> str:
    """Why the one notice of a refund waits for a person."""
    notice = ProviderNotice.objects.get(kind="refund")
    assert notice.due_at is None
    return notice.last_error


def look_too_early_and_again(work, time_machine):
    collect_sandbox_notices()
    queue.registry["refunds.notices"].handler()
    work()
    time_machine.move_to(timezone.now() + ROOM_WAIT)
    work()


class TestDashboardRefund:
    @pytest.mark.parametrize("key", ["by-hand", "k" * 255, "txn_01m7xv4g2s8t9v0w1x2y3z4a5b"])
    def test_is_taken_in_whatever_its_key(self, paid, work, key):
        payment = paid()
        operation = give_back(payment, 2000, key)
        work()
        payment.refresh_from_db()
        refund = Refund.objects.select_related("transaction").get()
        assert (payment.status, payment.amount_refunded, payment.amount_refund_pending) == ("completed", 2000, 0)
        assert (refund.status, refund.amount, refund.reason, refund.requested_by) == ("succeeded", 2000, "other", None)
        txn = refund.transaction
        assert (txn.kind, txn.status, txn.provider_reference, txn.due_at) == (
            "refund",
            "succeeded",
            operation["id"],
            None,
        )
        assert disagreements() == []

    def test_moves_the_payment_and_is_told_like_any_other(self, api, owner, paid, work):
        payment = paid()
        give_back(payment, 5000)
        work()
        assert api.get(f"/api/v1/payments/{payment.pk}", headers=owner).json()["payment"]["status"] == "refunded"
        [refund] = api.get("/api/v1/refunds", headers=owner).json()["refunds"]
        told = Event.objects.filter(object_id=refund["id"]).order_by("sequence").values_list("type", flat=True)
        assert list(told) == ["refund.created", "refund.processing", "refund.succeeded"]

    def test_counts_once_however_often_it_is_told(self, paid, work):
        payment = paid()
        give_back(payment, 2000)
        work()
        told = Notice.objects.get(kind="refund")
        for _again in range(3):
            Notice.objects.create(kind=told.kind, type=told.type, key=told.key, payload=told.payload)
        collect_sandbox_notices()
        for notice in ProviderNotice.objects.filter(kind="refund"):
            handle_notice(notice)
        payment.refresh_from_db()
        assert (Refund.objects.count(), payment.amount_refunded) == (1, 2000)

    def test_leaves_less_for_ours(self, api, owner, paid, work):
        payment = paid()
        give_back(payment, 2000)
        work()
        path = f"/api/v1/payments/{payment.pk}/refund"
        assert api.post(path, {"amount": 30.01}, headers=owner, content_type=JSON).status_code == 422
        assert api.post(path, {"amount": 30}, headers=owner, content_type=JSON).status_code == 201

    def test_counts_when_it_has_succeeded(self, paid, work, settings):
        payment = paid(SLOW)
        settings.SANDBOX_SETTLE_SECONDS = 60
        give_back(payment, 2000)
        work()
        assert not Refund.objects.exists()
        settings.SANDBOX_SETTLE_SECONDS = 0
        Operation.objects.update(due_at=payment.created_at)
        work()
        assert Refund.objects.get().status == "succeeded"

    def test_that_fails_after_the_fact_gives_the_money_back(self, paid, work):
        payment = paid(FAILS_LATER)
        give_back(payment, 5000)
        work()
        Operation.objects.update(due_at=payment.created_at)
        work()
        payment.refresh_from_db()
        assert (payment.status, payment.amount_refunded, Refund.objects.get().status) == ("completed", 0, "failed")
        assert disagreements() == []

    def test_that_fails_while_the_provider_is_asked_gives_the_money_back(self, paid, work, monkeypatch):
        payment = paid(FAILS_LATER)
        give_back(payment, 5000)
        ask = PROVIDERS["sandbox"].lookup_operation

        def ask_slowly(key):
            answer = ask(key)
            monkeypatch.undo()
            Operation.objects.update(due_at=payment.created_at)
            for name in ("sandbox.settle", "payments.collect_sandbox_notices", "refunds.notices"):
                queue.registry[name].handler()
            return answer

        monkeypatch.setattr(PROVIDERS["sandbox"], "lookup_operation", ask_slowly)
        work()
        payment.refresh_from_db()
        assert (payment.status, payment.amount_refunded, Refund.objects.get().status) == ("completed", 0, "failed")
        assert disagreements() == []

    def test_is_taken_in_though_its_charge_is_heard_of_later(self, pay, work, time_machine):
        payment = Payment.objects.get(pk=pay(card_number=AT_ONCE, **CARD).json()["payment"]["id"])
        for name in ("payments.transactions", "sandbox.settle"):
            queue.registry[name].handler()
        give_back(payment, 2000)
        look_too_early_and_again(work, time_machine)
        payment.refresh_from_db()
        assert (payment.status, payment.amount_refunded, parked()) == ("completed", 2000, "")
        assert disagreements() == []

    def test_is_asked_for_again_while_the_provider_is_silent(self, paid, work, settings):
        payment = paid()
        give_back(payment, 2000)
        collect_sandbox_notices()
        settings.SANDBOX_FAULT = "silent"
        work()
        assert not Refund.objects.exists()
        settings.SANDBOX_FAULT = ""
        ProviderNotice.objects.filter(due_at__isnull=False).update(due_at=payment.created_at)
        work()
        assert Refund.objects.get().status == "succeeded"
        assert parked() == ""


class TestRoom:
    """A refund made at the provider, of what is set aside here."""

    @pytest.fixture
    def post(self, api, owner):
        return lambda path, **body: api.post(f"/api/v1/{path}", body, headers=owner, content_type=JSON)

    def test_is_taken_in_once_a_refund_of_ours_is_called_off(self, shop, paid, post, work, time_machine):
        shop.refund_approval_limit = 100
        shop.save()
        payment = paid()
        post(f"payments/{payment.pk}/refund", amount=40)
        give_back(payment, 2000)
        work()
        notice = ProviderNotice.objects.get(kind="refund")
        assert "20.00 USD; refunds of ours leave no room" in notice.last_error
        time_machine.move_to(timezone.now() + timedelta(days=3))  # the books are no worse for waiting
        assert list(verify()) == []
        work()
        cancel_refund(Refund.objects.get())
        time_machine.move_to(timezone.now() + LONGEST_ROOM_WAIT)
        work()
        payment.refresh_from_db()
        assert (payment.amount_refunded, payment.amount_refund_pending, parked()) == (2000, 0, "")
        assert disagreements() == []

    def test_is_taken_in_once_ours_that_crossed_with_it_has_failed(self, paid, post, work, time_machine):
        payment = paid()
        post(f"payments/{payment.pk}/refund", amount=40)
        give_back(payment, 2000)
        look_too_early_and_again(work, time_machine)
        assert list(Refund.objects.values_list("amount", "status")) == [(2000, "succeeded"), (4000, "failed")]
        assert disagreements() == []

    def test_is_looked_for_more_and_more_rarely(self, shop, paid, post, work, time_machine):
        shop.refund_approval_limit = 100
        shop.save()
        payment = paid()
        post(f"payments/{payment.pk}/refund")
        give_back(payment, 2000)
        for tries in range(1, 4):
            work()
            notice = ProviderNotice.objects.get(kind="refund")
            assert timedelta(0) <= ROOM_WAIT * tries - (notice.due_at - timezone.now()) < timedelta(seconds=30)
            time_machine.move_to(notice.due_at)
        ProviderNotice.objects.update(attempts=10_000)
        work()
        assert ProviderNotice.objects.get(kind="refund").due_at <= timezone.now() + LONGEST_ROOM_WAIT


class TestMismatch:
    """What is not about our money is never applied: a person looks, when nothing can be on its way any more."""

    @pytest.fixture
    def payment(self, paid) -> Payment:
        payment = paid()
        give_back(payment, 2000)
        return payment

    @pytest.fixture
    def later(self, work, time_machine):
        """Lets the worker live through the time in which what would explain it may come."""

        def wait():
            work()
            assert ProviderNotice.objects.get(kind="refund").due_at is not None
            time_machine.move_to(timezone.now() + ON_ITS_WAY)
            work()

        return wait

    @pytest.fixture(autouse=True)
    def _nothing_has_happened(self, payment):
        yield
        payment.refresh_from_db()
        assert (payment.amount_refunded, payment.amount_refund_pending) == (0, 0)
        assert not Transaction.objects.filter(kind="refund").exists()

    def test_of_the_charge(self, payment, later):
        payment.transactions.update(provider_reference="ch_another")
        later()
        assert parked() == "The refund is of a charge that is not ours."

    def test_of_the_currency(self, payment, later):
        Operation.objects.update(currency="EUR")
        later()
        assert parked() == "The refund is of 20.00 EUR, the charge is in USD."

    def test_of_the_amount(self, payment, later):
        Operation.objects.update(amount=5001)
        later()
        assert parked() == f"The refund is of 50.01 USD, more than is left of {payment.pk}."

    def test_of_what_the_notice_says_with_what_the_provider_knows(self, payment, later):
        Operation.objects.all().delete()
        later()
        assert parked() == "The provider does not know this refund."
