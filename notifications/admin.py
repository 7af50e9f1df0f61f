"""What happened and who was told of it, in the back office."""

import json
from typing import Any

import orjson
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesCheckboxFilter, DropdownFilter
from unfold.decorators import action, display

from core.admin import Columns, CreatedFilter, ReadOnly, ReadOnlyAdmin, preformatted
from core.errors import ApiError
from notifications.models import EVENT_TYPES, OLD_SECRETS, Event, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.services import enable_endpoint, resend

ATTEMPTS_SHOWN = 50
SECRETS = ("secret", *OLD_SECRETS)  # never read here: shown to nobody, and perhaps unreadable


class TypeFilter(DropdownFilter):
    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in EVENT_TYPES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        return queryset.filter(type=self.value()) if self.value() else queryset


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("type", "object_id", "sequence", "merchant", "id", "created")
    list_filter = (TypeFilter, CreatedFilter, ("merchant", AutocompleteSelectFilter))
    list_select_related = ("merchant",)
    search_by = {"evt_": "id__startswith", "": "object_id"}
    search_help_text = _("Id of an event, or of what it tells of")
    fields = ("id", "type", "object_id", "sequence", "merchant", "actor", "request_id", "created_at", "payload_text")

    @display(description=_("payload"))
    def payload_text(self, event: Event) -> SafeString:
        """Indented; the numbers stay as they were written (50.00, not 50.0)."""
        payload = json.loads(event.payload, parse_float=lambda digits: orjson.Fragment(digits))
        return preformatted(orjson.dumps(payload, option=orjson.OPT_INDENT_2).decode())


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin):
    list_display = ("url", "merchant", "status_label", "disabled_reason", "failures", "failing_since", "id", "created")
    list_filter = (("status", ChoicesCheckboxFilter), CreatedFilter, ("merchant", AutocompleteSelectFilter))
    list_select_related = ("merchant",)
    search_by = {"we_": "id__startswith", "mer_": "merchant_id", "": "url__startswith"}
    search_help_text = _("Id, merchant, or how the URL starts")
    fieldsets = (
        (None, {"fields": ("url", "description", ("merchant", "event_types"))}),
        (_("How it is"), {"fields": (("status_label", "disabled_reason"), ("failures", "failing_since", "is_slow"))}),
        (_("Technical"), {"fields": ("id", "created_at", ("previous_secret_until", "older_secret_until"))}),
    )
    actions_detail = ("enable_this",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        return super().get_queryset(request).defer(*SECRETS)

    @action(
        description=_("Enable"),
        permissions=["enable"],
        dialog={
            "title": _("Enable"),
            "description": _("It is told of what happens from now on. What it missed can be replayed."),
            "form_submit_text": _("Enable"),
            "form_class": None,
        },
    )
    def enable_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        endpoint = self.get_queryset(request).get(pk=unquote(object_id))
        try:
            enable_endpoint(endpoint)
        except ApiError as error:
            messages.error(request, error.message)
        else:
            self.log_change(request, endpoint, str(_("Enabled.")))
            messages.success(request, _("The endpoint is enabled."))
        path = reverse("admin:notifications_webhookendpoint_change", args=[object_id])
        return HttpResponse(headers={"HX-Redirect": path})

    def has_enable_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Whoever may look: the URL stays as the merchant set it, and they may do the same."""
        disabled = self.get_queryset(request).filter(status=WebhookEndpoint.Status.DISABLED)
        return self.has_view_permission(request) and disabled.filter(pk=unquote(object_id or "")).exists()


class AttemptInline(ReadOnly, Columns, TabularInline):
    model = WebhookAttempt
    fields = ("created_at", "status", "milliseconds", "error", "answer")
    readonly_fields = fields
    ordering = ("pk",)
    max_num = ATTEMPTS_SHOWN
    hide_title = True


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("id", "event", "endpoint", "status_label", "attempts", "due_at", "last_error", "created")
    list_filter = (("status", ChoicesCheckboxFilter), CreatedFilter, ("merchant", AutocompleteSelectFilter))
    list_select_related = ("event", "endpoint")
    list_disable_select_all = True
    search_by = {"wd_": "id__startswith", "we_": "endpoint_id", "evt_": "event_id", "": "event__object_id"}
    search_help_text = _("Id, endpoint, event, or what the event tells of")
    fieldsets = (
        (None, {"fields": (("event", "status_label"), ("endpoint", "merchant"))}),
        (_("Technical"), {"fields": ("id", ("created_at", "due_at"), ("attempts", "last_error"))}),
    )
    inlines = (AttemptInline,)
    actions = ("send_these",)
    actions_detail = ("send_this",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        unread = ("event__payload", *(f"endpoint__{name}" for name in SECRETS))
        return super().get_queryset(request).select_related("event", "endpoint").defer(*unread)

    @action(description=_("Send again"), permissions=["send"])
    def send_these(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        for delivery in queryset:
            self._send(request, delivery)

    @action(
        description=_("Send again"),
        permissions=["send"],
        dialog={
            "title": _("Send again"),
            "description": _("The worker sends it within seconds, under the same webhook-id as before."),
            "form_submit_text": _("Send"),
            "form_class": None,
        },
    )
    def send_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        self._send(request, self.get_queryset(request).get(pk=unquote(object_id)))
        path = reverse("admin:notifications_webhookdelivery_change", args=[object_id])
        return HttpResponse(headers={"HX-Redirect": path})

    def has_send_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Whoever may look: the merchant's own server is told once more what it may know. `object_id` is quoted, as in
        the path; None asks for the list."""
        if object_id is None:
            return self.has_view_permission(request)
        return self.has_view_permission(request) and WebhookDelivery.objects.filter(pk=unquote(object_id)).exists()

    def _send(self, request: HttpRequest, delivery: WebhookDelivery) -> None:
        try:
            resend(delivery)
        except ApiError as error:
            messages.error(request, f"{delivery.pk}: {error.message}")
        else:
            self.log_change(request, delivery, str(_("Sent again.")))
            messages.success(request, f"{delivery.pk}: {_('It is being sent.')}")


@admin.register(WebhookAttempt)
class WebhookAttemptAdmin(ReadOnlyAdmin):
    list_display = ("id", "delivery", "status", "error", "milliseconds", "created")
    list_filter = (CreatedFilter,)
    search_by = {"wa_": "id__startswith", "": "delivery_id"}
    search_help_text = _("Id, or the delivery's")
    fields = ("id", "delivery", "created_at", "status", "milliseconds", "error", "answer")
