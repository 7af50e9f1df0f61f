"""What the pages of the back office share: columns, a search and counts that stay cheap, and read-only money."""

import json
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.core.paginator import Paginator
from django.db.models import CharField, Model, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, RadioFilter, TextFilter
from unfold.decorators import action, display
from unfold.views import ChangeList as UnfoldChangeList

from core.errors import ApiError
from core.ids import RANDOM_BYTES, new_id
from core.mail import Email, send_again, to_send_again
from core.money import Money
from core.transactions import with_retries

# `name__lower__contains`: on MySQL's binary collation, which the money rules need, icontains minds the case.
CharField.register_lookup(Lower)

LIST_LIMIT = 10_000  # rows that a list counts and pages through; older ones are found by search and filters
NO_RANDOMNESS = bytes(RANDOM_BYTES)

# The colour of every status of every model; those not named are grey.
STATUS_COLOURS = {
    "completed": "success",
    "succeeded": "success",
    "active": "success",
    "sent": "success",
    "delivered": "success",
    "enabled": "success",
    "paid": "success",
    "authorized": "info",
    "in_transit": "info",
    "processing": "info",
    "queued": "info",
    "requires_action": "warning",
    "requires_approval": "warning",
    "pending": "warning",
    "onboarding": "warning",
    "held": "warning",
    "failed": "danger",
    "suspended": "danger",
    "disabled": "danger",
}


def label(text: object, colour: str = "") -> SafeString:
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": colour})


def money_text(money: Money) -> str:
    """`1,250.00 USD`: the code, because staff see every currency in one list."""
    whole, point, decimals = str(money).partition(".")
    return f"{int(whole):,}{point}{decimals} {money.currency}"


def pretty_json(value: Any) -> str:
    """Indented, for reading."""
    return preformatted(json.dumps(value, indent=2, ensure_ascii=False)) if value else "-"


def preformatted(text: str) -> SafeString:
    return format_html('<pre class="admin-code">{}</pre>', text)


class Columns:
    """Columns that most models have, for lists, details and inlines alike."""

    @display(description=_("status"), ordering="status")
    def status_label(self, row: Any) -> SafeString:
        return label(row.get_status_display(), STATUS_COLOURS.get(row.status, ""))

    @display(description=_("amount"))
    def amount_text(self, row: Any) -> str:
        return money_text(row.money)

    @display(description=_("created (UTC)"), ordering="pk")
    def created(self, row: Any) -> str:
        return f"{row.created_at:%Y-%m-%d %H:%M}"


class BoundedPaginator(Paginator):
    """Counts to LIST_LIMIT at most: the whole count of a large table takes seconds."""

    template_name = "admin/bounded_pagination.html"

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return rows[:LIST_LIMIT].count()

    @property
    def is_full(self) -> bool:
        return self.count >= LIST_LIMIT


class ChangeList(UnfoldChangeList):
    def get_results(self, request: HttpRequest) -> None:
        """Without a search or filter, what is counted is all there is: nothing to add to the count."""
        super().get_results(request)
        if not self.query and not self.get_filters_params():
            self.full_result_count = self.result_count


class BackOfficeAdmin(Columns, ModelAdmin):
    """`search_by` maps how a term looks to the one lookup that it means: a start ("pay_", "TG-"), "@" for an
    email, "" for anything else. An OR over all columns, Django's way, reads the whole table."""

    search_by: ClassVar[dict[str, str]] = {}
    paginator = BoundedPaginator
    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True
    list_fullwidth = True
    ordering = ("-pk",)

    def __init__(self, model: type[Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        self.search_fields = tuple(self.search_by.values())

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        """What a form saves is one transaction; it is sent again for whoever lost a conflict."""
        view = super().changeform_view
        return with_retries(lambda: view(request, *args, **options))

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return ChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return queryset.filter(**_lookup(self.search_by, term)) if term else queryset, False


def _lookup(search_by: dict[str, str], term: str) -> dict[str, str]:
    """The filter that a term means, in the case that the column is kept in."""
    for start, lookup in search_by.items():
        if start == "@" and "@" in term:
            return {lookup: term.lower()}
        if start and term.lower().startswith(start.lower()):
            return {lookup: term.lower() if start.islower() else term.upper()}
    lookup = search_by[""]
    return {lookup: term.lower() if "__lower" in lookup else term}


class ReadOnly:
    """Money and what providers said: the back office looks, services change. For lists, details and inlines."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, BackOfficeAdmin):
    sortable_by = ()  # newest first is the one order that has an index


class CreatedFilter(RadioFilter):
    """Recent rows, by id: an id starts with its time, so this needs no index but the key's."""

    title = _("created")
    parameter_name = "created"
    spans = {"1": _("Past 24 hours"), "7": _("Past 7 days"), "30": _("Past 30 days")}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(self.spans.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in self.spans:
            return queryset
        since = timezone.now() - timedelta(days=int(self.value()))
        prefix = queryset.model._meta.pk.prefix
        return queryset.filter(pk__gte=new_id(prefix, at=since, randomness=NO_RANDOMNESS))


class CurrencyFilter(TextFilter):
    title = _("currency")
    parameter_name = "currency"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = (self.value() or "").strip().upper()
        return queryset.filter(currency=value) if value else queryset


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    """Who did what in the back office."""

    list_display = ("when", "user", "action_flag", "content_type", "object_repr", "change")
    list_display_links = ("when",)
    list_select_related = ("user", "content_type")
    search_by = {"@": "user__email", "": "object_id"}
    search_help_text = _("The email of a member of staff, or the id of what was changed")
    fields = ("action_time", "user", "action_flag", "content_type", "object_id", "object_repr", "change")

    @display(description=_("time (UTC)"))
    def when(self, entry: LogEntry) -> str:
        return f"{entry.action_time:%Y-%m-%d %H:%M:%S}"

    @display(description=_("change"))
    def change(self, entry: LogEntry) -> str:
        return entry.get_change_message()


@admin.register(Email)
class EmailAdmin(ReadOnlyAdmin):
    """What was sent to whom. What it said is shown to nobody: it may hold a link that logs somebody in."""

    list_display = ("id", "template", "status_label", "reason", "to", "created")
    list_filter = (("status", ChoicesCheckboxFilter), CreatedFilter)
    list_disable_select_all = True
    search_by = {"eml_": "id__startswith", "@": "to", "": "to__startswith"}
    search_help_text = _("Id, or how the address starts")
    fieldsets = (
        (None, {"fields": (("template", "status_label", "reason"), ("to", "language"), ("from_name", "reply_to"))}),
        (_("Times"), {"fields": (("created_at", "sent_at"),)}),
        (_("Technical"), {"fields": ("id", ("merchant_id", "event_id"), ("due_at", "attempts"), "last_error")}),
    )
    actions = ("send_these",)
    actions_detail = ("send_this",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Email]:
        return super().get_queryset(request).defer("context")

    @action(description=_("Send again"), permissions=["send"])
    def send_these(self, request: HttpRequest, queryset: QuerySet[Email]) -> None:
        for email in queryset:
            self._send(request, email)

    @action(
        description=_("Send again"),
        permissions=["send"],
        dialog={
            "title": _("Send again"),
            "description": _("The worker tries it within seconds. A link in it may have run out meanwhile."),
            "form_submit_text": _("Send"),
            "form_class": None,
        },
    )
    def send_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        self._send(request, self.get_queryset(request).get(pk=unquote(object_id)))
        return HttpResponse(headers={"HX-Redirect": reverse("admin:core_email_change", args=[object_id])})

    def has_send_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Whoever may look, for it says nothing new to nobody new. `object_id` is quoted, as in the path; None asks
        for the list."""
        if object_id is None:
            return self.has_view_permission(request)
        return self.has_view_permission(request) and to_send_again().filter(pk=unquote(object_id)).exists()

    def _send(self, request: HttpRequest, email: Email) -> None:
        try:
            send_again(email.pk)
        except ApiError as error:
            messages.error(request, f"{email.pk}: {error.message}")
        else:
            self.log_change(request, email, str(_("Had it sent again.")))
            messages.success(request, f"{email.pk}: {_('It is being sent.')}")
