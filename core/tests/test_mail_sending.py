"""What happens between us and a mail server that is busy, silent, away, or says no."""

import os
import signal
from datetime import timedelta
from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPSenderRefused, SMTPServerDisconnected

import pytest
from django.core import mail as django_mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import OperationalError, connection, connections
from django.utils import timezone

from core import mail, queue
from core.mail import MAX_ATTEMPTS, OUTAGE_PAUSE, RETRY_DELAYS, Email, Status, is_permanent, send_emails
from core.tests.mail_server import CONTENT, GREETING
from core.tests.mails import make_due, queued, row

NOW = timezone.now


@pytest.mark.django_db
class TestServer:
    def test_takes_all_that_is_due_in_one_conversation(self, server):
        emails = [queued(to=f"{number}@example.com") for number in range(5)]
        assert send_emails() == 5
        assert [sent["To"] for sent in server.mails] == [email.to for email in emails]
        assert server.conversations == 1

    def test_is_left_alone_when_nothing_is_due(self, server):
        assert send_emails() == 0
        assert server.conversations == 0

    def test_that_is_busy_is_tried_again(self, server):
        email = queued()
        server.replies[CONTENT] = "451 Later"
        before = NOW()
        send_emails()
        assert row(email).status == Status.QUEUED
        assert before + RETRY_DELAYS[0] <= row(email).due_at <= NOW() + RETRY_DELAYS[0]
        assert "Later" in row(email).last_error
        server.replies.clear()
        make_due()
        send_emails()
        assert (row(email).status, row(email).last_error) == (Status.SENT, "")

    def test_that_never_takes_it_is_given_up(self, server, time_machine):
        time_machine.move_to(NOW(), tick=False)
        email = queued()
        server.replies["rcpt"] = "450 Mailbox busy"
        waits = []
        for _attempt in range(MAX_ATTEMPTS - 1):
            send_emails()
            waits.append((row(email).due_at - NOW()).total_seconds())
            make_due()
        assert waits == [10, 60, 300, 900, 3600, 10800, 21600, 43200, 86400]
        send_emails()
        assert (row(email).status, row(email).due_at, row(email).attempts) == (Status.FAILED, None, MAX_ATTEMPTS)
        assert "Mailbox busy" in row(email).last_error

    @pytest.mark.parametrize("verb", ["rcpt", CONTENT])
    def test_that_refuses_it_for_good_is_asked_once(self, server, verb):
        email = queued()
        server.replies[verb] = "550 5.1.1 No such user"
        send_emails()
        assert (row(email).status, row(email).due_at, row(email).attempts) == (Status.FAILED, None, 1)
        assert "No such user" in row(email).last_error

    @pytest.mark.parametrize("verb", ["mail", "ehlo", GREETING])
    def test_that_refuses_us_is_tried_again(self, server, verb):
        email = queued()
        server.replies |= {verb: "554 Not from you", "helo": "554 Not from you"}
        send_emails()
        assert (row(email).status, row(email).attempts) == (Status.QUEUED, 1)

    @pytest.mark.parametrize("verb", [GREETING, "mail", CONTENT])
    def test_that_falls_silent_is_tried_again(self, server, settings, verb):
        settings.EMAIL_TIMEOUT = 0.1
        email = queued()
        server.replies[verb] = ""
        send_emails()
        assert (row(email).status, row(email).attempts) == (Status.QUEUED, 1)
        assert "timed out" in row(email).last_error

    def test_that_refuses_one_mail_gets_the_others(self, server):
        first, second = queued(), queued(to="john@example.com")
        server.replies["rcpt TO:<jane"] = "450 Mailbox busy"
        send_emails()
        assert [row(first).status, row(second).status] == [Status.QUEUED, Status.SENT]


@pytest.mark.django_db
class TestBacklog:
    def test_of_mails_takes_no_site_out_of_service(self, later):
        queued()
        later(mail.PATIENCE)
        assert queue.late_rows()["Email"] == 0
        later(queue.LATE + timedelta(seconds=1))
        assert queue.late_rows()["Email"] == 1


@pytest.mark.django_db
class TestOutage:
    @pytest.fixture(autouse=True)
    def _nobody_listens(self, server):
        server.shutdown()
        server.server_close()

    def test_costs_one_attempt_for_all_that_is_due(self):
        emails = [queued() for _mail in range(5)]
        before = NOW()
        assert send_emails() == 1
        assert sorted(row(email).attempts for email in emails) == [0, 0, 0, 0, 1]
        waiting = [row(email).due_at for email in emails if not row(email).attempts]
        assert all(before + OUTAGE_PAUSE <= due_at <= NOW() + OUTAGE_PAUSE for due_at in waiting)

    def test_makes_no_mail_late(self, later):
        for _mail in range(30):
            queued()
        for _turn in range(60):
            later(10)
            send_emails()
            assert not Email.objects.filter(due_at__lt=NOW() - queue.LATE).exists()

    def test_ends_in_all_mails_sent(self, outbox, settings, later):
        emails = [queued() for _mail in range(5)]
        send_emails()
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        later(OUTAGE_PAUSE)
        send_emails()
        assert len(outbox) == len(emails)


class TestRefusal:
    @pytest.mark.parametrize(
        ("error", "permanent"),
        [
            (SMTPRecipientsRefused({"a@b.example": (550, b"no such user")}), True),
            (SMTPRecipientsRefused({"a@b.example": (450, b"greylisted")}), False),
            (SMTPDataError(554, b"refused"), True),
            (SMTPDataError(452, b"disk full"), False),
            (SMTPSenderRefused(553, b"not yours", "no-reply@pay.example.com"), False),
            (SMTPServerDisconnected("gone"), False),
            (ConnectionRefusedError(), False),
            (TimeoutError(), False),
        ],
    )
    def test_is_permanent_when_it_is_about_the_recipient_or_the_mail(self, error, permanent):
        assert is_permanent(error) is permanent


@pytest.mark.django_db
class TestLease:
    def test_that_is_nearly_over_is_not_enough_to_send_in(self, outbox):
        queued()
        email = queue.claim(Email.objects.all())
        email.due_at = NOW() + timedelta(seconds=30)
        Email.objects.update(due_at=email.due_at)
        mail.send_email(email, connection=EmailBackend())
        assert outbox == []
        assert (row(email).status, row(email).last_error.split(":")[0]) == (Status.QUEUED, "TimeoutError")

    def test_that_is_over_leaves_the_mail_to_its_next_holder(self, server):
        queued()
        ours = queue.claim(Email.objects.all())
        make_due()
        theirs = queue.claim(Email.objects.all())
        server.replies["rcpt"] = "550 No such user"
        mail.send_email(ours, connection=django_mail.get_connection())
        assert (row(ours).status, row(ours).due_at, row(ours).last_error) == (Status.QUEUED, theirs.due_at, "")

    def test_that_crashes_took_too_often_is_the_last(self, outbox):
        email = queued()
        make_due(attempts=MAX_ATTEMPTS)
        send_emails()
        assert outbox == []
        assert (row(email).status, row(email).due_at) == (Status.FAILED, None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
class TestKilledWorker:
    def test_between_sending_and_marking_sends_again_under_the_same_message_id(self, server, monkeypatch):
        email = queued()
        connections.close_all()
        child = os.fork()
        if child == 0:
            mail._end = lambda *_arguments, **_fields: os.kill(os.getpid(), signal.SIGKILL)
            send_emails()
            os._exit(0)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert row(email).status == Status.QUEUED
        make_due()
        send_emails()
        first, second = server.mails
        assert first["Message-ID"] == second["Message-ID"] == f"<{email.pk}@testserver>"
        assert row(email).status == Status.SENT


@pytest.mark.django_db(transaction=True)
class TestConflict:
    def test_that_is_lost_after_sending_sends_nothing_again(self, server):
        email, lost = queued(), []

        def lose_once(execute, sql, *arguments):
            if "sent_at" in sql and sql.startswith("UPDATE") and not lost:
                lost.append(sql)
                raise OperationalError(1213, "Deadlock found")
            return execute(sql, *arguments)

        with connection.execute_wrapper(lose_once):
            send_emails()
        make_due()
        send_emails()
        assert len(lost) == len(server.mails) == 1
        assert row(email).status == Status.SENT
