"""Emails. An app queues one in the transaction that the mail tells of; the worker renders and sends it.

The row is the job (core/queue.py): claimed, sent, marked, with no transaction open towards the mail server. A worker
that is killed between sending and marking has it sent again, under the same Message-ID, by which mail programs drop
the second.
"""

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import formataddr, parseaddr
from functools import partial
from smtplib import SMTPDataError, SMTPRecipientsRefused
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import get_language, get_supported_language_variant
from django.utils.translation import gettext_lazy as _

from core.encryption import EncryptedTextField
from core.errors import ApiError
from core.ids import IdField, first_id
from core.mail_content import ADDRESS, find_template, one_line, render
from core.queue import QueueRow, drain, error_text
from core.transactions import unit_of_work, with_retries

logger = logging.getLogger(__name__)

TEMPLATE_LENGTH = 50
ADDRESS_LENGTH = 254  # RFC 5321
NAME_LENGTH = 200
LANGUAGE_LENGTH = 10
ID_LENGTH = 32
REASON_LENGTH = 16

# After a failed attempt; the last one ends it. Two days: the mail server retries for itself once it has taken a mail.
RETRY_DELAYS = [timedelta(seconds=s) for s in (10, 60, 300, 900, 3600, 10800, 21600, 43200, 86400)]
MAX_ATTEMPTS = len(RETRY_DELAYS) + 1
OUTAGE_PAUSE = timedelta(seconds=30)  # for all mails, when the server lets nobody in
PATIENCE = timedelta(hours=1)  # more than LATE that a mail may be past due
ANSWERS = 4  # of the server to a mail: MAIL, RCPT, DATA and the mail itself
PERMANENT = 500  # replies from here on (RFC 5321 §4.2.1)

SAME_AN_HOUR = 5  # mails of one template, with a link, that anybody can have sent to one address

KEPT = timedelta(days=90)
KEPT_TO_SEND_AGAIN = timedelta(days=7)  # from the queueing on: the context of a mail that was given up
PRUNE_BATCH = 1000

PRODUCT = "Tillgate"


class NothingToSend(ApiError):
    status, type, code = 409, "conflict", "nothing_to_send"
    message = "Only a mail that was given up within the last days can be sent again."


class Status(models.TextChoices):
    QUEUED = "queued", _("Queued")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Failed")
    SKIPPED = "skipped", _("Skipped")


class Reason(models.TextChoices):
    """Why a mail was not sent."""

    SWITCHED_OFF = "switched_off", _("The merchant has switched this mail off")
    NO_ADDRESS = "no_address", _("There is nobody to send it to")
    MERCHANT_CLOSED = "merchant_closed", _("The merchant is closed")
    STRANGER = "stranger", _("A sandbox merchant writes to its own team only")
    TOO_MANY = "too_many", _("The address has got this mail several times within the hour")
    REFUSED = "refused", _("The mail server refused it for good")
    GIVEN_UP = "given_up", _("It was tried for two days")


class Email(QueueRow):
    """A mail to one address, or why there was none. Its context may hold links that log somebody in: it is encrypted,
    and NULL once the mail is sent; or was given up, KEPT_TO_SEND_AGAIN after it was queued."""

    id = IdField("eml")
    template = models.CharField(max_length=TEMPLATE_LENGTH)
    to = models.EmailField(max_length=ADDRESS_LENGTH, blank=True, db_index=True)
    language = models.CharField(max_length=LANGUAGE_LENGTH)
    from_name = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    reply_to = models.EmailField(max_length=ADDRESS_LENGTH, blank=True, default="")
    merchant_id = models.CharField(max_length=ID_LENGTH, blank=True, default="")
    event_id = models.CharField(max_length=ID_LENGTH, null=True, blank=True)  # noqa: DJ001 NULL: it tells of no event
    context = EncryptedTextField(null=True, editable=False)
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.QUEUED)
    reason = models.CharField(max_length=REASON_LENGTH, choices=Reason.choices, blank=True, default="")
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        # A list walks the first of these that fits (core/indexes.py): a merchant has fewer rows than a status.
        indexes = [
            models.Index(fields=["merchant_id", "id"], name="email_by_merchant"),
            models.Index(fields=["status", "id"], name="email_by_status"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["event_id", "template", "to"], name="email_once_per_event"),
            models.CheckConstraint(
                condition=Q(status=Status.QUEUED, due_at__isnull=False)
                | (~Q(status=Status.QUEUED) & Q(due_at__isnull=True)),
                name="email_due_while_queued",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.SENT) | Q(sent_at__isnull=False, context__isnull=True),
                name="email_sent_without_context",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.SKIPPED) | (~Q(reason="") & Q(context__isnull=True)),
                name="email_skipped_for_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return self.pk

    @classmethod
    def late(cls, limit: datetime) -> models.QuerySet["Email"]:
        """A mail server that is slow for many mails is no reason to call the whole site unfit."""
        return super().late(limit - PATIENCE)


def queue_email(template: str, *, to: str, context: Mapping[str, str], **options: Any) -> Email:
    """Has a mail sent once the caller's transaction commits, and never when it does not; or skips a link, when the
    address has got SAME_AN_HOUR of its kind: links go wherever somebody asks for. A mail without one tells of what has
    happened, and is always sent. Takes what new_email() takes; the language is that of the page on which it was asked
    for, unless another is given.

    Raises TemplateDoesNotExist.
    """
    email = new_email(template, to=to, context=context, **{"language": get_language() or "en", **options})
    if ADDRESS in context and _has_enough(template, to):
        email.status, email.reason, email.due_at, email.context = Status.SKIPPED, Reason.TOO_MANY, None, None
    email.save(force_insert=True)
    return email


def _has_enough(template: str, to: str) -> bool:
    hour_ago = first_id("eml", timezone.now() - timedelta(hours=1))
    queued = Email.objects.filter(to=to, template=template, pk__gte=hour_ago).exclude(status=Status.SKIPPED)
    return queued.count() >= SAME_AN_HOUR


def new_email(
    template: str,
    *,
    to: str,
    context: Mapping[str, str],
    language: str = "en",
    reply_to: str = "",
    from_name: str = "",
    merchant_id: str = "",
    event_id: str | None = None,
) -> Email:
    """A mail that is not saved yet, for whoever saves many at once.

    `template` is a file of templates/emails/, `context` what it asks for: `url` is an address of ours, any other
    value may be a stranger's words. On behalf of a merchant, `from_name` stands as sender and in the header, and
    `brand_color` (#rrggbb) in the context paints that. Raises TemplateDoesNotExist.
    """
    find_template(template)
    return Email(
        template=template,
        to=to,
        context=json.dumps(context),
        language=supported_language(language),
        reply_to=reply_to,
        from_name=one_line(from_name),
        merchant_id=merchant_id,
        event_id=event_id,
        due_at=timezone.now(),
    )


def skipped_email(template: str, *, reason: Reason, to: str = "", merchant_id: str, event_id: str) -> Email:
    """The line of the log that says why a mail was never queued; not saved yet."""
    return Email(
        template=template,
        to=to,
        status=Status.SKIPPED,
        reason=reason,
        language=settings.LANGUAGE_CODE,
        merchant_id=merchant_id,
        event_id=event_id,
    )


def supported_language(language: str) -> str:
    """The language of ours that comes closest; English when none does."""
    try:
        return get_supported_language_variant(language)
    except LookupError:
        return settings.LANGUAGE_CODE


# --- Sending ----------------------------------------------------------------------------------
def send_emails() -> int:
    """Sends what is due through one connection, which the first mail opens; answers how many mails had their turn."""
    connection = get_connection()
    try:
        # Deferred: a context that ENCRYPTION_KEYS no longer open is this mail's trouble, not the queue's.
        return drain(Email.objects.defer("context"), partial(send_email, connection=connection))
    finally:
        connection.close()


def send_email(email: Email, *, connection: BaseEmailBackend) -> None:
    """Hands a claimed mail to the server, or sets when to try again, or gives it up."""
    if email.attempts > MAX_ATTEMPTS:  # workers crashed on it; whatever fails in order ends in _failed
        _end(email, Status.FAILED, reason=Reason.GIVEN_UP)
        return
    message = compose(email)
    try:
        connection.open()
        _require_time_for(email)
    except OSError as error:  # SMTPException is one, too
        _pause_others()
        _failed(email, error)
        connection.close()
        return
    try:
        connection.send_messages([message])
    except OSError as error:
        _failed(email, error)
        connection.close()
        return
    _end(email, Status.SENT, sent_at=timezone.now(), context=None, reason="", last_error="")


def compose(email: Email) -> EmailMultiAlternatives:
    """The message, with a Message-ID that is the row's own. Raises ContextIncomplete."""
    own_name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    brand = email.from_name or own_name or PRODUCT
    content = render(email.template, json.loads(email.context or "{}"), brand=brand, language=email.language)
    message = EmailMultiAlternatives(
        content.subject,
        content.text,
        from_email=formataddr((brand, address)),
        to=[email.to],
        reply_to=[email.reply_to] if email.reply_to else None,
        headers={
            "Message-ID": f"<{email.pk}@{urlsplit(settings.SITE_URL).hostname}>",
            "Auto-Submitted": "auto-generated",  # RFC 3834: no machine answers it
        },
    )
    message.attach_alternative(content.html, "text/html")
    return message


def _require_time_for(email: Email) -> None:
    """Raises TimeoutError unless the server can be as slow as EMAIL_TIMEOUT allows and the mail is still ours: when
    the lease runs out, another worker sends it."""
    longest = timedelta(seconds=ANSWERS * settings.EMAIL_TIMEOUT)
    if email.due_at is None or timezone.now() + longest > email.due_at:
        raise TimeoutError("The mail server took too long to let us in.")


def _pause_others() -> None:
    """Nobody waits out the server's silence mail by mail: by the last of many the first would be late."""
    now = timezone.now()
    with_retries(lambda: Email.objects.filter(due_at__lte=now).update(due_at=now + OUTAGE_PAUSE))


def _failed(email: Email, error: OSError) -> None:
    logger.warning("email %s was not sent: %s", email.pk, type(error).__name__)  # the text may name the recipient
    if is_permanent(error) or email.attempts >= MAX_ATTEMPTS:
        reason = Reason.REFUSED if is_permanent(error) else Reason.GIVEN_UP
        _end(email, Status.FAILED, reason=reason, last_error=error_text(error))
        return
    due_at = timezone.now() + RETRY_DELAYS[email.attempts - 1]
    with_retries(lambda: _still_ours(email).update(due_at=due_at, last_error=error_text(error)))


def is_permanent(error: OSError) -> bool:
    """Whether the server refuses this recipient or this mail for good. What it has against us, our log-in or our
    sender's address, can be mended."""
    if isinstance(error, SMTPRecipientsRefused):
        return all(code >= PERMANENT for code, _text in error.recipients.values())
    return isinstance(error, SMTPDataError) and error.smtp_code >= PERMANENT


def _end(email: Email, status: Status, **fields: Any) -> None:
    """A mail that went out is sent, whoever holds it now; only its holder gives it up. Again when it loses a conflict:
    a mail that is not marked goes out twice."""
    rows = Email.objects.filter(pk=email.pk) if status == Status.SENT else _still_ours(email)
    with_retries(lambda: rows.update(status=status, due_at=None, **fields))


def _still_ours(email: Email) -> models.QuerySet[Email]:
    """The row, unless our lease on it ran out and another worker has claimed it."""
    return Email.objects.filter(pk=email.pk, due_at=email.due_at)


# --- Afterwards -------------------------------------------------------------------------------
def to_send_again() -> models.QuerySet[Email]:
    """Mails that were given up, and that can still be rendered."""
    return Email.objects.filter(status=Status.FAILED, context__isnull=False).defer("context")


@unit_of_work
def send_again(email_id: str) -> None:
    """Puts a mail that was given up back into the queue, with all its attempts. Raises NothingToSend."""
    email = to_send_again().select_for_update().filter(pk=email_id).first()
    if email is None:
        raise NothingToSend
    Email.objects.filter(pk=email.pk).update(status=Status.QUEUED, reason="", due_at=timezone.now(), attempts=0)


def prune_emails() -> int:
    """Forgets what mails that were given up said, and then the mails themselves; answers how many went."""
    now = timezone.now()
    to_send_again().filter(pk__lt=first_id("eml", now - KEPT_TO_SEND_AGAIN)).update(context=None)
    old = Email.objects.filter(pk__lt=first_id("eml", now - KEPT), due_at=None).order_by("pk")
    ids = list(old.values_list("pk", flat=True)[:PRUNE_BATCH])
    return Email.objects.filter(pk__in=ids).delete()[0] if ids else 0
