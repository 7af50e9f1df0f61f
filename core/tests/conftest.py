"""What more than one file of these tests needs."""

import threading

import pytest
from django.core import mail as django_mail
from django.utils import timezone

from core.tests.mail_server import MailServer


@pytest.fixture
def later(time_machine):
    """`later(delta)` moves the clock, which otherwise stands still."""
    time_machine.move_to(timezone.now(), tick=False)
    return time_machine.shift


@pytest.fixture
def outbox():
    return django_mail.outbox


@pytest.fixture
def server(settings):
    """A mail server of this test, which mails now go to."""
    with MailServer() as running:
        threading.Thread(target=running.serve_forever, args=[0.01], daemon=True).start()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = running.server_address
        yield running
        running.shutdown()
