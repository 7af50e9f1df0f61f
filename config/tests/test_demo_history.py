"""The sample data: believable, the same every time, at rest, and what the live code would have written."""

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import Customer, Merchant, User
from config.demo import seed
from config.demo_history import CHARGE_TERMS
from config.demo_payouts import tell_payouts
from config.demo_refunds import tell_refunds
from config.demo_stories import tell_history
from core.ids import is_id
from core.queue import late_rows, run_due
from core.renderers import to_json
from ledger.balances import balances, first_entry
from ledger.carriers import CARRIERS, Transfer, TransferRequest
from ledger.models import BankAccount, Entry, Journal, Kind, Payout, PayoutLine, Settlement
from ledger.serializers import PayoutDetails
from ledger.services import booking
from ledger.services.lines import open_entries
from ledger.verification import verify
from notifications.models import EVENT_TYPES, Event
from payments.models import HOLDS_ORDER, Payment, Status, Transaction, TransactionKind, TransactionStatus
from payments.providers import PROVIDERS
from payments.serializers import MerchantPayment
from payments.services.status import EXPIRES, order_key
from refunds.models import Refund
from refunds.serializers import RefundDetails
from sandbox.models import Charge, Operation
from sandbox.models import Transfer as SandboxTransfer
from sandbox.services import create_charge, create_refund

pytestmark = pytest.mark.django_db

EVENING = datetime(2026, 5, 19, 23, 59, tzinfo=UTC)
OF_REFUNDS, OF_PAYOUTS = (Refund, Operation), (Payout, SandboxTransfer)


@pytest.fixture(scope="module", autouse=True)
def demo(django_db_setup, django_db_blocker):
    """Seeded once for all of these tests, which change nothing that outlives them."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield seed(timezone.now())
        transaction.set_rollback(True)


def midnight():
    return timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)


class TestHistory:
    def test_is_believable(self):
        statuses = Counter(Payment.objects.values_list("status", flat=True))
        assert 240 <= statuses.total() <= 270
        assert 0.82 < (statuses["completed"] + statuses["refunded"]) / statuses.total() < 0.88
        assert set(statuses) == {"completed", "failed", "cancelled", "pending", "authorized", "refunded"}
        assert len(set(Payment.objects.values_list("currency", flat=True))) == 6
        assert len(set(Payment.objects.exclude(payment_method="").values_list("payment_method", flat=True))) == 5
        assert len(set(Payment.objects.exclude(failure_code="").values_list("failure_code", flat=True))) >= 5
        emails = Customer.objects.values_list("email", flat=True)
        assert all(email.endswith("@example.com") for email in emails)

    def test_has_refunds_of_every_sort(self):
        refunds = Refund.objects.select_related("payment", "requested_by")
        assert 0.04 < len(refunds) / Payment.objects.exclude(completed_at=None).count() < 0.08
        assert Counter(refund.status for refund in refunds).keys() == {"succeeded", "failed"}
        assert 1 <= sum(refund.status == "failed" for refund in refunds) <= 2
        assert 3 <= sum(refund.amount < refund.payment.amount for refund in refunds) <= len(refunds) / 2
        assert len({refund.reason for refund in refunds}) >= 3
        assert len({refund.note for refund in refunds if refund.note}) >= 3
        assert {refund.requested_by.email for refund in refunds} == {"owner@example.com", "finance@example.com"}
        assert all(refund.created_at > refund.payment.completed_at for refund in refunds)

    def test_pays_out_every_monday_and_leaves_a_balance(self):
        account, payouts = BankAccount.objects.get(), Payout.objects.order_by("id")
        assert all(payout.status == "paid" and payout.bank_account_id == account.pk for payout in payouts)
        mondays = [payout.created_at.date() for payout in payouts]
        assert {day.isoweekday() for day in mondays} == {1}
        assert {after - before for before, after in pairwise(mondays)} == {timedelta(days=7)}
        assert len(mondays) >= 5
        assert midnight().date() - mondays[-1] <= timedelta(days=7)
        assert balances(Merchant.objects.get())["USD"].available.amount > 0

    def test_lies_in_six_weeks_that_end_yesterday(self):
        for model in (Customer, Payment, Transaction, Event, Charge, Journal, Entry, *OF_REFUNDS, *OF_PAYOUTS):
            times = model.objects.values_list("created_at", flat=True)
            assert midnight() - timedelta(days=42) <= min(times)
            assert max(times) < midnight()
        for model in (Payment, Transaction, Charge, *OF_REFUNDS, Payout):
            assert max(model.objects.values_list("updated_at", flat=True)) < midnight()

    def test_sorts_by_id_as_by_time(self):
        for model in (Customer, Payment, Transaction, Event, Charge, Journal, Entry, *OF_REFUNDS, *OF_PAYOUTS):
            rows = list(model.objects.order_by("id").values_list("created_at", flat=True))
            assert rows == sorted(rows)

    def test_is_the_same_relative_to_any_day(self):
        first, second = (_outline(_told(days)) for days in (0, 3))
        assert first == second

    def test_pays_out_the_same_relative_to_any_day_of_the_same_name(self):
        first, second = (_outline(_told(days), payouts=True) for days in (0, 7))
        assert first == second

    @pytest.mark.parametrize("days", range(7))
    def test_pays_out_on_whatever_weekday_it_ends(self, days):
        history = _told(days)
        settled = sum(line.amount for line in history.payout_lines)
        assert sum(payout.amount for payout in history.payouts) == settled
        assert settled < -sum(entry.amount for entry in history.books.available("USD") if not _is_payout(entry))
        assert len(history.payouts) in (5, 6)
        assert all(payout.updated_at < history.end for payout in history.payouts)
        tomorrow = history.end + timedelta(days=1)
        assert all(payout.due_at is None or payout.due_at > tomorrow for payout in history.payouts)

    def test_waits_for_nobody(self):
        assert not any(late_rows().values())
        before = _rows(Payment, Refund, Payout)
        assert run_due() == 0
        assert _rows(Payment, Refund, Payout) == before

    def test_has_books_that_agree(self):
        assert verify() == []
        assert set(balances(Merchant.objects.get())) == set(Payment.objects.values_list("currency", flat=True))

    def test_is_at_rest_for_the_whole_day_of_seeding(self):
        for model in (Payment, Transaction, Charge, Settlement, Operation, Payout, SandboxTransfer, BankAccount):
            assert not model.objects.filter(due_at__lt=midnight() + timedelta(days=1)).exists()


class TestConsistency:
    """What the live code would have written, row by row."""

    def test_events_are_gap_free_and_end_in_the_row_as_it_is(self):
        events = defaultdict(list)
        for event in Event.objects.order_by("id"):
            assert event.type in EVENT_TYPES
            events[event.object_id].append(event)
        for noun, model, view in SHOWN:
            for row in model.objects.all():
                told = events.pop(row.pk)
                assert [event.sequence for event in told] == list(range(1, len(told) + 1))
                assert told[0].type == f"{noun}.created"
                assert told[-1].type == (f"{noun}.{row.status}" if len(told) > 1 else f"{noun}.created")
                statuses = [json.loads(event.payload)["status"] for event in told]
                assert all(after in model.TRANSITIONS[before] for before, after in pairwise(statuses))
                shown = json.loads(to_json(view(row).data))
                assert json.loads(told[-1].payload) == {**shown, **_changed_quietly(row, told[-1])}
        assert not events

    def test_the_order_key_is_held_by_exactly_the_payments_that_hold_their_order(self):
        for payment in Payment.objects.all():
            holds = payment.order_id is not None and payment.status in HOLDS_ORDER
            assert payment.order_key == (order_key(payment.merchant_id, payment.order_id) if holds else None)

    def test_amounts_and_times_go_with_the_status(self):
        for payment in Payment.objects.all():
            paid = payment.status in (Status.COMPLETED, Status.REFUNDED)
            assert payment.amount_captured == (payment.amount if paid else 0)
            assert (payment.completed_at is not None) == paid
            assert payment.due_at == (payment.expires_at if payment.status in EXPIRES else None)
            assert bool(payment.cancellation_reason) == (payment.status == Status.CANCELLED)
            assert payment.failure_code or payment.status != Status.FAILED
            back = sum(refund.amount for refund in payment.refunds.all() if refund.status == "succeeded")
            assert (payment.amount_refunded, payment.amount_refund_pending) == (back, 0)
            assert (payment.status == Status.REFUNDED) == (paid and back == payment.amount)

    def test_transactions_are_open_only_while_somebody_waits(self):
        waiting = Transaction.objects.filter(open_for__isnull=False)
        assert {txn.status for txn in waiting} == {TransactionStatus.REQUIRES_ACTION}
        assert all(txn.open_for == txn.payment_id and txn.due_at for txn in waiting)
        assert not Transaction.objects.filter(open_for=None, due_at__isnull=False).exists()
        assert Transaction.objects.count() == Charge.objects.count() + Operation.objects.count()

    def test_the_sandbox_says_what_we_say(self):
        for txn in Transaction.objects.exclude(kind=TransactionKind.REFUND):
            answer = PROVIDERS["sandbox"].lookup(txn.pk)
            assert answer.status == txn.status
            assert (answer.money, answer.account) == (txn.money, txn.merchant_id)
            before_refunds = {**answer.answer, "amount_refunded": 0}
            assert (answer.reference, before_refunds) == (txn.provider_reference, txn.provider_answer)
            assert (answer.failure_code, answer.provider_code) == (txn.failure_code, txn.provider_code)
            captured = txn.amount if (txn.status, txn.kind) == ("succeeded", "sale") else 0
            assert answer.captured == captured

    def test_the_sandbox_says_of_refunds_what_we_say(self):
        for refund in Refund.objects.select_related("transaction", "charge", "payment"):
            txn, answer = refund.transaction, PROVIDERS["sandbox"].lookup_operation(refund.transaction_id)
            assert answer.status == txn.status == refund.status
            assert answer.money == txn.money == refund.money
            assert (answer.key, answer.charge_reference) == (txn.pk, refund.charge.provider_reference)
            assert (answer.reference, answer.answer) == (txn.provider_reference, txn.provider_answer)
            assert answer.failure_code == txn.failure_code == txn.provider_code == refund.failure_code
            assert Charge.objects.get(key=refund.charge_id).amount_refunded == refund.payment.amount_refunded

    def test_the_bank_says_what_we_say(self):
        for payout in Payout.objects.all():
            said = CARRIERS["sandbox"].lookup(payout.pk)
            assert said == Transfer("paid", payout.pk, payout.carrier_reference, payout.merchant_id, payout.money)

    def test_what_is_booked_again_is_in_the_books(self):
        booked = _rows(Journal, Entry)
        for row in [*Refund.objects.all(), *Payout.objects.all()]:
            where = {"merchant_id": row.merchant_id, "currency": row.currency}
            for book in BOOKED[type(row)]:
                book(row.pk, row.amount, **where)
            if row.status == "failed":
                booking.book_refund_undone(row.pk)
        assert _rows(Journal, Entry) == booked

    def test_a_payout_settles_all_that_was_available(self):
        account, before = BankAccount.objects.get(), ""
        available = Entry.objects.filter(currency=account.currency, balance="available")
        for payout in Payout.objects.order_by("id"):
            until = first_entry(payout.created_at)
            opened = available.filter(pk__gte=before, pk__lt=until).exclude(journal__kind=Kind.PAYOUT_CREATED)
            settled = dict(PayoutLine.objects.filter(payout=payout).values_list("entry", "amount"))
            assert settled == {entry.pk: -entry.amount for entry in opened}
            assert sum(settled.values()) == payout.amount
            before = until
        left = sum(entry.left for entry in open_entries(account.merchant_id, account.currency))
        assert left == balances(Merchant.objects.get())[account.currency].available.amount

    def test_a_charge_that_is_sent_again_is_the_same_charge(self):
        charge = Charge.objects.filter(status="awaiting_transfer").first()
        terms = (*CHARGE_TERMS, "key", "account_name", "description", "return_url")
        assert create_charge(**{name: getattr(charge, name) for name in terms})["id"] == charge.pk

    def test_a_refund_that_is_sent_again_is_the_same_refund(self):
        for operation in Operation.objects.all():
            again = create_refund(key=operation.key, charge_id=operation.charge_id, amount=operation.amount)
            assert again == operation.as_dict()

    def test_a_payout_that_is_sent_again_is_the_same_transfer(self):
        number = BankAccount.objects.get().account_number
        for payout in Payout.objects.all():
            again = CARRIERS["sandbox"].send(TransferRequest(payout.pk, payout.merchant_id, payout.money, number))
            assert (again.reference, again.status) == (payout.carrier_reference, "paid")


SHOWN = [("payment", Payment, MerchantPayment), ("refund", Refund, RefundDetails), ("payout", Payout, PayoutDetails)]
BOOKED = {
    Refund: [booking.book_refund_reserved, booking.book_refund_succeeded],
    Payout: [booking.book_payout_created, booking.book_payout_paid],
}


def _changed_quietly(row, event):
    """What no event tells of: that a part was given back, and that the bank was asked about a payout once more."""
    quiet = {Payout: ["updated_at"]}.get(type(row), [])
    if isinstance(row, Payment) and row.status == Status.COMPLETED and row.refunds.exists():
        quiet = ["updated_at", "amount_refunded"]
    told = json.loads(event.payload)
    return {name: told[name] for name in quiet}


def _rows(*models):
    return [list(model.objects.order_by("pk").values()) for model in models]


def _is_payout(entry):
    return entry.journal.kind == Kind.PAYOUT_CREATED


@cache
def _told(days):
    """A history, not saved, that ends so many days after EVENING, a Tuesday."""
    end = EVENING + timedelta(days=days)
    merchant = Merchant(id="mer_01kvjvx9g00123456789abcdef", name="Demo Store")
    team = [User(id=f"usr_01kvjvx9g00123456789abcde{letter}") for letter in "fg"]
    account = BankAccount(merchant=merchant, currency="USD", schedule="weekly", created_at=end - timedelta(days=45))
    history = tell_history(merchant, end)
    tell_refunds(history, team)
    tell_payouts(history, account)
    return history


def _outline(history, *, payouts=False):
    """Every row without its place in time: an id without the 10 characters of its time, times as ages. Those of
    payouts apart, for they go by the weekday."""

    def timeless(value):
        if isinstance(value, datetime):
            return value - history.end
        return f"{value[:-26]}{value[-16:]}" if is_id(value) else value

    columns = {
        Customer: ("id", "email", "name", "created_at"),
        Payment: ("id", "reference", "amount", "currency", "status", "order_id", "customer_email", "updated_at"),
        Transaction: ("id", "status", "failure_code", "created_at"),
        Charge: ("id", "status", "amount_captured", "created_at"),
        Event: ("id", "type", "sequence", "created_at"),
        Refund: ("id", "amount", "reason", "note", "status", "requested_by_id", "created_at", "updated_at"),
        Operation: ("id", "status", "amount", "created_at"),
        Payout: ("id", "amount", "status", "attempts", "created_at", "updated_at", "due_at"),
        PayoutLine: ("id", "entry_id", "amount"),
        SandboxTransfer: ("id", "amount", "created_at"),
    }
    rows = [*history.payouts, *history.payout_lines, *history.transfers]
    if not payouts:
        rows = [*history.customers, *history.payments, *history.transactions, *history.charges]
        rows += [*history.refunds, *history.operations]
    rows += [event for event in history.events if event.type.startswith("payout.") == payouts]
    return [[timeless(getattr(row, name)) for name in columns[type(row)]] for row in rows]
