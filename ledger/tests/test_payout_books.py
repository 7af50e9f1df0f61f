"""verify_ledger finds what is wrong with a payout, and names the row."""

import pytest
from django.db import connection

from ledger import triggers
from ledger.books import carriers_report_what_is_booked
from ledger.carriers import CARRIERS
from ledger.models import Entry, Journal, Kind, Payout, PayoutLine
from ledger.services import reverse
from ledger.verification import verify
from sandbox.models import Transfer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def payout(earn, bank, call, later):
    """One of 60.00, paid, of two entries; 20.00 are left. The triggers stand aside: a test can corrupt a row."""
    earn(50, 30)
    bank()
    payout_id = call("POST", "payouts", amount=60).json()["payout"]["id"]
    later(minutes=1, seconds=1)
    later(seconds=6)
    assert verify() == []
    triggers.remove(connection)
    yield Payout.objects.get(pk=payout_id, status="paid")
    triggers.install(connection)


def found():
    return [(fault.rule, fault.row) for fault in verify() if not fault.row.startswith("ledger_")]


class TestFinds:
    def test_an_amount_that_is_not_the_sum_of_its_lines(self, payout):
        Payout.objects.update(amount=6001)
        assert ("L7", payout.pk) in found()

    def test_a_line_that_is_gone(self, payout):
        PayoutLine.objects.first().delete()
        assert found() == [("L7", payout.pk)]

    def test_an_entry_that_is_settled_by_more_than_there_is(self, payout):
        line = PayoutLine.objects.order_by("-amount").first()
        PayoutLine.objects.filter(pk=line.pk).update(amount=5001)
        assert set(found()) == {("L7", payout.pk), ("L7", line.entry_id)}

    def test_a_payout_that_was_not_booked(self, payout):
        journal = Journal.objects.get(kind=Kind.PAYOUT_CREATED)
        Journal.objects.filter(pk=journal.pk).update(source_id="po_of_somebody_else")
        assert {("L8", payout.pk), ("L8", journal.pk)} <= set(found())

    def test_a_status_that_was_changed(self, payout):
        Payout.objects.update(status="failed", due_at=None)
        assert set(found()) == {("L8", payout.pk), ("L6", payout.pk)}

    @pytest.mark.parametrize("kind", [Kind.PAYOUT_CREATED, Kind.PAYOUT_PAID])
    def test_a_journal_of_other_money(self, payout, kind):
        entries = Entry.objects.filter(journal__kind=kind)
        entries.filter(amount__gt=0).update(amount=5999)
        entries.filter(amount__lt=0).update(amount=-5999)
        assert ("L8", payout.pk) in found()

    def test_a_failure_whose_money_has_not_come_back(self, payout):
        Payout.objects.update(status="failed")
        reverse(Journal.objects.get(kind=Kind.PAYOUT_PAID))
        assert ("L8", payout.pk) in found()
        reverse(Journal.objects.get(kind=Kind.PAYOUT_CREATED))
        assert ("L8", payout.pk) not in found()

    def test_another_amount_at_the_bank(self, payout):
        Payout.objects.update(due_at=None)
        Transfer.objects.update(amount=6001)
        assert found() == [("L6", payout.pk)]

    def test_a_transfer_that_is_gone(self, payout):
        Transfer.objects.all().delete()
        assert found() == [("L6", payout.pk)]

    def test_a_transfer_that_nobody_asked_for(self, payout):
        stray = Transfer.objects.create(key="x", account=payout.merchant_id, amount=1, currency="USD")
        assert found() == [("L6", stray.pk)]


class TestLeavesInFlight:
    def test_what_has_left_while_the_books_were_read(self, payout, monkeypatch):
        """The bank has it, and the first look at our rows has not."""
        Payout.objects.update(status="pending")
        statement = CARRIERS["sandbox"].statement

        def leaves_meanwhile(account):
            Payout.objects.update(status="in_transit")
            return statement(account)

        monkeypatch.setattr(CARRIERS["sandbox"], "statement", leaves_meanwhile)
        assert list(carriers_report_what_is_booked()) == []

    def test_what_the_bank_is_about_to_be_asked(self, payout):
        Transfer.objects.update(status="failed")
        assert payout.due_at is not None
        assert found() == []

    @pytest.mark.parametrize("fault", ["silent", "down", "garbage"])
    def test_everything_while_the_bank_does_not_answer(self, payout, settings, fault):
        Transfer.objects.all().delete()
        settings.SANDBOX_FAULT = fault
        assert [it.row for it in verify() if it.unchecked and "sandbox" in it.text] == [payout.merchant_id] * 2
        assert found() == [("L6", payout.merchant_id)] * 2  # of its payouts, and of its payments


class TestTheDatabaseItself:
    def test_refuses_to_change_a_line(self, payout):
        triggers.install(connection)
        with pytest.raises(Exception, match="never changed"):
            PayoutLine.objects.update(amount=1)
        with pytest.raises(Exception, match="never changed"):
            PayoutLine.objects.all().delete()
