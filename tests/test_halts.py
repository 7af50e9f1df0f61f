"""What breaks the books halts payouts, until somebody has looked."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from ledger import verification
from ledger.management.commands.verify_ledger import FAULTY, UNCHECKED
from ledger.models import Halt
from ledger.verification import Fault, is_halted, verify, verify_and_halt
from payments.models import Payment
from refunds.services.notices import ON_ITS_WAY
from sandbox.models import Charge

CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
KNOWINGLY = {"by": "ada@example.com", "because": "the shop was told"}


@pytest.fixture
def payment(pay, work):
    """Of 50.00."""
    pay(**CARD)
    work()
    return Payment.objects.get()


@pytest.fixture
def corrupt(payment):
    """`corrupt(n)` has the payment say that another amount was captured."""
    return lambda number=1: Payment.objects.update(amount_captured=5000 + number)


def run(*arguments, **options):
    """The command's exit code, and what it says."""
    out = StringIO()
    try:
        call_command("verify_ledger", *arguments, stdout=out, **options)
    except SystemExit as stopped:
        return stopped.code, out.getvalue()
    return 0, out.getvalue()


class TestCommand:
    def test_says_that_the_books_agree(self, payment):
        code, said = run()
        assert code == 0
        assert "the books agree" in said

    def test_names_what_breaks_them_and_fails(self, payment, corrupt):
        corrupt()
        code, said = run()
        assert code == FAULTY
        assert f"L7 {payment.pk}" in said

    def test_says_what_was_not_checked_and_fails_otherwise(self, payment, settings):
        settings.SANDBOX_FAULT = "down"
        code, said = run()
        assert code == UNCHECKED
        assert f"not checked: L6 {payment.merchant_id}: sandbox gives no statement" in said

    def test_says_how_many_more_there_are(self, db, monkeypatch):
        def many():
            yield from (Fault("L7", f"pay_{n}", "…") for n in range(23))
            yield from (Fault("L6", f"mer_{n}", "…", unchecked=True) for n in range(21))

        monkeypatch.setattr(verification, "checks", [many])
        found = verify()
        assert len(found) == 42
        assert list(map(str, found[-2:])) == ["L7 many: 3 more", "L7 many: 1 more"]
        assert [fault.unchecked for fault in found[-2:]] == [False, True]


class TestNightlyCheck:
    def test_halts_payouts_once_and_until_somebody_has_looked(self, payment, corrupt):
        corrupt()
        verify_and_halt()
        verify_and_halt()
        assert is_halted()
        assert Halt.objects.get().reason.startswith("L7 pay_")
        corrupt(0)
        assert run("--lift")[0] == 0
        assert not is_halted()

    def test_leaves_books_alone_that_agree(self, payment):
        verify_and_halt()
        assert not is_halted()

    def test_does_not_halt_for_a_provider_that_is_away_but_says_so(self, payment, settings, caplog):
        settings.SANDBOX_FAULT = "down"
        verify_and_halt()
        assert not is_halted()
        assert "gives no statement" in caplog.text

    def test_says_in_the_halt_what_was_not_checked(self, payment, corrupt, settings):
        corrupt()
        settings.SANDBOX_FAULT = "down"
        verify_and_halt()
        assert f"L6 {payment.merchant_id}: sandbox gives no statement" in Halt.objects.get().reason


class TestLift:
    @pytest.fixture
    def halt(self, payment, corrupt):
        corrupt()
        verify_and_halt()
        return Halt.objects.get()

    def test_is_refused_while_a_fault_stands(self, halt):
        assert run("--lift")[0] == FAULTY
        assert is_halted()

    def test_is_refused_while_the_provider_cannot_be_asked(self, payment, settings, time_machine):
        Charge.objects.update(amount_captured=1)
        time_machine.move_to(timezone.now() + ON_ITS_WAY * 2)
        verify_and_halt()
        assert is_halted()
        settings.SANDBOX_FAULT = "down"
        assert run("--lift")[0] == UNCHECKED
        assert is_halted()
        assert run("--lift", **KNOWINGLY)[0] == 0
        assert not is_halted()

    def test_is_on_record_with_what_stood_who_and_why(self, halt):
        assert run("--lift", **KNOWINGLY)[0] == 0
        halt.refresh_from_db()
        assert halt.lifted_at is not None
        assert (halt.lifted_by, halt.lifted_because) == tuple(KNOWINGLY.values())
        assert halt.stood == halt.reason

    @pytest.mark.parametrize("missing", KNOWINGLY)
    def test_takes_both_who_and_why(self, halt, missing):
        with pytest.raises(CommandError):
            run("--lift", **{**KNOWINGLY, missing: ""})
        assert is_halted()

    def test_holds_for_what_stood(self, halt, corrupt):
        run("--lift", **KNOWINGLY)
        verify_and_halt()
        assert not is_halted()
        corrupt(2)
        verify_and_halt()
        assert is_halted()

    def test_is_over_once_the_books_have_agreed_again(self, halt, corrupt):
        run("--lift", **KNOWINGLY)
        corrupt(2)
        verify_and_halt()
        corrupt(0)
        run("--lift")
        corrupt(1)
        verify_and_halt()
        assert is_halted()

    def test_leaves_a_halt_that_came_meanwhile(self, payment, monkeypatch):
        def halts_meanwhile():
            Halt.objects.create(reason="L1")
            return []

        monkeypatch.setattr("ledger.management.commands.verify_ledger.verify", halts_meanwhile)
        assert run("--lift")[0] == 0
        assert is_halted()
