"""The demo's mailbox: mails are kept as files on this machine instead of being sent, and read at /demo/mail.

The HTML of a mail has styles in its tags, which no page of ours may have; so it is a document of its own with a policy
of its own, shown in a frame in which no script runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage as Message
from email.policy import default as POLICY
from functools import wraps
from typing import Any

from csp.constants import NONE, SELF, UNSAFE_INLINE
from csp.decorators import csp_replace, csp_update
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

SHOWN = 50  # mails on the page, the newest ones
MAY = ["allow-popups", "allow-popups-to-escape-sandbox"]  # a link in a mail opens in a tab
FRAMED = {
    "script-src": [NONE],
    "style-src": [UNSAFE_INLINE],
    "form-action": [NONE],
    "frame-ancestors": [SELF],
    "sandbox": MAY,
}

View = Callable[..., HttpResponseBase]


class MailboxBackend(BaseEmailBackend):
    """EMAIL_URL=demomail://. A mail's file is named after its row, so one that is sent twice is kept once."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        settings.DEMO_MAIL_DIR.mkdir(parents=True, exist_ok=True)
        for message in email_messages:
            name = message.extra_headers["Message-ID"].strip("<>").partition("@")[0]
            (settings.DEMO_MAIL_DIR / f"{name}.eml").write_bytes(message.message().as_bytes())
        return len(email_messages)


@dataclass(frozen=True)
class Mail:
    id: str
    subject: str
    sender: str
    to: str
    sent_at: datetime
    text: str
    html: str


def demo_only(view: View) -> View:
    """Anywhere else there is nothing here."""

    @wraps(view)
    def guarded(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        if not settings.DEMO:
            raise Http404
        return view(request, **arguments)

    return guarded


@demo_only
@never_cache
@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    ids = sorted((path.stem for path in settings.DEMO_MAIL_DIR.glob("eml_*.eml")), reverse=True)
    return render(request, "demo/mailbox.html", {"mails": [_read(email_id) for email_id in ids[:SHOWN]]})


@demo_only
@never_cache
@require_safe
@csp_update({"frame-src": [SELF]})  # type: ignore[arg-type]  # it is typed for views without arguments
def mail(request: HttpRequest, email_id: str) -> HttpResponse:
    return render(request, "demo/mail.html", {"mail": _read(email_id), "may": " ".join(MAY)})


@demo_only
@never_cache
@require_safe
@xframe_options_sameorigin
@csp_replace(FRAMED)  # type: ignore[arg-type]
def mail_html(request: HttpRequest, email_id: str) -> HttpResponse:
    return HttpResponse(_read(email_id).html)


def _read(email_id: str) -> Mail:
    """Raises Http404."""
    try:
        content = (settings.DEMO_MAIL_DIR / f"{email_id}.eml").read_bytes()
    except FileNotFoundError:
        raise Http404 from None
    message: Any = message_from_bytes(content, policy=POLICY)
    return Mail(
        email_id,
        message["subject"],
        message["from"],
        message["to"],
        message["date"].datetime,
        _part(message, "plain"),
        _part(message, "html"),
    )


def _part(message: Message, kind: str) -> str:
    part = message.get_body((kind,))
    return part.get_content() if part else ""
