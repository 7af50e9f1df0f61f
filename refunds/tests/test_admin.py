"""Refunds in the back office."""

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from accounts.models import User
from accounts.services import support_group
from core import queue
from ledger.verification import verify
from payments.models import Payment, ProviderNotice, Transaction
from refunds.models import Refund
from refunds.services.notices import ON_ITS_WAY
from sandbox.models import Notice, Operation

pytestmark = pytest.mark.django_db

CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
LIST = "/admin/refunds/refund/"


@pytest.fixture
def desk(client):
    user = User.objects.create_user("support@example.com", is_staff=True)
    user.groups.add(support_group())
    client.force_login(user)
    return client


@pytest.fixture
def refund(api, owner, pay, work):
    """`refund()` asks to give 20.00 of a payment back."""

    def make(**card: str) -> Refund:
        payment_id = pay(**{**CARD, **card}).json()["payment"]["id"]
        work()
        path = f"/api/v1/payments/{payment_id}/refund"
        body = api.post(path, {"amount": 20}, headers=owner, content_type="application/json").json()
        return Refund.objects.get(pk=body["refund"]["id"])

    return make


def test_shows_what_is_given_back(desk, refund):
    row = refund()
    page = desk.get(LIST).content.decode()
    assert "20.00 USD" in page
    assert row.pk in desk.get(f"{LIST}{row.pk}/change/").content.decode()


@pytest.mark.parametrize("query", ["status__exact=failed", "q=re_1", "q=pay_1", "q=TG-0", "q=nothing"])
def test_narrows_the_list(desk, refund, query):
    row = refund()
    assert row.pk not in desk.get(f"{LIST}?{query}").content.decode()
    for found in (f"status__exact={row.status}", f"q={row.pk}", f"q={row.payment_id}", f"q={row.payment.reference}"):
        assert row.pk in desk.get(f"{LIST}?{found}").content.decode()


def test_edits_nothing(desk, client, refund):
    row = refund()
    client.force_login(User.objects.create_superuser("admin@example.com"))
    before = list(Refund.objects.values())
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{row.pk}/change/", {"status": "succeeded", "amount": 1}).status_code == 403
    assert client.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert list(Refund.objects.values()) == before


class TestAskAgain:
    def test_has_a_silent_provider_asked_at_once(self, desk, refund, work, settings):
        row = refund()
        settings.SANDBOX_FAULT = "silent"
        work()
        settings.SANDBOX_FAULT = ""
        desk.post(LIST, {"action": "ask_these", "_selected_action": [row.pk]})
        work()
        row.refresh_from_db()
        assert row.status == "succeeded"
        assert LogEntry.objects.get().object_id == row.pk

    def test_finds_out_what_nobody_has_told(self, desk, refund, work, time_machine):
        """A refund that came back long after it had succeeded: the books say so until it is asked about."""
        row = refund(card_number="4000000000005126")
        work()
        Operation.objects.update(due_at=timezone.now())
        queue.registry["sandbox.settle"].handler()
        Notice.objects.all().delete()
        time_machine.move_to(timezone.now() + ON_ITS_WAY * 2)
        assert [(fault.rule, fault.row) for fault in verify()] == [("L6", row.transaction_id)]
        desk.post(LIST, {"action": "ask_these", "_selected_action": [row.pk]})
        work()
        row.refresh_from_db()
        assert (row.status, Payment.objects.get().amount_refunded) == ("failed", 0)
        assert verify() == []

    def test_is_refused_when_there_is_nothing_to_ask(self, desk, refund, shop):
        shop.refund_approval_limit = 1
        shop.save()
        waiting = refund()
        answer = desk.post(LIST, {"action": "ask_these", "_selected_action": [waiting.pk]}, follow=True)
        assert "waits for its approval" in answer.content.decode()
        assert not Transaction.objects.filter(kind="refund", due_at__isnull=False).exists()


def test_a_parked_notice_is_handled_again(desk, work):
    fields = {"provider": "sandbox", "type": "refund.succeeded", "payload": {"key": "by-hand"}}
    notice = ProviderNotice.objects.create(kind="refund", event_id="1", last_error="not ours", **fields)
    ProviderNotice.objects.create(kind="refund", event_id="2", **fields)
    path = "/admin/payments/providernotice/"
    assert "1 result" in desk.get(f"{path}?review=waiting").content.decode()
    desk.post(
        path, {"action": "handle_these", "_selected_action": list(ProviderNotice.objects.values_list("pk", flat=True))}
    )
    assert ProviderNotice.objects.exclude(due_at=None).get() == notice
    work()
    notice.refresh_from_db()
    assert notice.last_error == "The provider does not know this refund."
