"""The emulator's books in the back office, to look at."""

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesCheckboxFilter

from core.admin import CreatedFilter, CurrencyFilter, ReadOnlyAdmin
from sandbox.models import Charge, Dispute, Notice, Operation, Transfer


@admin.register(Charge)
class ChargeAdmin(ReadOnlyAdmin):
    list_display = ("id", "amount_text", "status_label", "method", "account_name", "failure_code", "created", "key")
    list_filter = (("status", ChoicesCheckboxFilter), ("method", ChoicesCheckboxFilter), CreatedFilter, CurrencyFilter)
    search_by = {"ch_": "id__startswith", "": "key"}


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "amount_text", "status_label", "charge_id", "failure_code", "created", "key")
    list_filter = (("kind", ChoicesCheckboxFilter), ("status", ChoicesCheckboxFilter), CreatedFilter)
    search_by = {"sre_": "id__startswith", "ch_": "charge_id", "": "key"}


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin):
    list_display = ("id", "amount_text", "status_label", "account", "last4", "failure_code", "created", "key")
    list_filter = (("status", ChoicesCheckboxFilter), CreatedFilter, CurrencyFilter)
    search_by = {"str_": "id__startswith", "mer_": "account", "": "key"}


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    list_display = ("id", "amount_text", "status_label", "stage", "reason", "charge_id", "due_by", "created")
    list_filter = (("stage", ChoicesCheckboxFilter), ("status", ChoicesCheckboxFilter), CreatedFilter)
    search_by = {"sdp_": "id__startswith", "": "charge_id"}


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    list_display = ("id", "type", "key", "created", "delivered_at")
    list_filter = (("kind", ChoicesCheckboxFilter), CreatedFilter)
    search_by = {"ntf_": "id__startswith", "": "key"}
