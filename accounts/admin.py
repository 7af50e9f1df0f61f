"""People and merchants in the back office."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesCheckboxFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import AdminPasswordChangeForm, UserChangeForm

from accounts.forms import MembershipForm, MerchantForm, UserAddForm
from accounts.models import ApiKey, Customer, Login, Membership, Merchant, User
from accounts.services import (
    add_merchant,
    approve_merchant,
    end_login,
    make_default,
    revoke_key,
    suspend_merchant,
)
from core.admin import STATUS_COLOURS, BackOfficeAdmin, CreatedFilter, ReadOnlyAdmin, label
from core.errors import ApiError
from core.state import can_move

admin.site.unregister(Group)


def _time(column: str, text: Any) -> Any:
    """A column of a moment."""

    @display(description=text, ordering=column)
    def show(self: Any, row: Any) -> str:
        moment: datetime | None = getattr(row, column)
        return f"{moment:%Y-%m-%d %H:%M}" if moment else "-"

    return show


class ServiceAdmin(BackOfficeAdmin):
    """Has actions that services carry out: told to whoever asked for them, and kept in the log."""

    def _may(self, request: HttpRequest, object_id: str | None, rule: Callable[[Any], bool]) -> bool:
        """Whether the user and the row's state allow it. `object_id` is quoted, as in the path; None asks for the
        list."""
        options = self.model._meta
        allowed = request.user.has_perm(f"{options.app_label}.{get_permission_codename('change', options)}")
        if object_id is None or not allowed:
            return allowed
        row = self.model.objects.filter(pk=unquote(object_id)).first()
        return row is not None and rule(row)

    def _change(self, request: HttpRequest, row: Any, service: Callable[[Any], object], done: Any) -> None:
        try:
            service(row)
        except ApiError as error:
            messages.error(request, f"{row}: {error.message}")
        else:
            self.log_change(request, row, str(done))
            messages.success(request, f"{row}: {done}")

    def _change_one(
        self, request: HttpRequest, object_id: str, service: Callable[[Any], object], done: Any
    ) -> HttpResponse:
        self._change(request, self.model.objects.get(pk=unquote(object_id)), service, done)
        page = f"admin:{self.model._meta.app_label}_{self.model._meta.model_name}_change"
        return HttpResponse(headers={"HX-Redirect": reverse(page, args=[object_id])})


class MembershipInline(TabularInline):
    model = Membership
    form = MembershipForm
    autocomplete_fields = ("merchant", "user")
    fields = ("merchant", "user", "email", "role", "joined")
    readonly_fields = ("email", "joined")
    extra = 0

    joined = _time("joined_at", _("joined (UTC)"))


@admin.register(User)
class UserAdmin(BaseUserAdmin, BackOfficeAdmin):  # type: ignore[misc]
    """An account is deactivated, not deleted: the log of what its owner did hangs on it."""

    form = UserChangeForm
    add_form = UserAddForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "name", "is_active", "is_staff", "is_superuser", "last_login", "created")
    list_filter = ("is_active", "is_staff", "is_superuser", CreatedFilter)
    search_by = {"usr_": "id__startswith", "@": "email", "": "name__lower__startswith"}
    search_help_text = _("Email, id, or how the name starts")
    ordering = ("email",)  # type: ignore[misc]
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        (_("Permissions"), {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        (_("Times"), {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)
    readonly_fields = ("last_login", "created_at")
    inlines = (MembershipInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Only a superuser hands out power."""
        power = () if request.user.is_superuser else ("is_staff", "is_superuser", "groups")
        return (*super().get_readonly_fields(request, obj), *power)

    def get_inlines(self, request: HttpRequest, obj: Any) -> tuple[Any, ...]:
        return self.inlines if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Group)
class GroupAdmin(BaseGroupAdmin, ModelAdmin):
    """Named sets of permissions for staff."""


def asked_first(title: Any, text: Any) -> dict[str, Any]:
    """A dialog, so that a change of state is a POST with a CSRF token and never a link."""
    return {"title": title, "description": text, "form_submit_text": title, "form_class": None}


@admin.register(Merchant)
class MerchantAdmin(ServiceAdmin):
    """A merchant is closed, not deleted. Its status and the default flag change through services."""

    form = MerchantForm
    list_display = ("name", "id", "status_label", "mode", "country", "default_currency", "is_default", "created")
    list_filter = (("status", ChoicesCheckboxFilter), ("mode", ChoicesCheckboxFilter), CreatedFilter)
    search_by = {"mer_": "id__startswith", "": "name__lower__contains"}
    search_help_text = _("Name or id")
    fieldsets = (
        (None, {"fields": ("name", "status_label", "mode", "is_default")}),
        (_("Business"), {"fields": ("country", "default_currency", "return_origins")}),
        (_("Checkout"), {"fields": ("payment_methods", "brand_name", "brand_color", "support_email")}),
        (_("Money"), {"fields": ("settlement_delay_days", "refund_approval_limit")}),
        (_("Technical"), {"fields": ("id", "created_at")}),
    )
    readonly_fields = ("status_label", "is_default", "id", "created_at")
    inlines = (MembershipInline,)
    actions = ("approve", "suspend")
    actions_detail = ("approve_this", "suspend_this", "make_this_default")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if "return_origins" in form.base_fields:
            form.base_fields["return_origins"].widget.attrs["rows"] = 3
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The mode never changes: payments of one world may not end up in the other."""
        return (*self.readonly_fields, "mode") if obj else self.readonly_fields

    def get_inlines(self, request: HttpRequest, obj: Any) -> tuple[Any, ...]:
        return self.inlines if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Merchant, form: Any, change: bool) -> None:
        """Writes only what was edited: the form knows an old status, and somebody else may have changed it."""
        if change:
            obj.save(update_fields=form.changed_data)
        else:
            add_merchant(obj)

    # --- In the list --------------------------------------------------------------------------
    @action(description=_("Approve"), permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Merchant]) -> None:
        for merchant in queryset:
            self._change(request, merchant, approve_merchant, _("Approved."))

    @action(description=_("Suspend"), permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Merchant]) -> None:
        for merchant in queryset:
            self._change(request, merchant, suspend_merchant, _("Suspended."))

    # --- On the merchant's page ---------------------------------------------------------------
    @action(
        description=_("Approve"),
        permissions=["approve"],
        variant=ActionVariant.SUCCESS,
        dialog=asked_first(_("Approve"), _("The merchant can take payments at once.")),
    )
    def approve_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._change_one(request, object_id, approve_merchant, _("Approved."))

    @action(
        description=_("Suspend"),
        permissions=["suspend"],
        variant=ActionVariant.DANGER,
        dialog=asked_first(_("Suspend"), _("No new payments can be made; those that exist go on.")),
    )
    def suspend_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._change_one(request, object_id, suspend_merchant, _("Suspended."))

    @action(
        description=_("Make default"),
        permissions=["make_default"],
        dialog=asked_first(_("Make default"), _("Payments that name no merchant will go to this one.")),
    )
    def make_this_default(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._change_one(request, object_id, make_default, _("Made the default merchant."))

    def has_approve_permission(self, request: HttpRequest, object_id: str) -> bool:
        return self._may(request, object_id, lambda merchant: can_move(merchant, Merchant.Status.ACTIVE))

    def has_suspend_permission(self, request: HttpRequest, object_id: str) -> bool:
        return self._may(request, object_id, lambda merchant: can_move(merchant, Merchant.Status.SUSPENDED))

    def has_make_default_permission(self, request: HttpRequest, object_id: str) -> bool:
        return self._may(request, object_id, lambda merchant: merchant.can_take_payments and not merchant.is_default)


@admin.register(Membership)
class MembershipAdmin(BackOfficeAdmin):
    form = MembershipForm
    list_display = ("email", "merchant", "role", "joined", "created")
    list_filter = (("role", ChoicesCheckboxFilter), ("merchant", AutocompleteSelectFilter))
    list_select_related = ("merchant",)
    search_by = {"mem_": "id__startswith", "@": "email", "": "merchant__name__lower__contains"}
    search_help_text = _("Email, or name of the merchant")
    autocomplete_fields = ("merchant", "user")
    fields = ("merchant", "user", "email", "role", "joined", "id", "created_at")
    readonly_fields = ("email", "joined", "id", "created_at")

    joined = _time("joined_at", _("joined (UTC)"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("merchant", "user", *self.readonly_fields) if obj else self.readonly_fields


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin):
    """Made by payments; only their merchant changes them."""

    list_display = ("email", "name", "merchant", "phone", "location", "created")
    list_filter = (CreatedFilter, ("merchant", AutocompleteSelectFilter))
    list_select_related = ("merchant",)
    search_by = {"cus_": "id__startswith", "@": "email", "": "name__lower__startswith"}
    search_help_text = _("Email, id, or how the name starts")
    fields = ("id", "merchant", "email", "name", "phone", "location", "created_at")


@admin.register(ApiKey)
class ApiKeyAdmin(ServiceAdmin, ReadOnlyAdmin):
    """A key is known by its last characters: the rest was shown once, to whoever made it."""

    list_display = ("name", "merchant", "last4", "scopes_text", "status_label", "created", "last_used")
    list_filter = (CreatedFilter, ("merchant", AutocompleteSelectFilter))
    list_select_related = ("merchant",)
    search_by = {"key_": "id__startswith", "mer_": "merchant_id", "": "name__lower__startswith"}
    search_help_text = _("How the name starts, or the id of the key or its merchant")
    fieldsets = (
        (None, {"fields": (("name", "status_label"), ("merchant", "last4"), "scopes_text")}),
        (_("Times"), {"fields": (("created_at", "created_by"), ("last_used_at", "expires_at"), "revoked_at")}),
        (_("Technical"), {"fields": ("id",)}),
    )
    actions = ("revoke",)
    actions_detail = ("revoke_this",)

    last_used = _time("last_used_at", _("last used (UTC)"))

    @display(description=_("status"))
    def status_label(self, key: ApiKey) -> SafeString:
        return label(key.status.capitalize(), STATUS_COLOURS.get(key.status, ""))

    @display(description=_("scopes"))
    def scopes_text(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @action(description=_("Revoke"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            self._change(request, key, revoke_key, _("Revoked."))

    @action(
        description=_("Revoke"),
        permissions=["revoke"],
        variant=ActionVariant.DANGER,
        dialog=asked_first(_("Revoke"), _("Programs that use this key are refused at once, and for ever.")),
    )
    def revoke_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._change_one(request, object_id, revoke_key, _("Revoked."))

    def has_revoke_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may(request, object_id, lambda key: key.revoked_at is None)


@admin.register(Login)
class LoginAdmin(ServiceAdmin, ReadOnlyAdmin):
    """Who is logged in to the API. A log-in that ends takes all its tokens with it."""

    list_display = ("user", "created", "refreshed", "ended")
    list_filter = (CreatedFilter, ("user", AutocompleteSelectFilter))
    list_select_related = ("user",)
    search_by = {"login_": "id__startswith", "usr_": "user_id", "@": "user__email", "": "user__name__lower__startswith"}
    search_help_text = _("Email or name of the user, or an id")
    fields = ("user", "created_at", "refreshed_at", "expires_at", "ended_at", "id")
    actions = ("end",)
    actions_detail = ("end_this",)

    refreshed = _time("refreshed_at", _("last refreshed (UTC)"))
    ended = _time("ended_at", _("ended (UTC)"))

    @action(description=_("End"), permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet[Login]) -> None:
        for login in queryset:
            self._change(request, login, end_login, _("Ended."))

    @action(
        description=_("End"),
        permissions=["end"],
        variant=ActionVariant.DANGER,
        dialog=asked_first(_("End"), _("The user is logged out there, and logs in again.")),
    )
    def end_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._change_one(request, object_id, end_login, _("Ended."))

    def has_end_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may(request, object_id, lambda login: login.ended_at is None)
