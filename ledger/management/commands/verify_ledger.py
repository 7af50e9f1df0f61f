"""`manage.py verify_ledger`: proves that the books agree, or says which row breaks them."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from ledger.verification import checks, lift_halts, verify

FAULTY, UNCHECKED = 1, 3  # exit codes; 2 is that of a command line that makes no sense


class Command(BaseCommand):
    help = (
        "Checks every invariant of the ledger and names the rows that break one. Exit code 1 when there are any, 3 "
        "when there are none but a provider or a bank gave no statement to compare."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--lift", action="store_true", help="when all was checked and agrees, let payouts go on")
        parser.add_argument("--by", default="", help="who lifts the halt although something stands or was not checked")
        parser.add_argument("--because", default="", help="why; both are kept with the halt")

    def handle(self, *args: Any, lift: bool, by: str, because: str, **options: Any) -> None:
        if bool(by) != bool(because) or (because and not lift):
            raise CommandError("To lift a halt in spite of what stands, give --lift, --by and --because.")
        started = timezone.now()
        found = verify()
        for fault in found:
            self.stdout.write(f"{'not checked: ' if fault.unchecked else ''}{fault}")
        if not found:
            self.stdout.write(f"{len(checks)} checks: the books agree.")
        if lift and (because or not found):
            lifted = lift_halts(found, before=started, by=by, because=because)
            self.stdout.write(f"{lifted} halts lifted.")
        elif found:
            raise SystemExit(UNCHECKED if all(fault.unchecked for fault in found) else FAULTY)
