"""Mails for tests: one is queued, looked at again, and made due."""

from typing import Any

from django.utils import timezone

from core.mail import Email, Status, queue_email

LINK = "https://pay.example.com/verify/one-time-secret"


def queued(to: str = "jane@example.com", **options: Any) -> Email:
    return queue_email("verify_email", to=to, context={"name": "Jane", "url": LINK}, **options)


def row(email: Email) -> Email:
    return Email.objects.get(pk=email.pk)


def make_due(**changes: Any) -> None:
    Email.objects.filter(status=Status.QUEUED).update(due_at=timezone.now(), **changes)
