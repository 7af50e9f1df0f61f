"""The back office as a whole: who acts in it, what it reads and loads, its navigation, its first page and its looks."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import Merchant
from core.actor import set_actor
from core.admin import Columns
from core.queue import late_rows
from ledger.carriers import BY_HAND
from ledger.models import TO_CARRY_OUT, Payout
from payments.models import Payment, Transaction

# Unfold draws with Alpine, which evaluates its attributes, and with inline styles. Scripts stay ours.
POLICY = {"script-src": [SELF, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]}

Handler = Callable[[HttpRequest], HttpResponseBase]

COUNT_LIMIT = 1000  # what needs attention is counted no further
LATEST = 10  # payments on the first page

# Groups of the sidebar: model, icon, name. Who may not view a model does not see it.
SECTIONS: list[tuple[Any, list[tuple[str, str, Any]]]] = [
    (
        _("Payments"),
        [
            ("payments.payment", "payments", _("Payments")),
            ("refunds.refund", "undo", _("Refunds")),
            ("payments.transaction", "swap_horiz", _("Transactions")),
            ("payments.providernotice", "mark_email_unread", _("Provider notices")),
            ("notifications.event", "bolt", _("Events")),
            ("core.email", "send", _("Emails")),
        ],
    ),
    (
        _("Books"),
        [
            ("ledger.payout", "account_balance", _("Payouts")),
            ("ledger.bankaccount", "credit_card_gear", _("Bank accounts")),
            ("ledger.journal", "menu_book", _("Journals")),
            ("ledger.fee", "percent", _("Fees")),
            ("ledger.halt", "report", _("Halts")),
        ],
    ),
    (
        _("Merchants"),
        [
            ("accounts.merchant", "storefront", _("Merchants")),
            ("accounts.membership", "badge", _("Memberships")),
            ("accounts.customer", "person", _("Customers")),
            ("accounts.apikey", "key", _("API keys")),
        ],
    ),
    (
        _("Sandbox"),
        [
            ("sandbox.charge", "credit_card", _("Charges")),
            ("sandbox.operation", "undo", _("Operations")),
            ("sandbox.transfer", "account_balance", _("Transfers")),
            ("sandbox.dispute", "gavel", _("Disputes")),
            ("sandbox.notice", "mail", _("Notices")),
        ],
    ),
    (
        _("Staff"),
        [
            ("accounts.user", "account_circle", _("Users")),
            ("accounts.login", "devices", _("Log-ins")),
            ("accounts.device", "devices_other", _("Devices")),
            ("auth.group", "groups", _("Groups")),
            ("admin.logentry", "history", _("Log")),
        ],
    ),
]


def acting_staff(get_response: Handler) -> Handler:
    """Middleware: what happens under /admin/ is done by whoever is logged in there. Stands after
    AuthenticationMiddleware."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if _is_ours(request):
            set_actor(request.user.pk or "")
        return get_response(request)

    return middleware


def content_policy(get_response: Handler) -> Handler:
    """Middleware: what Unfold needs, under /admin/ and nowhere else. Stands after CSPMiddleware."""
    relaxed = csp_replace(POLICY)(get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        answer = relaxed if _is_ours(request) else get_response
        return answer(request)

    return middleware


def no_null_characters(get_response: Handler) -> Handler:
    """Middleware: no path or filter under /admin/ brings the database a NUL, which PostgreSQL cannot take."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if _is_ours(request) and "\0" in request.path_info + unquote(request.META["QUERY_STRING"]):
            raise BadRequest("A null character.")
        return get_response(request)

    return middleware


def _is_ours(request: HttpRequest) -> bool:
    return request.path_info.startswith(reverse("admin:index"))


def stylesheet(request: HttpRequest) -> str:
    return static("css/admin.css")


def icon(request: HttpRequest) -> str:
    return static("favicon.svg")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    home = {"title": _("Overview"), "icon": "home", "link": reverse("admin:index")}
    groups = [{"title": title, "items": [_item(*entry) for entry in entries]} for title, entries in SECTIONS]
    return [{"items": [home]}, *groups]


def _item(model: str, icon: str, title: Any) -> dict[str, Any]:
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse(f"admin:{app}_{name}_changelist"),
        "permission": lambda request: request.user.has_perm(f"{app}.view_{name}"),
    }


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What waits for a person and what came last, as far as the user may see it."""
    may = request.user.has_perm
    context["title"] = _("Overview")
    context["attention"] = [card() for permission, card in CARDS if may(permission)]
    context["latest"] = _latest() if may("payments.view_payment") else []
    return context


def _latest() -> list[dict[str, Any]]:
    columns = Columns()
    return [
        {
            "payment": payment,
            "amount": columns.amount_text(payment),
            "status": columns.status_label(payment),
            "created": columns.created(payment),
        }
        for payment in Payment.objects.order_by("-pk")[:LATEST]
    ]


def _to_review() -> dict[str, Any]:
    rows = Transaction.objects.filter(review_reason__gt="")
    link = reverse("admin:payments_transaction_changelist") + "?review=waiting"
    return {"title": _("Transactions to review"), "count": rows[:COUNT_LIMIT].count(), "link": link}


def _to_approve() -> dict[str, Any]:
    rows = Merchant.objects.filter(status=Merchant.Status.ONBOARDING)
    link = reverse("admin:accounts_merchant_changelist") + "?status__exact=onboarding"
    return {"title": _("Merchants to approve"), "count": rows[:COUNT_LIMIT].count(), "link": link}


def _to_carry_out() -> dict[str, Any]:
    rows = Payout.objects.filter(carrier=BY_HAND, status__in=TO_CARRY_OUT)
    link = reverse("admin:ledger_payout_changelist") + "?waiting=hand"
    return {"title": _("Payouts to carry out"), "count": rows[:COUNT_LIMIT].count(), "link": link}


def _payouts_to_review() -> dict[str, Any]:
    rows = Payout.objects.filter(review_reason__gt="")
    link = reverse("admin:ledger_payout_changelist") + "?waiting=review"
    return {"title": _("Payouts to review"), "count": rows[:COUNT_LIMIT].count(), "link": link}


def _late() -> dict[str, Any]:
    late = {name: count for name, count in late_rows().items() if count}
    return {"title": _("Late jobs"), "count": sum(late.values()), "detail": ", ".join(late)}


CARDS = [
    ("payments.view_transaction", _to_review),
    ("ledger.view_payout", _to_carry_out),
    ("ledger.view_payout", _payouts_to_review),
    ("accounts.view_merchant", _to_approve),
    ("payments.view_payment", _late),
]
