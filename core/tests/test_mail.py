"""Mails as rows: what is queued is sent once it is committed, then says nothing more, and in the end is deleted."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection, connections, transaction
from django.db.utils import IntegrityError
from django.template import TemplateDoesNotExist
from django.utils import timezone

from core import mail, queue
from core.mail import (
    KEPT,
    KEPT_TO_SEND_AGAIN,
    Email,
    NothingToSend,
    Status,
    prune_emails,
    queue_email,
    send_again,
    send_emails,
)
from core.tests.mails import LINK, queued, row
from tests.deadlocks import deadlock_at

NOW = timezone.now


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

    def test_of_what_has_happened_is_never_one_too_many(self):
        for _n in range(7):
            queue_email("password_changed", to="jane@example.com", context={"name": "Jane", "at": "now"})
            queued()
        waiting = Email.objects.filter(status=Status.QUEUED).values_list("template", flat=True)
        assert Counter(waiting) == {"password_changed": 7, "verify_email": 5}

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

    def test_that_loses_a_deadlock_forgets_nothing_that_was_sent(self, outbox):
        email = queued()
        with deadlock_at("UPDATE", "sent_at"):
            send_emails()
        Email.objects.filter(due_at__isnull=False).update(due_at=NOW())
        send_emails()
        assert len(outbox) == 1
        assert row(email).status == Status.SENT

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
