"""`manage.py seed_demo`: fills the embedded demo, once."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from config.demo import seed


class Command(BaseCommand):
    help = "Makes the demo's merchant, people and history. Does nothing when they exist; only where DEMO is true."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("Sample data is for the embedded demo only (DEMO=true).")
        history = seed(timezone.now())
        if history is not None:
            made = f"{len(history.payments)} payments, {len(history.refunds)} refunds, {len(history.payouts)} payouts"
            self.stdout.write(f"Made a store with {made}.")
