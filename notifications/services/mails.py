"""The mails of an event: written in its commit, so that they are sent if and only if it has happened, and once."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.utils import translation

from accounts.models import Merchant, User, normalize_email
from accounts.policy import roles_with
from accounts.services import writes_to_confirmed_only
from core.mail import Email, Reason, new_email, skipped_email, supported_language
from core.transactions import unit_of_work
from notifications.facts import facts_of
from notifications.mails import CUSTOMER, MAILS, OF_EVENT, Mail, Payer
from notifications.models import Event

SANDBOX = "sandbox"  # in a context: no money moved, and the mail says so


def queue_mails(event: Event, data: Mapping[str, Any], payer: Payer | None) -> None:
    """Queues what the event's type sends, to the payer and to the team. Those that the merchant has switched off leave
    a line in the log that says so; those that are off by default leave none."""
    mails = OF_EVENT.get(event.type, [])
    Email.objects.bulk_create(row for mail in mails for row in _rows(mail, event, data, payer))


def _rows(mail: Mail, event: Event, data: Mapping[str, Any], payer: Payer | None) -> Iterator[Email]:
    merchant, is_on = event.merchant, mail.is_on(event.merchant.email_choices)
    if not is_on and not mail.default:
        return
    if not is_on or merchant.status == Merchant.Status.CLOSED:
        to = payer.email if payer and mail.audience == CUSTOMER else ""
        yield _skipped(mail, event, Reason.MERCHANT_CLOSED if is_on else Reason.SWITCHED_OFF, to)
    elif mail.audience == CUSTOMER:
        yield from _to_payer(mail, event, data, payer)
    else:
        yield from _to_team(mail, event, data, payer)


def _to_payer(mail: Mail, event: Event, data: Mapping[str, Any], payer: Payer | None) -> Iterator[Email]:
    if payer is None or not payer.email:
        yield _skipped(mail, event, Reason.NO_ADDRESS)
        return
    merchant = event.merchant
    if writes_to_confirmed_only(merchant) and not _is_confirmed_member(merchant, payer.email):
        yield _skipped(mail, event, Reason.STRANGER, payer.email)
        return
    language = supported_language(payer.language)
    own = {"name": payer.name, "url": payer.url + mail.page, "support": merchant.support_email}
    yield new_email(
        mail.template,
        to=payer.email,
        context=_context(event, data, payer, language) | own | {"brand_color": merchant.brand_color},
        language=language,
        from_name=merchant.shown_name,
        reply_to=merchant.support_email,
        merchant_id=merchant.pk,
        event_id=event.pk,
    )


def _is_confirmed_member(merchant: Merchant, email: str) -> bool:
    return User.objects.filter(
        memberships__merchant=merchant, email=normalize_email(email), email_verified_at__isnull=False
    ).exists()


def _to_team(mail: Mail, event: Event, data: Mapping[str, Any], payer: Payer | None) -> Iterator[Email]:
    roles = roles_with(mail.permission)
    people = User.objects.filter(
        memberships__merchant=event.merchant_id, memberships__role__in=roles, is_active=True
    ).order_by("pk")
    context = _context(event, data, payer, settings.LANGUAGE_CODE) | {"merchant": event.merchant.name}
    for user in people:
        if writes_to_confirmed_only(event.merchant) and not user.email_verified:
            yield _skipped(mail, event, Reason.STRANGER, user.email)
            continue
        yield new_email(
            mail.template,
            to=user.email,
            context=context | {"name": user.name},
            merchant_id=event.merchant_id,
            event_id=event.pk,
        )
    if not people:
        yield _skipped(mail, event, Reason.NO_ADDRESS)


def _context(event: Event, data: Mapping[str, Any], payer: Payer | None, language: str) -> dict[str, str]:
    with translation.override(language):
        return facts_of(event, data, payer) | {SANDBOX: "yes" if event.merchant.is_sandbox else ""}


def _skipped(mail: Mail, event: Event, reason: Reason, to: str = "") -> Email:
    return skipped_email(mail.template, reason=reason, to=to, merchant_id=event.merchant_id, event_id=event.pk)


# --- What a merchant chooses ------------------------------------------------------------------
def email_choices(merchant: Merchant) -> list[dict[str, Any]]:
    """Every mail of the table, and whether this merchant has it sent."""
    return [
        {
            "template": mail.template,
            "audience": mail.audience,
            "event_types": mail.event_types,
            "description": mail.description,
            "enabled": mail.is_on(merchant.email_choices),
        }
        for mail in MAILS
    ]


@unit_of_work
def choose_emails(merchant: Merchant, choices: Mapping[str, bool]) -> Merchant:
    """Switches mails on and off by their template; others stay as they are. What equals the default is not kept, so
    that a default that changes holds for whoever has not chosen otherwise."""
    locked = Merchant.objects.select_for_update().get(pk=merchant.pk)
    wanted = {**locked.email_choices, **choices}
    locked.email_choices = {mail.template: not mail.default for mail in MAILS if mail.is_on(wanted) != mail.default}
    locked.save(update_fields=["email_choices"])
    return locked
