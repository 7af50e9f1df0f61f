"""A refund and a payout of the sample data have left what one that is made now leaves."""

from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from config.demo import OWNER, seed
from core.ids import is_id
from ledger.models import BankAccount, Entry, Payout
from ledger.services.payouts import CANCELLABLE_FOR, IN_TRANSIT_DELAYS, RETURN_DELAYS
from notifications.models import Event
from payments.models import Payment
from refunds.models import Refund
from sandbox.models import HASH_LENGTH, Charge, Operation, Transfer
from sandbox.services import REFUND_FAILS_SECONDS

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module", autouse=True)
def demo(django_db_setup, django_db_blocker):
    """Seeded once for all of these tests, whose changes are rolled back."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield seed(timezone.now())
        transaction.set_rollback(True)


class TestRefund:
    @pytest.fixture
    def refund(self, api, bearer, later):
        """`refund(payment, like)` gives it back by the API, for the same reasons as the one that it is to be like."""
        headers = bearer(User.objects.get(email=OWNER))

        def make(payment, like):
            body = {"reason": like.reason, "note": like.note} if like.note else {"reason": like.reason}
            path = f"/api/v1/payments/{payment.pk}/refund"
            answer = api.post(path, body, content_type="application/json", headers=headers)
            assert answer.status_code == 201, answer.content
            later(timedelta(0))
            later(timedelta(seconds=REFUND_FAILS_SECONDS + 1))
            return Refund.objects.get(pk=answer.json()["refund"]["id"])

        return make

    @pytest.mark.parametrize("method", ["credit_card", "paypal"])
    def test_that_succeeded(self, refund, method):
        past = Refund.objects.filter(payment__status="refunded", payment__payment_method=method).first()
        alike = Payment.objects.filter(status="completed", payment_method=method, currency=past.currency, refunds=None)
        payment = alike.filter(order_id__isnull=past.payment.order_id is None).first()
        assert left_by_refund(refund(payment, past)) == left_by_refund(past)

    def test_that_failed(self, refund):
        past = next(row for row in Refund.objects.filter(status="failed") if row.amount == row.payment.amount)
        expected = left_by_refund(past)
        assert left_by_refund(refund(past.payment, past)) == expected


class TestPayout:
    def test_that_was_paid_and_watched(self, later):
        payouts = Payout.objects.order_by("pk")
        past, known = payouts.first(), payouts.count()
        BankAccount.objects.update(due_at=timezone.now())
        for delay in [timedelta(0), CANCELLABLE_FOR, IN_TRANSIT_DELAYS[0], *RETURN_DELAYS]:
            later(delay + timedelta(seconds=1))
        assert left_by_payout(payouts[known]) == left_by_payout(past)


# --- What it has left -------------------------------------------------------------------------
def left_by_refund(refund):
    """Every value as what it is, so that it is the same for two refunds of other payments at other times."""
    refund = Refund.objects.select_related("payment", "transaction").get(pk=refund.pk)
    payment, operation = refund.payment, Operation.objects.get(key=refund.transaction_id)
    names = ("status", "amount_captured", "amount_refunded", "amount_refund_pending", "completed_at", "order_key")
    charge = Charge.objects.get(key=refund.charge_id)
    return [
        [plain(getattr(payment, name), refund.amount) for name in names],
        [plain(getattr(charge, name), refund.amount) for name in ("amount_captured", "amount_refunded")],
        *(facts_of(row, refund.amount) for row in (refund, refund.transaction, operation)),
        told_of(refund, payment),
        booked_for(refund),
    ]


def left_by_payout(payout):
    rows = [payout, Transfer.objects.get(key=payout.pk)]
    return [*(facts_of(row, payout.amount) for row in rows), told_of(payout), booked_for(payout)]


def told_of(row, *others):
    """The events of a row, and those of others from then on, in their order, and who caused them."""
    events = Event.objects.filter(object_id__in=[row.pk, *(other.pk for other in others)]).order_by("created_at")
    return [(event.type, plain(event.actor, 0)) for event in events.filter(created_at__gte=row.created_at)]


def booked_for(row):
    """The lines of each journal about a row, and of what reverses one."""
    entries = Entry.objects.filter(Q(journal__source_id=row.pk) | Q(journal__reverses__source_id=row.pk))
    lines = [(entry.journal.kind, entry.balance, entry.account, plain(entry.amount, row.amount)) for entry in entries]
    return sorted(lines)


def facts_of(row, amount):
    return {field.attname: plain(getattr(row, field.attname), amount) for field in row._meta.fields}


def plain(value, amount):
    """An id by its prefix, a time, a hash and the amount as such; anything else as it is."""
    if isinstance(value, dict):
        return {name: plain(part, amount) for name, part in value.items()}
    if isinstance(value, datetime):
        return "a time"
    if isinstance(value, str) and len(value) == HASH_LENGTH:
        return "a hash"
    return value.partition("_")[0] if is_id(value) else {amount: "+", -amount: "-"}.get(value, value)
