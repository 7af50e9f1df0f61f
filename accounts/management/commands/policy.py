"""`manage.py policy`: the table of roles and permissions in Markdown, as docs/api.md shows it."""

from typing import Any

from django.core.management.base import BaseCommand

from accounts.policy import POLICY, SCOPES, Role


class Command(BaseCommand):
    help = "Prints who may do what, as a table in Markdown."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(_row("permission", *(role.value for role in Role), "API key"))
        self.stdout.write(_row(*["---"] * (len(Role) + 2)))
        for permission, roles in POLICY.items():
            has = [*(role in roles for role in Role), permission in SCOPES]
            self.stdout.write(_row(f"`{permission}`", *("yes" if it else "" for it in has)))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
