"""Mails as rows: what is queued is sent once it is committed, again when it failed, and then says nothing more."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPSenderRefused, SMTPServerDisconnected

import pytest
from django.core import mail as django_mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection, connections, transaction
from django.db.utils import IntegrityError
from django.template import TemplateDoesNotExist
from django.utils import timezone

from core import mail, queue
from core.mail import (
    KEPT,
    KEPT_TO_SEND_AGAIN,
    MAX_ATTEMPTS,
    OUTAGE_PAUSE,
    RETRY_DELAYS,
    Email,
    NothingToSend,
    Status,
    is_permanent,
    prune_emails,
    queue_email,
    send_again,
    send_emails,
)
from core.tests.mail_server import CONTENT, GREETING, MailServer

LINK = "https://pay.example.com/verify/one-time-secret"
NOW = timezone.now


@pytest.fixture
def later(time_machine):
    """`later(delta)` moves the clock, which otherwise stands still."""
    time_machine.move_to(NOW(), tick=False)
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


def queued(to="jane@example.com", **options):
    return queue_email("verify_email", to=to, context={"name": "Jane", "url": LINK}, **options)


def row(email):
    return Email.objects.get(pk=email.pk)


def make_due(**changes):
    Email.objects.filter(status=Status.QUEUED).update(due_at=NOW(), **changes)


@pytest.mark.django_db
class TestQueuedMail:
    def test_is_sent(self, outbox):
        email = queued()
        send_emails()
        assert [(sent.to, sent.subject) for sent in outbox] == [(["jane@example.com"], "Confirm your email address")]
        assert LINK in outbox[0].body
        assert LINK in outbox[0].alternatives[0].content
        assert (row(email).status, row(email).due_at) == (Status.SENT, None)
        assert abs(row(email).sent_at - NOW()) < timedelta(minutes=1)

    def test_is_sent_once(self, outbox):
        queued()
        send_emails(), send_emails()
        assert len(outbox) == 1

    def test_goes_out_under_its_merchants_name(self, outbox, settings):
        settings.DEFAULT_FROM_EMAIL = "Tillgate <no-reply@pay.example.com>"
        queued(from_name='Müller, "Söhne"\r\nBcc: all@example.com', reply_to="help@shop.example.com")
        queued()
        send_emails()
        of_merchant, of_ours = (sent.message() for sent in outbox)
        assert of_ours["From"] == "Tillgate <no-reply@pay.example.com>"
        assert str(of_merchant["From"]).endswith(" <no-reply@pay.example.com>")
        assert of_merchant["Reply-To"] == "help@shop.example.com"
        assert of_ours["Reply-To"] is of_merchant["Bcc"] is None
        assert "Sent by Müller, &quot;Söhne&quot; Bcc: all@example.com" in outbox[0].alternatives[0].content

    def test_is_sent_by_the_worker(self):
        assert queue.registry["core.send_emails"].handler is send_emails
        assert queue.registry["core.prune_emails"].handler is prune_emails

    def test_asks_machines_not_to_answer(self, outbox):
        queued()
        send_emails()
        assert outbox[0].message()["Auto-Submitted"] == "auto-generated"

    @pytest.mark.parametrize(
        ("language", "subject"),
        [("en", "Confirm"), ("fr", "Confirmez"), ("fr-ca", "Confirmez"), ("xx", "Confirm"), ("../..", "Confirm")],
    )
    def test_speaks_the_readers_language(self, outbox, language, subject):
        queued(language=language)
        send_emails()
        assert outbox[0].subject.split()[0] == subject

    def test_of_no_template_is_refused_at_once(self):
        with pytest.raises(TemplateDoesNotExist):
            queue_email("love_letter", to="jane@example.com", context={})


@pytest.mark.django_db
class TestContext:
    def stored(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT context FROM core_email")
            return cursor.fetchone()[0]

    def test_is_encrypted_while_it_waits(self):
        queued()
        assert "one-time-secret" not in self.stored()

    def test_is_gone_when_the_mail_is_sent(self):
        queued()
        send_emails()
        assert self.stored() is None

    def test_cannot_outlive_the_sending(self):
        email = queued()
        with pytest.raises(IntegrityError), transaction.atomic():
            Email.objects.filter(pk=email.pk).update(status=Status.SENT, sent_at=NOW(), due_at=None)

    def test_that_no_key_opens_stops_no_other_mail(self, outbox, settings):
        ours = settings.ENCRYPTION_KEYS
        settings.ENCRYPTION_KEYS = ["Dh0cEgKxUjHbVq4ZC5JcNKTGgnKFpnoXSZbXkqLzGn0="]
        lost = queued()
        settings.ENCRYPTION_KEYS = ours
        queued(to="john@example.com")
        send_emails()
        assert [sent.to for sent in outbox] == [["john@example.com"]]
        lost = Email.objects.defer("context").get(pk=lost.pk)
        assert (lost.status, lost.last_error.split(":")[0]) == (Status.QUEUED, "DecryptionError")


@pytest.mark.django_db(transaction=True)
class TestTransaction:
    def send_in_another_thread(self):
        def run():
            try:
                return send_emails()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(run).result()

    @pytest.mark.skipif(connection.vendor == "sqlite", reason="its one writer is the test")
    def test_that_is_open_keeps_its_mail_back(self, outbox):
        with transaction.atomic():
            queued()
            assert self.send_in_another_thread() == 0
        assert self.send_in_another_thread() == 1
        assert len(outbox) == 1

    def test_that_is_rolled_back_sends_nothing(self, outbox):
        with transaction.atomic():
            queued()
            transaction.set_rollback(True)
        assert self.send_in_another_thread() == 0
        assert outbox == []

    def test_is_not_open_towards_the_server(self, settings):
        settings.EMAIL_BACKEND = f"{__name__}.{WatchingBackend.__name__}"
        queued()
        assert send_emails() == 1
        assert WatchingBackend.seen == [False, False]

    def test_of_many_workers_sends_each_mail_once(self, outbox):
        for number in range(20):
            queued(to=f"{number}@example.com")
        with ThreadPoolExecutor(4) as pool:
            turns = [pool.submit(self.send_in_another_thread) for _worker in range(4)]
        assert sum(turn.result() for turn in turns) == 20
        assert sorted(sent.to[0] for sent in outbox) == sorted(f"{number}@example.com" for number in range(20))


class WatchingBackend(EmailBackend):
    """Notes whether a transaction is open while the server is spoken to."""

    seen: list[bool] = []

    def open(self):
        self.seen.append(connection.in_atomic_block)

    def send_messages(self, messages):
        self.seen.append(connection.in_atomic_block)
        return super().send_messages(messages)


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

    def test_that_never_takes_it_is_given_up(self, server):
        email = queued()
        server.replies["rcpt"] = "450 Mailbox busy"
        waits = []
        for _attempt in range(MAX_ATTEMPTS - 1):
            send_emails()
            waits.append(round((row(email).due_at - NOW()).total_seconds()))
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


@pytest.fixture
def given_up(server, db):
    def make(**options):
        email = queued(**options)
        server.replies["rcpt"] = "550 No such user"
        send_emails()
        server.replies.clear()
        return row(email)

    return make


class TestSendingAgain:
    def test_queues_a_mail_that_was_given_up(self, given_up, server):
        email = given_up()
        send_again(email.pk)
        assert (row(email).status, row(email).attempts) == (Status.QUEUED, 0)
        send_emails()
        assert row(email).status == Status.SENT
        assert LINK in server.mails[0].get_body().get_content()

    def test_is_for_no_other_mail(self, given_up, server):
        forgotten, waiting, sent = given_up(), queued(), queued()
        Email.objects.filter(pk=forgotten.pk).update(context=None)
        Email.objects.filter(pk=sent.pk).update(status=Status.SENT, sent_at=NOW(), due_at=None, context=None)
        for email_id in (forgotten.pk, waiting.pk, sent.pk, "eml_01m7xt2s0arrqj7g231der0e2g"):
            with pytest.raises(NothingToSend):
                send_again(email_id)


class TestPruning:
    def test_forgets_what_a_mail_said_that_was_given_up_a_week_ago(self, given_up, later):
        email = given_up()
        prune_emails()
        assert row(email).context is not None
        later(KEPT_TO_SEND_AGAIN + timedelta(minutes=1))
        prune_emails()
        assert row(email).context is None
        with pytest.raises(NothingToSend):
            send_again(email.pk)

    def test_deletes_old_mails_in_batches(self, given_up, monkeypatch, later):
        monkeypatch.setattr(mail, "PRUNE_BATCH", 2)
        for _mail in range(3):
            given_up()
        later(KEPT - timedelta(minutes=1))
        assert prune_emails() == 0
        later(timedelta(minutes=2))
        young = queued()
        assert [prune_emails(), prune_emails(), prune_emails()] == [2, 1, 0]
        assert list(Email.objects.all()) == [young]

    def test_keeps_a_mail_that_still_waits(self, db, later):
        email = queued()
        later(KEPT * 2)
        assert prune_emails() == 0
        assert row(email).status == Status.QUEUED
