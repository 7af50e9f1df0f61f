"""verify_ledger finds what is wrong, and names the row."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from ledger import triggers
from ledger.balances import take_snapshot
from ledger.models import Account, Entry, Halt, Journal, Kind, Settlement, Snapshot
from ledger.services import reverse
from ledger.verification import is_halted, verify, verify_and_halt
from payments.models import Payment, Transaction
from refunds.models import Refund

CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2030}


@pytest.fixture
def books(transactional_db, shop, owner, api, pay, work):
    """Two payments, one of them partly refunded. The triggers stand aside, so that a test can corrupt a row."""
    for _n in range(2):
        pay(**CARD)
    work()
    payment = Payment.objects.last()
    api.post(f"/api/v1/payments/{payment.pk}/refund", {"amount": 20}, headers=owner, content_type="application/json")
    work()
    assert verify() == []
    triggers.remove(connection)
    yield shop
    triggers.install(connection)


def found(without="L3"):
    """Rule and row of each fault; the missing triggers are the fixture's own doing."""
    return [(fault.rule, fault.row) for fault in verify() if not fault.row.startswith("ledger_")]


def rows(model):
    return model.objects.order_by("pk")


@pytest.mark.usefixtures("books")
class TestFinds:
    def test_nothing_in_books_that_agree(self):
        assert found() == []

    def test_an_amount_that_was_changed(self):
        entry = rows(Entry).first()
        Entry.objects.filter(pk=entry.pk).update(amount=entry.amount + 1)
        assert ("L1", entry.journal_id) in found()

    def test_an_entry_that_is_gone(self):
        entry = rows(Entry).last()
        entry.delete()
        assert {("L1", entry.journal_id), ("L2", entry.journal_id)} <= set(found())

    def test_a_journal_without_entries(self, books):
        journal = Journal.objects.create(kind=Kind.FEE, source_id="x", merchant=books, currency="USD")
        assert ("L2", journal.pk) in found()

    def test_an_entry_of_another_currency(self):
        entry = rows(Entry).first()
        Entry.objects.filter(pk=entry.pk).update(currency="EUR")
        assert ("L9", entry.pk) in found()

    def test_a_snapshot_that_is_not_the_sum(self, books, time_machine):
        time_machine.move_to(timezone.now() + timedelta(hours=1))
        take_snapshot(books)
        assert found() == []
        snapshot = rows(Snapshot).first()
        Snapshot.objects.filter(pk=snapshot.pk).update(amount=snapshot.amount + 1)
        assert found() == [("L4", snapshot.pk)]

    def test_more_taken_out_than_was_set_aside(self, books):
        journal = Journal.objects.get(kind=Kind.REFUND_SUCCEEDED)
        fields = {"journal": journal, "merchant": books, "currency": "USD"}
        entry = Entry.objects.create(account=Account.REFUND_CLEARING, amount=1, **fields)
        Entry.objects.create(account=Account.SUSPENSE, amount=-1, **fields)
        assert ("L5", entry.pk) in found()

    def test_a_payment_that_says_more_than_it_captured(self):
        payment = rows(Payment).first()
        Payment.objects.filter(pk=payment.pk).update(amount_captured=payment.amount_captured + 1)
        assert found() == [("L7", payment.pk)]

    def test_a_payment_that_says_more_than_it_refunded(self):
        payment = Payment.objects.get(amount_refunded__gt=0)
        Payment.objects.filter(pk=payment.pk).update(amount_refunded=1)
        assert found() == [("L7", payment.pk)]

    def test_a_capture_that_was_not_booked(self):
        txn = Transaction.objects.filter(kind="sale").first()
        Journal.objects.filter(source_id=txn.pk).update(source_id="txn_of_somebody_else")
        assert ("L8", txn.pk) in found()

    def test_a_booked_capture_that_never_happened(self):
        journal = Journal.objects.filter(kind=Kind.CAPTURE).first()
        Transaction.objects.filter(pk=journal.source_id).update(status="failed")
        assert ("L8", journal.pk) in found()

    def test_a_refund_that_was_not_booked(self):
        refund = Refund.objects.get()
        Journal.objects.filter(kind=Kind.REFUND_SUCCEEDED).update(source_id="re_of_somebody_else")
        assert ("L8", refund.pk) in found()

    def test_a_settlement_that_was_not_booked(self):
        settlement = rows(Settlement).first()
        Settlement.objects.filter(pk=settlement.pk).update(due_at=None)
        assert found() == [("L8", settlement.pk)]

    def test_a_reversal_that_is_not_the_opposite(self):
        reversal = reverse(Journal.objects.filter(kind=Kind.REFUND_SUCCEEDED).get())
        debit, credit = reversal.entries.order_by("pk")
        Entry.objects.filter(pk=debit.pk).update(amount=debit.amount * 2)
        Entry.objects.filter(pk=credit.pk).update(amount=credit.amount * 2)
        assert ("L3", reversal.pk) in found()

    def test_triggers_that_are_gone(self):
        assert [fault.row for fault in verify()] == [
            "ledger_journal_no_update",
            "ledger_journal_no_delete",
            "ledger_entry_no_update",
            "ledger_entry_no_delete",
            "ledger_payoutline_no_update",
            "ledger_payoutline_no_delete",
        ]


class TestCommand:
    def test_says_that_the_books_agree(self, pay, work):
        pay(**CARD)
        work()
        out = StringIO()
        call_command("verify_ledger", stdout=out)
        assert "the books agree" in out.getvalue()

    def test_names_what_breaks_them_and_fails(self, pay, work):
        pay(**CARD)
        work()
        payment = Payment.objects.get()
        Payment.objects.update(amount_captured=5001)
        out = StringIO()
        with pytest.raises(SystemExit) as stopped:
            call_command("verify_ledger", stdout=out)
        assert stopped.value.code == 1
        assert f"L7 {payment.pk}" in out.getvalue()


class TestNightlyCheck:
    def test_halts_payouts_once_and_until_somebody_has_looked(self, pay, work):
        pay(**CARD)
        work()
        Payment.objects.update(amount_captured=5001)
        verify_and_halt()
        verify_and_halt()
        assert is_halted()
        assert Halt.objects.get().reason.startswith("L7 pay_")
        Payment.objects.update(amount_captured=5000)
        call_command("verify_ledger", "--lift", stdout=StringIO())
        assert not is_halted()

    def test_leaves_books_alone_that_agree(self, pay, work):
        pay(**CARD)
        work()
        verify_and_halt()
        assert not is_halted()
