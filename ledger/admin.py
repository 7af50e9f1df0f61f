"""The books in the back office: to be read, never to be written; fees are set here, and payouts carried out by hand."""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesCheckboxFilter, RadioFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin import ServiceAdmin, asked_first
from core.admin import BackOfficeAdmin, CreatedFilter, CurrencyFilter, ReadOnly, ReadOnlyAdmin, label, money_text
from core.encryption import DecryptionError
from core.money import Money
from core.state import can_move
from ledger import services
from ledger.carriers import BY_HAND
from ledger.models import (
    CODE_LENGTH,
    TO_CARRY_OUT,
    BankAccount,
    Entry,
    Fee,
    Halt,
    Journal,
    Payout,
    PayoutLine,
    PayoutStatus,
)


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
    return money_text(Money(amount, entry.currency)) if amount > 0 else ""


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
    list_display = ("reason", "created_at", "lifted_at", "lifted_by")
    search_by = {"": "reason__contains"}
    fields = ("reason", "created_at", "lifted_at", "lifted_by", "lifted_because", "stood")


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


# --- Payouts ----------------------------------------------------------------------------------
@admin.register(BankAccount)
class BankAccountAdmin(ReadOnlyAdmin):
    """Its number is shown to whoever carries out a payout to it (below), and to nobody else."""

    list_display = ("id", "merchant", "currency", "holder", "last4", "used", "schedule", "created")
    list_filter = (("schedule", ChoicesCheckboxFilter), CreatedFilter, CurrencyFilter)
    list_select_related = ("merchant",)
    search_by = {"ba_": "id__startswith", "mer_": "merchant_id", "": "last4"}
    search_help_text = _("Id, merchant, or the last four characters of the number")
    fieldsets = (
        (None, {"fields": ("merchant", ("currency", "used"), ("holder", "country"), ("bank_name", "last4"))}),
        (_("Schedule"), {"fields": (("schedule", "anchor"), "minimum", ("due_at", "last_error"))}),
        (_("Technical"), {"fields": ("id", ("created_at", "created_by"))}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[BankAccount]:
        return super().get_queryset(request).sealed()

    @display(description=_("in use"), boolean=True)
    def used(self, account: BankAccount) -> bool:
        return account.is_in_use


class WaitingFilter(RadioFilter):
    title = _("waits for a person")
    parameter_name = "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("hand", _("To be carried out by hand")), ("review", _("To be reviewed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Payout]) -> QuerySet[Payout]:
        if self.value() == "hand":
            return queryset.filter(carrier=BY_HAND, status__in=TO_CARRY_OUT)
        return queryset.filter(review_reason__gt="") if self.value() == "review" else queryset


class FailureForm(BaseDialogForm):
    failure_code = forms.CharField(
        label=_("The bank's reason"), max_length=CODE_LENGTH, widget=UnfoldAdminTextInputWidget
    )


class PayoutLineInline(ReadOnly, TabularInline):
    model = PayoutLine
    fields = ("kind", "source", "whole", "settled")
    readonly_fields = fields
    verbose_name_plural = _("what it settles")
    hide_title = True
    extra = 0
    per_page = 20

    def get_queryset(self, request: HttpRequest) -> QuerySet[PayoutLine]:
        return super().get_queryset(request).select_related("entry__journal")

    @display(description=_("kind"))
    def kind(self, line: PayoutLine) -> str:
        return line.entry.journal.get_kind_display()

    @display(description=_("of"))
    def source(self, line: PayoutLine) -> str:
        return line.entry.journal.source_id

    @display(description=_("entry"))
    def whole(self, line: PayoutLine) -> str:
        return money_text(line.entry.money)

    @display(description=_("settled"))
    def settled(self, line: PayoutLine) -> str:
        return money_text(line.money)


@admin.register(Payout)
class PayoutAdmin(ServiceAdmin, ReadOnlyAdmin):
    """Those of live merchants are carried out by hand: told to the bank, then marked as sent, paid or failed."""

    list_display = (
        "id",
        "amount_text",
        "status_label",
        "review_label",
        "merchant",
        "bank_account",
        "carried_by",
        "created",
    )
    list_filter = (
        WaitingFilter,
        ("status", ChoicesCheckboxFilter),
        CreatedFilter,
        CurrencyFilter,
        ("merchant", AutocompleteSelectFilter),
    )
    list_select_related = ("merchant", "bank_account")
    list_disable_select_all = True
    search_by = {"po_": "id__startswith", "mer_": "merchant_id", "ba_": "bank_account_id", "": "carrier_reference"}
    search_help_text = _("Id, merchant, bank account, or the carrier's reference")
    fieldsets = (
        (None, {"fields": (("amount_text", "status_label"), "merchant", "review_reason", "failure_code")}),
        (_("Where to"), {"fields": (("holder", "bank_account"), "number")}),
        (_("Who and when"), {"fields": (("is_scheduled", "requested_by"), ("sent_at", "paid_at"))}),
        (
            _("Technical"),
            {
                "fields": (
                    "id",
                    ("created_at", "updated_at"),
                    ("carrier", "carrier_reference"),
                    ("due_at", "last_error"),
                )
            },
        ),
    )
    inlines = (PayoutLineInline,)
    actions_detail = ("hold_this", "release_this", "call_this_off", "send_this", "pay_this", "fail_this", "ask_this")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Payout]:
        return super().get_queryset(request).with_account()

    @display(description=_("review"))
    def review_label(self, payout: Payout) -> str:
        return label(_("Review"), "danger") if payout.review_reason else "-"

    @display(description=_("carried by"))
    def carried_by(self, payout: Payout) -> Any:
        return payout.carrier or _("staff")

    @display(description=_("holder"))
    def holder(self, payout: Payout) -> str:
        account = payout.bank_account
        return f"{account.holder}, {account.country}"

    @display(description=_("account number"))
    def number(self, payout: Payout) -> str:
        """In full only for a payout that somebody has to carry out."""
        account = payout.bank_account
        if payout.carrier != BY_HAND or payout.status not in TO_CARRY_OUT:
            return f"…{account.last4}"
        try:
            return f"{account.routing_number} {account.account_number}".strip()
        except DecryptionError as error:
            return str(error)

    # --- What staff do ------------------------------------------------------------------------
    @action(
        description=_("Hold"),
        permissions=["hold"],
        dialog=asked_first(_("Hold"), _("It does not leave until it is released.")),
    )
    def hold_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._change_one(request, object_id, services.hold_payout, _("Held."))

    @action(
        description=_("Release"),
        permissions=["release"],
        dialog=asked_first(_("Release"), _("It goes on its way.")),
    )
    def release_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._change_one(request, object_id, services.release_payout, _("Released."))

    @action(
        description=_("Call off"),
        permissions=["call_off"],
        variant=ActionVariant.DANGER,
        dialog=asked_first(_("Call off"), _("The money is available to the merchant again.")),
    )
    def call_this_off(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._change_one(request, object_id, services.call_off_payout, _("Called off."))

    @action(
        description=_("Mark as sent"),
        permissions=["send"],
        dialog=asked_first(_("Mark as sent"), _("The bank was told to pay it. It cannot be called off any more.")),
    )
    def send_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._change_one(request, object_id, services.send_by_hand, _("Marked as sent."))

    @action(
        description=_("Mark as paid"),
        permissions=["pay"],
        variant=ActionVariant.SUCCESS,
        dialog=asked_first(_("Mark as paid"), _("It has arrived.")),
    )
    def pay_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._change_one(request, object_id, services.pay_by_hand, _("Marked as paid."))

    @action(
        description=_("Mark as failed"),
        permissions=["fail"],
        variant=ActionVariant.DANGER,
        dialog={
            **asked_first(_("Mark as failed"), _("The bank has sent it back: the money is available again.")),
            "form_class": FailureForm,
        },
    )
    def fail_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        fail = partial(services.fail_by_hand, failure_code=form.cleaned_data["failure_code"])
        return self._change_one(request, object_id, fail, _("Marked as failed."))

    @action(
        description=_("Ask the carrier again now"),
        permissions=["ask"],
        dialog=asked_first(_("Ask"), _("The worker looks the payout up within seconds.")),
    )
    def ask_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._change_one(request, object_id, services.ask_again, _("The carrier is being asked."))

    def has_hold_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may_move(request, object_id, PayoutStatus.HELD)

    def has_release_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may(request, object_id, lambda payout: payout.status == PayoutStatus.HELD)

    def has_call_off_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may_move(request, object_id, PayoutStatus.CANCELLED)

    def has_send_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may_move(request, object_id, PayoutStatus.IN_TRANSIT, by_hand=True)

    def has_pay_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may_move(request, object_id, PayoutStatus.PAID, by_hand=True)

    def has_fail_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may_move(request, object_id, PayoutStatus.FAILED, by_hand=True)

    def has_ask_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may(request, object_id, services.may_ask_again)

    def _may_move(self, request: HttpRequest, object_id: str | None, status: str, *, by_hand: bool = False) -> bool:
        return self._may(
            request,
            object_id,
            lambda payout: can_move(payout, status) and (payout.carrier == BY_HAND or not by_hand),
        )
