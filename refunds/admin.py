"""Refunds in the back office: to look at, never to edit, and a way to get unstuck."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesCheckboxFilter
from unfold.decorators import action, display

from core.admin import CreatedFilter, CurrencyFilter, ReadOnlyAdmin, label
from core.errors import ApiError
from payments.services.review import NothingToAsk, ask_again, may_ask_again
from refunds.models import Refund


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = ("id", "amount_text", "status_label", "review_label", "reason", "created", "payment", "merchant")
    list_filter = (
        ("status", ChoicesCheckboxFilter),
        ("reason", ChoicesCheckboxFilter),
        CreatedFilter,
        CurrencyFilter,
        ("merchant", AutocompleteSelectFilter),
    )
    list_select_related = ("payment", "merchant", "transaction")
    list_disable_select_all = True
    search_by = {
        "re_": "id__startswith",
        "pay_": "payment_id",
        "TG-": "payment__reference",
        "txn_": "transaction_id",
        "": "transaction__provider_reference",
    }
    search_help_text = _("Id, payment, transaction, or the provider's reference")
    fieldsets = (
        (None, {"fields": (("amount_text", "status_label"), "payment", "merchant", ("reason", "is_surplus"), "note")}),
        (_("At the provider"), {"fields": (("link", "charge"), "failure_code", "review_reason")}),
        (_("Who"), {"fields": (("requested_by", "approved_by"),)}),
        (_("Technical"), {"fields": ("id", ("created_at", "updated_at"), "last_error")}),
    )
    actions = ("ask_these",)
    actions_detail = ("ask_this",)

    @display(description=_("review"))
    def review_label(self, refund: Refund) -> str:
        return label(_("Review"), "danger") if self.review_reason(refund) else "-"

    @display(description=_("review reason"))
    def review_reason(self, refund: Refund) -> str:
        return refund.transaction.review_reason if refund.transaction else ""

    @display(description=_("last error"))
    def last_error(self, refund: Refund) -> str:
        return refund.transaction.last_error if refund.transaction else ""

    @display(description=_("transaction"), empty_value="-")
    def link(self, refund: Refund) -> SafeString | None:
        if refund.transaction_id is None:
            return None
        url = reverse("admin:payments_transaction_change", args=[refund.transaction_id])
        return format_html('<a href="{}" class="text-link">{}</a>', url, refund.transaction_id)

    @action(description=_("Ask the provider again now"), permissions=["ask"])
    def ask_these(self, request: HttpRequest, queryset: QuerySet[Refund]) -> None:
        for refund in queryset:
            self._ask(request, refund)

    @action(
        description=_("Ask the provider again now"),
        permissions=["ask"],
        dialog={
            "title": _("Ask the provider again now"),
            "description": _("The worker looks the refund up at its provider within seconds."),
            "form_submit_text": _("Ask"),
            "form_class": None,
        },
    )
    def ask_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        self._ask(request, Refund.objects.get(pk=unquote(object_id)))
        return HttpResponse(headers={"HX-Redirect": reverse("admin:refunds_refund_change", args=[object_id])})

    def has_ask_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Whoever may look, for asking changes nothing that the provider does not say. `object_id` is quoted, as
        in the path; None asks for the list."""
        if object_id is None:
            return self.has_view_permission(request)
        refund = Refund.objects.select_related("transaction").filter(pk=unquote(object_id)).first()
        asked = refund.transaction if refund else None
        return self.has_view_permission(request) and asked is not None and may_ask_again(asked)

    def _ask(self, request: HttpRequest, refund: Refund) -> None:
        try:
            if refund.transaction_id is None:
                raise NothingToAsk("The refund waits for its approval: no provider was asked.")
            ask_again(refund.transaction_id)
        except ApiError as error:
            messages.error(request, f"{refund.pk}: {error.message}")
        else:
            self.log_change(request, refund, str(_("Had the provider asked again.")))
            messages.success(request, f"{refund.pk}: {_('The provider is being asked.')}")
