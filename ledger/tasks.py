"""The jobs of the ledger (core/queue.py)."""

from core.queue import drain, periodic
from ledger.balances import take_snapshots
from ledger.models import BankAccount, Payout, Settlement
from ledger.services import run_payout, run_schedule, settle
from ledger.verification import verify_and_halt

TEN_MINUTES, DAY = 600.0, 86_400.0


def run_settlements() -> int:
    return drain(Settlement.objects.all(), settle)


def run_payouts() -> int:
    return drain(Payout.objects.all(), run_payout)


def run_schedules() -> int:
    return drain(BankAccount.objects.sealed(), run_schedule)


periodic("ledger.settlements", 5.0, run_settlements)
periodic("ledger.payouts", 1.0, run_payouts)
periodic("ledger.schedules", 30.0, run_schedules)
periodic("ledger.snapshots", TEN_MINUTES, take_snapshots)
periodic("ledger.verify", DAY, verify_and_halt)
