"""`manage.py verify_ledger`: proves that the books agree, or says which row breaks them."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ledger.verification import checks, lift_halts, verify


class Command(BaseCommand):
    help = "Checks every invariant of the ledger and names the rows that break one; exit code 1 when there are any."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--lift", action="store_true", help="when all agrees, let payouts go on")

    def handle(self, *args: Any, **options: Any) -> None:
        faults = verify()
        for fault in faults:
            self.stdout.write(str(fault))
        if faults:
            raise SystemExit(1)
        self.stdout.write(f"{len(checks)} checks: the books agree.")
        if options["lift"]:
            lift_halts()
