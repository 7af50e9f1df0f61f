"""The books in the back office: to be read, never to be written; only fees are set here."""

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesCheckboxFilter
from unfold.decorators import display

from core.admin import BackOfficeAdmin, CreatedFilter, ReadOnly, ReadOnlyAdmin, money_text
from ledger.models import Entry, Fee, Halt, Journal


class EntryInline(ReadOnly, TabularInline):
    model = Entry
    fields = ("account", "debit", "credit")
    readonly_fields = fields
    extra = 0

    @display(description=_("debit"))
    def debit(self, entry: Entry) -> str:
        return _side(entry, entry.amount)

    @display(description=_("credit"))
    def credit(self, entry: Entry) -> str:
        return _side(entry, -entry.amount)


def _side(entry: Entry, amount: int) -> str:
    return money_text(type(entry.money)(amount, entry.currency)) if amount > 0 else ""


@admin.register(Journal)
class JournalAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "source_id", "merchant", "currency", "created")
    list_filter = (("kind", ChoicesCheckboxFilter), CreatedFilter, ("merchant", AutocompleteSelectFilter))
    list_select_related = ("merchant",)
    search_by = {"jnl_": "id__startswith", "": "source_id__startswith"}
    search_help_text = _("Id, or id of what was booked")
    fields = ("id", "kind", "source_id", "merchant", "currency", "reverses", "created_at")
    inlines = (EntryInline,)


@admin.register(Halt)
class HaltAdmin(ReadOnlyAdmin):
    list_display = ("reason", "created_at", "lifted_at")
    search_by = {"": "reason__contains"}
    fields = ("reason", "created_at", "lifted_at")


@admin.register(Fee)
class FeeAdmin(BackOfficeAdmin):
    list_display = ("merchant", "payee", "method", "currency", "basis_points", "fixed")
    list_filter = (("merchant", AutocompleteSelectFilter),)
    list_select_related = ("merchant",)
    search_by = {"": "merchant__name__lower__contains"}
    search_help_text = _("Name of the merchant")
    autocomplete_fields = ("merchant",)

    def get_readonly_fields(self, request: Any, obj: Any = None) -> tuple[str, ...]:
        return ("merchant", "payee", "method", "currency") if obj else ()
