"""verify_ledger finds what is wrong, and names the row."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from core.ids import new_id
from ledger import triggers
from ledger.balances import take_snapshot
from ledger.models import Account, Entry, Journal, Kind, Settlement, Snapshot
from ledger.services import reverse
from ledger.verification import verify
from payments.models import Payment, ProviderNotice, Transaction
from payments.services import start_attempt
from refunds.books import providers_report_what_is_booked
from refunds.models import Refund
from refunds.services.notices import ON_ITS_WAY
from sandbox import services as sandbox
from sandbox.models import Charge, Operation

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


def found():
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
        assert found() == [("L8", settlement.capture.source_id)]

    def test_a_reversal_that_is_not_the_opposite(self):
        reversal = reverse(Journal.objects.filter(kind=Kind.REFUND_SUCCEEDED).get())
        debit, credit = reversal.entries.order_by("pk")
        Entry.objects.filter(pk=debit.pk).update(amount=debit.amount * 2)
        Entry.objects.filter(pk=credit.pk).update(amount=credit.amount * 2)
        assert ("L3", reversal.pk) in found()

    def test_triggers_that_are_gone(self):
        actions = ["update", "delete"] + (["truncate"] if connection.vendor == "postgresql" else [])
        tables = ["ledger_journal", "ledger_entry", "ledger_payoutline"]
        assert [fault.row for fault in verify()] == [f"{table}_no_{action}" for table in tables for action in actions]

    def test_a_trigger_that_is_disabled(self):
        if connection.vendor != "postgresql":
            pytest.skip("only PostgreSQL can disable one")
        triggers.install(connection)
        assert verify() == []
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE ledger_entry DISABLE TRIGGER ledger_entry_no_update")
        assert [(fault.rule, fault.row) for fault in verify()] == [("L3", "ledger_entry_no_update")]


@pytest.fixture
def later(books, time_machine):
    """When nothing can be on its way any more."""
    time_machine.move_to(timezone.now() + ON_ITS_WAY + timedelta(minutes=1))
    assert found() == []


@pytest.mark.usefixtures("later")
class TestFindsAtTheProvider:
    """L6. A charge is a sale of 50.00, the operation a refund of 20.00."""

    def test_a_charge_of_another_amount(self):
        charge = rows(Charge).first()
        Charge.objects.filter(pk=charge.pk).update(amount=4999, amount_captured=4999)
        assert found() == [("L6", charge.key)]

    def test_a_charge_of_another_currency(self):
        charge = rows(Charge).first()
        Charge.objects.filter(pk=charge.pk).update(currency="EUR")
        assert found() == [("L6", charge.key)]

    def test_a_refund_of_another_amount(self):
        Operation.objects.update(amount=1999)
        assert found() == [("L6", Operation.objects.get().key)]

    def test_a_refund_that_came_to_nothing_there(self):
        Operation.objects.update(status="failed")
        assert found() == [("L6", Operation.objects.get().key)]

    def test_a_charge_that_is_gone(self):
        charge = Charge.objects.get(operations=None)
        charge.delete()
        assert found() == [("L6", charge.key)]

    def test_a_charge_that_we_never_heard_of(self, time_machine):
        charge = Charge.objects.get(operations=None)
        charge.pk, charge.key = new_id("ch"), new_id("txn")
        charge.save(force_insert=True)
        assert found() == []  # it may be on its way
        time_machine.move_to(timezone.now() + ON_ITS_WAY * 2)
        assert found() == [("L6", charge.pk)]

    def test_a_refund_that_we_never_heard_of(self, time_machine):
        charge = Charge.objects.get(operations=None)
        operation = sandbox.create_refund(key="by-hand", charge_id=charge.pk, amount=1)
        assert found() == []
        time_machine.move_to(timezone.now() + ON_ITS_WAY * 2)
        assert found() == [("L6", operation["id"])]

    def test_entries_of_another_amount(self):
        journal = Journal.objects.filter(kind=Kind.CAPTURE).first()
        for entry in journal.entries.all():
            Entry.objects.filter(pk=entry.pk).update(amount=entry.amount // 5)
        assert set(found()) == {("L6", journal.source_id), ("L8", journal.source_id)}

    def test_a_capture_that_was_not_booked(self):
        journal = Journal.objects.filter(kind=Kind.CAPTURE).first()
        Journal.objects.filter(pk=journal.pk).update(source_id="txn_of_somebody_else")
        assert ("L6", journal.source_id) in found()

    def test_a_refund_that_is_booked_as_undone(self):
        reverse(Journal.objects.get(kind=Kind.REFUND_SUCCEEDED))
        assert ("L6", Refund.objects.get().transaction_id) in found()

    def test_a_transaction_of_another_merchants_account(self):
        charge = Charge.objects.get(operations=None)
        Charge.objects.filter(pk=charge.pk).update(account=new_id("mer"))
        assert found() == [("L6", charge.key)]


class TestOrdinaryLife:
    @pytest.fixture
    def post(self, api, owner):
        return lambda path, **body: api.post(f"/api/v1/{path}", body, headers=owner, content_type="application/json")

    def test_agrees_with_the_provider_at_every_step(self, pay, post, work):
        """Declines, captures in part, voids, refunds at once, slow, refused late and made by hand."""
        numbers = ["4242424242424242", "4000000000000002", "4000000000007726", "4000000000005126"]
        ids = [pay(**{**CARD, "card_number": number}).json()["payment"]["id"] for number in numbers]
        held = [pay(**CARD, capture_method="manual").json()["payment"]["id"] for _n in range(2)]
        paypal = pay().json()["payment"]["id"]
        start_attempt(payment_id=paypal, attempt=0, method="paypal")
        work()
        agree()
        post(f"payments/{held[0]}/capture", amount=20)
        post(f"payments/{held[1]}/cancel")
        for payment_id in [*ids, held[0]]:
            post(f"payments/{payment_id}/refund", amount=10)
        sandbox.decide(charge_id=Charge.objects.get(method="paypal").pk, approve=True)
        agree()
        work()
        sandbox.create_refund(key="by-hand", charge_id=Charge.objects.filter(token="tok_visa").first().pk, amount=5)
        work()
        agree()
        Operation.objects.filter(due_at__isnull=False).update(due_at=timezone.now())  # the bank sends one back
        work()
        agree()
        assert Refund.objects.filter(status="failed").exists()

    def test_is_compared_by_as_many_queries_however_much_there_is(self, pay, work, django_assert_num_queries):
        for _step in range(2):
            for _n in range(5):
                pay(**CARD)
            work()
            # Merchants, notices, a page of charges with its operations, its transactions, all that is booked.
            with django_assert_num_queries(6):
                assert list(providers_report_what_is_booked()) == []


def agree():
    """At this moment, and if nothing more came on its way."""
    assert verify() == []
    with time_machine.travel(timezone.now() + ON_ITS_WAY * 2):
        assert verify() == []


@pytest.mark.usefixtures("later")
class TestLeavesInFlight:
    @pytest.fixture
    def txn(self):
        """Of a charge that the provider says was another amount."""
        charge = Charge.objects.get(operations=None)
        Charge.objects.filter(pk=charge.pk).update(amount=4999, amount_captured=4999)
        assert len(found()) == 1
        return Transaction.objects.filter(pk=charge.key)

    @pytest.mark.parametrize(
        "state", [{"review_reason": "?"}, {"due_at": timezone.now()}], ids=["parked", "due to be asked about"]
    )
    def test_what_somebody_looks_at(self, txn, state):
        txn.update(**state)
        assert found() == []

    def test_what_a_payer_has_not_finished(self, txn):
        Journal.objects.filter(kind=Kind.CAPTURE, source_id=txn.get().pk).update(source_id="x")
        txn.update(status="processing")
        assert "L6" not in dict(found())

    def test_what_a_notice_has_told_and_nobody_taken_in(self, txn):
        operation = sandbox.create_refund(key="by-hand", charge_id=Charge.objects.get(operations=None).pk, amount=1)
        Operation.objects.update(updated_at=timezone.now() - ON_ITS_WAY * 2)
        assert ("L6", operation["id"]) in found()
        sent = {"provider": "sandbox", "event_id": "1", "kind": "refund", "type": "refund.succeeded"}
        ProviderNotice.objects.create(payload={"key": "by-hand"}, due_at=timezone.now(), **sent)
        assert ("L6", operation["id"]) not in found()

    @pytest.mark.parametrize("fault", ["down", "silent", "garbage"])
    def test_everything_while_the_provider_does_not_answer(self, txn, settings, fault):
        settings.SANDBOX_FAULT = fault
        assert [(it.rule, it.row) for it in verify() if it.unchecked] == [("L6", txn.get().merchant_id)]
        assert len(found()) == 1
