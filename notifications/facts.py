"""What the snapshot of an event says, in words for a mail."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import get_language, gettext

from accounts.models import Method
from core.money import Money
from notifications.mails import Payer
from notifications.models import Event


def facts_of(event: Event, data: Mapping[str, Any], payer: Payer | None) -> dict[str, str]:
    """Texts by name, in the language in force, for every template that tells of an event: each takes what it needs.
    What the snapshot lacks is "": a mail without it is better than a payment that stops at its mail."""
    card, failure = data.get("card") or {}, data.get("failure") or {}
    facts: dict[str, Any] = {
        "id": event.object_id,
        "payment_id": data.get("payment_id"),
        "reference": payer and payer.reference,
        "customer": payer and payer.name,
        "customer_email": payer and payer.email,
        "status": data.get("status"),
        "stage": data.get("stage"),
        "amount": _amount(data),
        "description": data.get("description"),
        "method": _method(data.get("payment_method"), card.get("brand")),
        "last4": card.get("last4"),
        "date": date_format(event.created_at, "DATE_FORMAT"),
        "due": _moment(data.get("due_by")),
        "reason": data.get("reason") or data.get("disabled_reason"),
        "reason_text": words(data.get("reason")),
        "failure_code": failure.get("code") or data.get("failure_code"),
        "failure": gettext(failure.get("message") or "") or words(data.get("failure_code")),
        "endpoint": data.get("url"),
    }
    return {name: str(value or "") for name, value in facts.items()}


def _amount(data: Mapping[str, Any]) -> str:
    """Of a payment what was taken, if anything was: a capture may take less than the payment's amount."""
    for name in ("amount_captured", "amount"):
        money = data.get(name)
        if isinstance(money, Money) and money.amount:
            return money.format(get_language() or "en")
    return ""


def _method(method: str | None, brand: str | None) -> str:
    return (brand or "").title() or (str(Method(method).label) if method else "")


def _moment(value: Any) -> str:
    return f"{date_format(value, 'DATETIME_FORMAT')} UTC" if isinstance(value, datetime) else str(value or "")


def words(code: str | None) -> str:
    """`product_not_received`: "Product not received", translated where we have a word for it."""
    return gettext((code or "").replace("_", " ").capitalize())
