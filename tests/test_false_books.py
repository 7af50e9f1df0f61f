"""verify_ledger finds what was booked for nothing, and what is not booked as its row says, and names it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from core.ids import new_id
from ledger import triggers
from ledger.models import BALANCE_OF, POSTINGS, Account, Entry, Fee, Journal, Kind, Settlement
from ledger.services import book, reverse
from ledger.verification import verify
from payments.models import Transaction
from refunds.models import Refund
from refunds.services import cancel_refund, create_refund

CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
TAKEN, FEE = 5000, 500


@pytest.fixture
def books(transactional_db, shop, owner, api, pay, work, time_machine):
    """A payment that is settled and partly refunded, and one that is not settled yet; each has cost a fee. The triggers
    stand aside, so that a test can corrupt a row."""
    Fee.objects.create(merchant=shop, payee="platform", currency="USD", basis_points=1000)
    payment_id = pay(**CARD).json()["payment"]["id"]
    work()
    api.post(f"/api/v1/payments/{payment_id}/refund", {"amount": 20}, headers=owner, content_type="application/json")
    work()
    time_machine.move_to(timezone.now() + timedelta(days=3))
    pay(**CARD)
    work()
    assert set(Journal.objects.values_list("kind", flat=True)) == {
        *(Kind.CAPTURE, Kind.FEE, Kind.SETTLEMENT, Kind.REFUND_RESERVED, Kind.REFUND_SUCCEEDED)
    }
    assert verify() == []
    triggers.remove(connection)
    yield shop
    triggers.install(connection)


@pytest.fixture
def invent(books):
    """Books what nobody has done: by default on the right accounts."""

    def write(kind, source_id, *lines, amount=100):
        debit, credit = POSTINGS.get(kind, (Account.PROVIDER_RECEIVABLE, Account.MERCHANT_AVAILABLE))
        lines = lines or [(debit, amount), (credit, -amount)]
        return book(kind, source_id, merchant_id=books.pk, currency="USD", lines=lines)

    return write


def found():
    """Rule and row of each fault; the missing triggers are the fixture's own doing."""
    return [(fault.rule, fault.row) for fault in verify() if not fault.row.startswith("ledger_")]


def first():
    """The transaction that is settled."""
    return Transaction.objects.filter(kind="sale").earliest("pk")


def last():
    """The one that is not."""
    return Transaction.objects.filter(kind="sale").latest("pk")


def change(kind, **fields):
    """Gives the first journal of a kind other lines: `debit` and `credit` accounts, or an `amount`."""
    journal = Journal.objects.filter(kind=kind).earliest("pk")
    for entry in journal.entries.all():
        side = "debit" if entry.amount > 0 else "credit"
        entry.account = fields.get(side, entry.account)
        entry.balance = BALANCE_OF.get(entry.account, "")
        entry.amount = fields.get("amount", abs(entry.amount)) * (1 if side == "debit" else -1)
        Entry.objects.filter(pk=entry.pk).update(account=entry.account, balance=entry.balance, amount=entry.amount)
    return journal


@pytest.mark.usefixtures("books")
class TestFindsWhatWasBookedForNothing:
    @pytest.mark.parametrize("kind", list(POSTINGS))
    def test_a_journal_of_no_row(self, invent, kind):
        assert ("L8", invent(kind, f"bogus_{kind}").pk) in found()

    @pytest.mark.parametrize("kind", [kind for kind in POSTINGS if kind != Kind.REFUND_RESERVED])
    def test_a_journal_of_a_row_of_another_sort(self, invent, kind):
        """A chargeback of a transaction that took money, a capture of a refund, and so on."""
        of_refund = kind in (Kind.CAPTURE, Kind.FEE, Kind.SETTLEMENT)
        assert ("L8", invent(kind, Refund.objects.get().pk if of_refund else first().pk).pk) in found()

    def test_a_reversal_of_nothing(self, invent):
        assert ("L3", invent(Kind.REVERSAL, "bogus").pk) in found()

    def test_a_reversal_of_something_else_than_it_says(self, invent):
        journal = Journal.objects.filter(kind=Kind.CAPTURE).earliest("pk")
        reversal = invent(Kind.REVERSAL, journal.pk, amount=TAKEN)
        Journal.objects.filter(pk=reversal.pk).update(reverses=Journal.objects.filter(kind=Kind.FEE).earliest("pk"))
        assert ("L3", reversal.pk) in found()

    def test_a_reversal_of_a_reversal(self):
        reversal = reverse(reverse(Journal.objects.get(kind=Kind.REFUND_SUCCEEDED)))
        assert ("L3", reversal.pk) in found()

    def test_a_reversal_for_another_merchant(self, books):
        reversal = reverse(Journal.objects.get(kind=Kind.REFUND_SUCCEEDED))
        Journal.objects.filter(pk=reversal.pk).update(currency="EUR")
        Entry.objects.filter(journal=reversal).update(currency="EUR")
        assert ("L3", reversal.pk) in found()

    @pytest.mark.parametrize("kind", [Kind.CAPTURE, Kind.FEE, Kind.SETTLEMENT])
    def test_a_reversal_of_what_stands(self, kind):
        reverse(Journal.objects.filter(kind=kind).earliest("pk"))
        assert ("L8", first().pk) in found()

    def test_a_settlement_before_its_time(self, invent):
        invent(Kind.SETTLEMENT, last().pk, amount=TAKEN - FEE)
        assert found() == [("L8", last().pk)]

    def test_a_second_return_of_a_refund_under_way(self, invent):
        refund, _replayed = create_refund(last().payment, key=None, by=None, amount="1.00")
        assert found() == []
        invent(Kind.REFUND_SUCCEEDED, refund.pk)
        assert found() == [("L8", refund.pk)]


@pytest.mark.usefixtures("books")
class TestFindsWhatIsNotBookedAsItsRowSays:
    @pytest.mark.parametrize(
        ("kind", "fields"),
        [
            (Kind.CAPTURE, {"credit": Account.MERCHANT_AVAILABLE}),
            (Kind.CAPTURE, {"debit": Account.SUSPENSE}),
            (Kind.FEE, {"debit": Account.FEES, "credit": Account.MERCHANT_PENDING}),
            (Kind.SETTLEMENT, {"debit": Account.SUSPENSE}),
            (Kind.REFUND_RESERVED, {"debit": Account.MERCHANT_PENDING}),
            (Kind.REFUND_SUCCEEDED, {"credit": Account.MERCHANT_AVAILABLE}),
        ],
    )
    def test_a_journal_on_other_accounts(self, kind, fields):
        assert found() == []
        assert ("L8", change(kind, **fields).pk) in found()

    @pytest.mark.parametrize("kind", [Kind.CAPTURE, Kind.FEE, Kind.SETTLEMENT])
    def test_another_amount_of_what_was_taken(self, kind):
        assert ("L8", change(kind, amount=499).source_id) in found()

    @pytest.mark.parametrize("kind", [Kind.REFUND_RESERVED, Kind.REFUND_SUCCEEDED])
    def test_another_amount_of_a_refund(self, kind):
        assert ("L8", change(kind, amount=1999).source_id) in found()

    def test_a_third_line(self, books):
        journal = Journal.objects.filter(kind=Kind.CAPTURE).earliest("pk")
        fields = {"journal": journal, "merchant": books, "currency": "USD"}
        Entry.objects.create(account=Account.SUSPENSE, amount=100, **fields)
        Entry.objects.create(account=Account.SUSPENSE, amount=-100, **fields)
        assert found() == [("L8", journal.pk)]

    def test_a_fee_that_the_transaction_does_not_know(self):
        Transaction.objects.filter(pk=first().pk).update(platform_fee=777)
        assert set(found()) == {("L8", first().pk)}

    def test_fees_above_the_amount(self):
        Transaction.objects.filter(pk=first().pk).update(platform_fee=TAKEN + 1)
        assert set(found()) == {("L8", first().pk)}

    def test_a_settlement_that_is_gone(self):
        Settlement.objects.filter(capture__source_id=last().pk).delete()
        assert found() == [("L8", last().pk)]

    def test_a_settlement_that_is_to_be_done_again(self):
        Settlement.objects.filter(capture__source_id=first().pk).update(due_at=timezone.now())
        assert found() == [("L8", first().pk)]

    def test_a_refund_called_off_whose_money_stays_set_aside(self):
        refund, _replayed = create_refund(last().payment, key=None, by=None, amount="1.00")
        cancel_refund(refund)
        assert found() == []
        reversal = Journal.objects.get(kind=Kind.REVERSAL)
        reversal.entries.all().delete()
        reversal.delete()
        assert found() == [("L8", refund.pk)]

    def test_a_refund_called_off_that_never_was_set_aside(self):
        refund = Refund.objects.get()
        Refund.objects.create(
            id=new_id("re"),
            merchant=refund.merchant,
            payment=refund.payment,
            charge=refund.charge,
            status="cancelled",
            amount=1,
            currency="USD",
        )
        assert found() == [("L8", Refund.objects.latest("pk").pk)]
