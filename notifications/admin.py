"""What happened, in the back office."""

import json
from typing import Any

import orjson
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, DropdownFilter
from unfold.decorators import display

from core.admin import CreatedFilter, ReadOnlyAdmin, preformatted
from notifications.models import EVENT_TYPES, Event


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
    fields = ("id", "type", "object_id", "sequence", "merchant", "request_id", "created_at", "payload_text")

    @display(description=_("payload"))
    def payload_text(self, event: Event) -> SafeString:
        """Indented; the numbers stay as they were written (50.00, not 50.0)."""
        payload = json.loads(event.payload, parse_float=lambda digits: orjson.Fragment(digits))
        return preformatted(orjson.dumps(payload, option=orjson.OPT_INDENT_2).decode())
