"""Everything that one may ask about another, and what must not be in the answer."""

import re
from typing import Any
from urllib.parse import quote_plus

from django.test import Client

from core.mail import Email
from payments.models import Status, TransactionStatus
from refunds.models import Reason
from refunds.models import Status as RefundStatus
from tests.tenants import PAYERS, Tenant

VOLATILE = {"Date", "Request-Id", "RateLimit-Remaining", "RateLimit-Reset"}
WORD, NOBODY = "quokka", "nobody"  # the word of the rival, and one of the same length that is nobody's

Query = dict[str, str]


# --- What is asked ----------------------------------------------------------------------------
def documented() -> dict[str, list[str]]:
    """The query parameters of every GET of the API, by path, from its own description."""
    paths = Client().get("/api/schema").json()["paths"]
    return {
        path: [parameter["name"] for parameter in methods["get"].get("parameters", []) if parameter["in"] == "query"]
        for path, methods in paths.items()
        if "get" in methods
    }


def takes_a_key() -> set[str]:
    """The paths whose POST takes an Idempotency-Key."""
    posts = {path: methods.get("post", {}) for path, methods in Client().get("/api/schema").json()["paths"].items()}
    return {
        path
        for path, post in posts.items()
        if any(parameter["name"] == "Idempotency-Key" for parameter in post.get("parameters", []))
    }


def queries(parameter: str, tenant: Tenant) -> list[Query]:
    """Everything that this tenant could be asked for by the parameter. Raises KeyError for one that is new here."""
    payments = list(tenant.payments.values())
    emails = [tenant.idle.email, f"payer@{tenant.word}.example", tenant.users["owner"].email]
    names = [*(it.pk for it in payments), *(it.reference for it in payments), *emails, tenant.word]
    values: dict[str, list[str]] = {
        "merchant_id": [tenant.merchant.pk],
        "customer_email": [*emails, *PAYERS],
        "email": [*emails, *PAYERS],
        "search": [*names, *PAYERS, "order-1", "order", *(row.pk for row in some(tenant)), payments[0].pk[:12]],
        "payment_id": [payment.pk for payment in payments],
        "order_id": [str(payment.order_id) for payment in payments],
        "cursor": [f"{direction}.{row.pk}" for direction in ("after", "before") for row in some(tenant)],
        "amount_min": [str(payment.money) for payment in payments],
        "amount_max": [str(payment.money) for payment in payments],
        "status": sorted({*Status.values, *TransactionStatus.values, *RefundStatus.values, "delivered", "queued"}),
        "reason": Reason.values,
        "type": ["refund.created", "payment.created"],
        "to": [*emails, *PAYERS, *(user.email for user in tenant.users.values())],
        "template": ["refund_approval", "new_api_key"],
        "object_id": [tenant.refund.pk, *(payment.pk for payment in payments)],
        "event_id": [tenant.delivery.event_id],
        "endpoint_id": [tenant.endpoint.pk, tenant.silent.pk],
        "created_after": ["2020-01-01", payments[0].created_at.strftime("%Y-%m-%dT%H:%M:%SZ")],
        "created_before": ["2100-01-01", payments[0].created_at.strftime("%Y-%m-%dT%H:%M:%SZ")],
        "currency": ["USD", "JPY"],
        "method": ["paypal"],
        "provider": ["sandbox"],
        "kind": ["sale", "refund_reserved"],
        "account": ["merchant_available"],
        "balance": ["available"],
        "ordering": ["created", "-created"],
        "page_size": ["1", "100"],
    }
    beside = {"currency": "USD"} if parameter.startswith("amount_") else {}
    return [{parameter: value, **beside} for value in values[parameter]]


def some(tenant: Tenant) -> list[Any]:
    """A row of each kind, from the middle."""
    kinds = [tenant.payments, tenant.members, tenant.keys, tenant.users]
    rows = [list(kind.values())[len(kind) // 2] for kind in kinds]
    rows += [
        Email.objects.filter(merchant_id=tenant.merchant.pk)[0],
        tenant.delivery,
        tenant.delivery.event,
        tenant.endpoint,
    ]
    rows.append(Email.objects.filter(merchant_id=tenant.merchant.pk)[0])
    return [*rows, tenant.transactions[4], tenant.refund, tenant.idle, tenant.invited, tenant.merchant]


def unlike(value: str) -> str:
    """The same in form, and nobody's: an id, reference or amount with another last character, or another word."""
    if WORD in value:
        return value.replace(WORD, NOBODY)
    return value[:-1] + ("1" if value[-1] == "0" else "0")


# --- What must not be in an answer ------------------------------------------------------------
def leaks(response: Any, marks: set[str], *, sent: str = "") -> set[str]:
    """The marks that stand in the answer, other than in what the request itself had said."""
    text = f"{response.content.decode()} {dict(response.items())}"
    for said in (sent, quote_plus(sent)) if sent else ():
        text = text.replace(said, "")
    return {mark for mark in marks if mark in text}


def look(response: Any, sent: str) -> tuple[int, dict[str, str], str]:
    """An answer without what differs between any two: the request's id, and the value that was sent."""
    text = re.sub(r'"request_id":"[^"]+"', "", response.content.decode())
    headers = {name: value for name, value in response.items() if name not in VOLATILE}
    return response.status_code, headers, text.replace(sent, "…").replace(quote_plus(sent), "…")
