"""Payments in the back office: to look at, never to edit."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesCheckboxFilter,
    DropdownFilter,
    RadioFilter,
)
from unfold.decorators import action, display

from core.admin import Columns, CreatedFilter, CurrencyFilter, ReadOnly, ReadOnlyAdmin, label, money_text, pretty_json
from core.errors import ApiError
from core.money import Money
from notifications.models import Event
from payments.models import Payment, ProviderNotice, Transaction
from payments.providers import PROVIDERS
from payments.services.review import ask_again, may_ask_again
from payments.services.status import FINAL

EVENTS_SHOWN = 100
PARKED = Q(due_at=None, last_error__gt="")  # notices that were left to a person


class ProviderFilter(DropdownFilter):
    title = _("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in PROVIDERS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(provider=self.value()) if self.value() else queryset


class TransactionInline(ReadOnly, Columns, TabularInline):
    model = Transaction
    fields = ("link", "kind", "status_label", "amount_text", "method", "failure_code", "review_reason", "created")
    readonly_fields = fields
    ordering = ("pk",)
    hide_title = True

    @display(description=_("transaction"))
    def link(self, txn: Transaction) -> SafeString:
        url = reverse("admin:payments_transaction_change", args=[txn.pk])
        return format_html('<a href="{}" class="text-link">…{}</a>', url, txn.pk[-6:])


def _amount(column: str, text: Any) -> Any:
    """A column of minor units, shown as money."""

    @display(description=text)
    def show(self: Any, payment: Payment) -> str:
        return money_text(Money(getattr(payment, column), payment.currency))

    return show


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    list_display = (
        "reference",
        "amount_text",
        "status_label",
        "customer_email",
        "method",
        "created",
        "order_id",
        "merchant",
    )
    list_filter = (
        ("status", ChoicesCheckboxFilter),
        ("payment_method", ChoicesCheckboxFilter),
        CreatedFilter,
        CurrencyFilter,
        ProviderFilter,
        ("merchant", AutocompleteSelectFilter),
    )
    list_select_related = ("merchant",)
    search_by = {
        "pay_": "id__startswith",
        "TG-": "reference__startswith",
        "cus_": "customer_id",
        "@": "customer__email",
        "": "order_id",
    }
    search_help_text = _("Reference, id, email or order")
    fieldsets = (
        (None, {"fields": (("reference", "status_label"), ("amount_text", "order_id"), "merchant", "description")}),
        (
            _("Payer"),
            {"fields": (("customer_name", "customer_phone"), "customer_email", "customer_location", "customer")},
        ),
        (
            _("How it is paid"),
            {
                "fields": (
                    ("payment_method", "card"),
                    ("provider", "capture_method"),
                    ("failure_code", "cancellation_reason"),
                    ("payer_attempts", "checkout"),
                    "next_action_text",
                )
            },
        ),
        (
            _("Money"),
            {"fields": (("captured", "refunded"), ("refund_pending", "disputed"), "surplus_due_at")},
        ),
        (_("Times"), {"fields": (("created_at", "completed_at"), ("expires_at", "updated_at"))}),
        (_("What happened"), {"fields": ("events",)}),
        (
            _("Technical"),
            {"fields": ("id", "metadata_text", "return_url", ("due_at", "attempts"), "last_error")},
        ),
    )
    inlines = (TransactionInline,)

    captured = _amount("amount_captured", _("captured"))
    refunded = _amount("amount_refunded", _("refunded"))
    refund_pending = _amount("amount_refund_pending", _("refund pending"))
    disputed = _amount("amount_disputed", _("disputed"))

    @display(description=_("method"))
    def method(self, payment: Payment) -> str:
        return payment.get_payment_method_display() or "-"

    @display(description=_("card"), empty_value="-")
    def card(self, payment: Payment) -> str | None:
        if not payment.card_last4:
            return None
        expiry = f"{payment.card_expiry_month:02}/{payment.card_expiry_year}"
        return f"{payment.card_brand} •••• {payment.card_last4}, {expiry}"

    @display(description=_("checkout page"))
    def checkout(self, payment: Payment) -> SafeString:
        return format_html('<a href="{}" class="text-link">{}</a>', payment.checkout_url, _("Open"))

    @display(description=_("next action"))
    def next_action_text(self, payment: Payment) -> str:
        return pretty_json(payment.next_action)

    @display(description=_("metadata"))
    def metadata_text(self, payment: Payment) -> str:
        return pretty_json(payment.metadata)

    @display(description=_("events"))
    def events(self, payment: Payment) -> SafeString:
        events = Event.objects.filter(object_id=payment.pk).order_by("sequence").defer("payload")
        return render_to_string("admin/payment_events.html", {"events": events[:EVENTS_SHOWN]})


class ReviewFilter(RadioFilter):
    title = _("review")
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("waiting", _("Waits for a person")), ("open", _("Still open"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Transaction]) -> QuerySet[Transaction]:
        if self.value() == "waiting":
            return queryset.filter(review_reason__gt="")
        return queryset.exclude(status__in=FINAL) if self.value() == "open" else queryset


@admin.register(Transaction)
class TransactionAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "kind",
        "amount_text",
        "status_label",
        "review_label",
        "failure_code",
        "created",
        "payment",
        "method",
        "provider",
    )
    list_filter = (
        ReviewFilter,
        ("status", ChoicesCheckboxFilter),
        ("kind", ChoicesCheckboxFilter),
        CreatedFilter,
        CurrencyFilter,
        ProviderFilter,
        ("merchant", AutocompleteSelectFilter),
    )
    list_select_related = ("payment",)
    list_disable_select_all = True
    search_by = {
        "txn_": "id__startswith",
        "pay_": "payment_id",
        "TG-": "payment__reference",
        "": "provider_reference",
    }
    search_help_text = _("Id, payment, or the provider's reference")
    fieldsets = (
        (None, {"fields": (("kind", "status_label"), ("amount_text", "payment"), "merchant", "review_reason")}),
        (
            _("At the provider"),
            {
                "fields": (
                    ("provider", "method"),
                    "provider_reference",
                    ("failure_code", "provider_code"),
                    ("source", "is_last_attempt", "is_surplus"),
                    "phone",
                    "answer_text",
                )
            },
        ),
        (_("Technical"), {"fields": ("id", ("created_at", "updated_at"), ("due_at", "attempts"), "last_error")}),
    )
    actions = ("ask_these",)
    actions_detail = ("ask_this",)

    @display(description=_("review"))
    def review_label(self, txn: Transaction) -> str:
        return label(_("Review"), "danger") if txn.review_reason else "-"

    @display(description=_("answer"))
    def answer_text(self, txn: Transaction) -> str:
        return pretty_json(txn.provider_answer)

    @action(description=_("Ask the provider again now"), permissions=["ask"])
    def ask_these(self, request: HttpRequest, queryset: QuerySet[Transaction]) -> None:
        for txn in queryset:
            self._ask(request, txn)

    @action(
        description=_("Ask the provider again now"),
        permissions=["ask"],
        dialog={
            "title": _("Ask the provider again now"),
            "description": _("The worker looks the transaction up at its provider within seconds."),
            "form_submit_text": _("Ask"),
            "form_class": None,
        },
    )
    def ask_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        self._ask(request, Transaction.objects.get(pk=unquote(object_id)))
        return HttpResponse(headers={"HX-Redirect": reverse("admin:payments_transaction_change", args=[object_id])})

    def has_ask_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Whoever may look, for asking changes nothing that the provider does not say. `object_id` is quoted, as
        in the path; None asks for the list."""
        if object_id is None:
            return self.has_view_permission(request)
        txn = Transaction.objects.filter(pk=unquote(object_id)).first()
        return self.has_view_permission(request) and txn is not None and may_ask_again(txn)

    def _ask(self, request: HttpRequest, txn: Transaction) -> None:
        try:
            ask_again(txn.pk)
        except ApiError as error:
            messages.error(request, f"{txn.pk}: {error.message}")
        else:
            self.log_change(request, txn, str(_("Had the provider asked again.")))
            messages.success(request, f"{txn.pk}: {_('The provider is being asked.')}")


class ParkedFilter(RadioFilter):
    title = _("review")
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("waiting", _("Waits for a person"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ProviderNotice]) -> QuerySet[ProviderNotice]:
        return queryset.filter(PARKED) if self.value() == "waiting" else queryset


@admin.register(ProviderNotice)
class ProviderNoticeAdmin(ReadOnlyAdmin):
    """One that is parked is not about our money, as far as the program can see."""

    list_display = ("id", "provider", "kind", "type", "transaction_id", "waits", "last_error", "created")
    list_filter = (ParkedFilter, ("kind", ChoicesCheckboxFilter), CreatedFilter, ProviderFilter)
    list_disable_select_all = True
    actions = ("handle_these",)
    search_by = {"ntc_": "id__startswith", "txn_": "transaction_id", "": "event_id"}
    search_help_text = _("Id, our transaction, or the provider's event")
    fieldsets = (
        (None, {"fields": (("provider", "kind"), "type", "event_id", "transaction_id", "payload_text")}),
        (_("Technical"), {"fields": ("id", "created_at", ("due_at", "attempts"), "last_error")}),
    )

    @action(description=_("Handle again those that wait for a person"), permissions=["view"])
    def handle_these(self, request: HttpRequest, queryset: QuerySet[ProviderNotice]) -> None:
        """Changes nothing that the provider does not say, as with a transaction."""
        for notice in queryset.filter(PARKED):
            ProviderNotice.objects.filter(pk=notice.pk).update(due_at=timezone.now())
            self.log_change(request, notice, str(_("Had it handled again.")))

    @display(description=_("waits"), boolean=True)
    def waits(self, notice: ProviderNotice) -> bool:
        return notice.due_at is not None

    @display(description=_("payload"))
    def payload_text(self, notice: ProviderNotice) -> str:
        return pretty_json(notice.payload)
