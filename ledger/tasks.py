"""The jobs of the ledger (core/queue.py)."""

from core.queue import drain, periodic
from ledger.balances import take_snapshots
from ledger.models import Settlement
from ledger.services import settle
from ledger.verification import verify_and_halt

TEN_MINUTES, DAY = 600.0, 86_400.0


def run_settlements() -> int:
    return drain(Settlement.objects.all(), settle)


periodic("ledger.settlements", 5.0, run_settlements)
periodic("ledger.snapshots", TEN_MINUTES, take_snapshots)
periodic("ledger.verify", DAY, verify_and_halt)
