from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from sandbox.models import Charge, Dispute, Notice, Operation


class ReadOnlyAdmin(ModelAdmin):
    """The emulator keeps its own books; the back office only looks."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Charge)
class ChargeAdmin(ReadOnlyAdmin):
    list_display = ("id", "key", "account_name", "money", "method", "status", "failure_code", "created_at")
    list_filter = ("status", "method", "currency")
    search_fields = ("id", "key", "account")


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    list_display = ("id", "key", "kind", "charge_id", "money", "status", "failure_code", "created_at")
    list_filter = ("kind", "status")
    search_fields = ("id", "key", "charge__id", "charge__key")


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    list_display = ("id", "charge_id", "money", "stage", "reason", "status", "due_by")
    list_filter = ("stage", "status", "reason")
    search_fields = ("id", "charge__id", "charge__key")


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "type", "key", "created_at", "delivered_at")
    list_filter = ("kind", "type")
    search_fields = ("id", "key")
