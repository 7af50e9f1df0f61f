"""People and merchants in the back office."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesCheckboxFilter
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import AdminPasswordChangeForm, UserChangeForm

from accounts.forms import UserAddForm
from accounts.models import Customer, Membership, Merchant, User
from accounts.services import add_merchant, approve_merchant, make_default, suspend_merchant
from core.admin import BackOfficeAdmin, CreatedFilter, ReadOnlyAdmin
from core.errors import ApiError
from core.state import can_move

admin.site.unregister(Group)


class MembershipInline(TabularInline):
    model = Membership
    autocomplete_fields = ("merchant", "user")
    extra = 0


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


def _asked_first(title: Any, text: Any) -> dict[str, Any]:
    """A dialog, so that a change of state is a POST with a CSRF token and never a link."""
    return {"title": title, "description": text, "form_submit_text": title, "form_class": None}


@admin.register(Merchant)
class MerchantAdmin(BackOfficeAdmin):
    """A merchant is closed, not deleted. Its status and the default flag change through services."""

    list_display = ("name", "id", "status_label", "mode", "country", "default_currency", "is_default", "created")
    list_filter = (("status", ChoicesCheckboxFilter), ("mode", ChoicesCheckboxFilter), CreatedFilter)
    search_by = {"mer_": "id__startswith", "": "name__lower__contains"}
    search_help_text = _("Name or id")
    fieldsets = (
        (None, {"fields": ("name", "status_label", "mode", "is_default")}),
        (_("Business"), {"fields": ("country", "default_currency", "return_origins")}),
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
        dialog=_asked_first(_("Approve"), _("The merchant can take payments at once.")),
    )
    def approve_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._change_one(request, object_id, approve_merchant, _("Approved."))

    @action(
        description=_("Suspend"),
        permissions=["suspend"],
        variant=ActionVariant.DANGER,
        dialog=_asked_first(_("Suspend"), _("No new payments can be made; those that exist go on.")),
    )
    def suspend_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._change_one(request, object_id, suspend_merchant, _("Suspended."))

    @action(
        description=_("Make default"),
        permissions=["make_default"],
        dialog=_asked_first(_("Make default"), _("Payments that name no merchant will go to this one.")),
    )
    def make_this_default(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._change_one(request, object_id, make_default, _("Made the default merchant."))

    def has_approve_permission(self, request: HttpRequest, object_id: str) -> bool:
        return self._may(request, object_id, lambda merchant: can_move(merchant, Merchant.Status.ACTIVE))

    def has_suspend_permission(self, request: HttpRequest, object_id: str) -> bool:
        return self._may(request, object_id, lambda merchant: can_move(merchant, Merchant.Status.SUSPENDED))

    def has_make_default_permission(self, request: HttpRequest, object_id: str) -> bool:
        return self._may(request, object_id, lambda merchant: merchant.can_take_payments and not merchant.is_default)

    def _may(self, request: HttpRequest, object_id: str, rule: Callable[[Merchant], bool]) -> bool:
        """Whether the user and the merchant's state allow it. `object_id` is quoted, as in the path."""
        merchant = Merchant.objects.filter(pk=unquote(object_id)).first()
        return self.has_change_permission(request) and merchant is not None and rule(merchant)

    def _change(self, request: HttpRequest, merchant: Merchant, service: Callable[[Merchant], None], done: Any) -> None:
        try:
            service(merchant)
        except ApiError as error:
            messages.error(request, f"{merchant}: {error.message}")
        else:
            self.log_change(request, merchant, str(done))
            messages.success(request, f"{merchant}: {done}")

    def _change_one(
        self, request: HttpRequest, object_id: str, service: Callable[[Merchant], None], done: Any
    ) -> HttpResponse:
        self._change(request, Merchant.objects.get(pk=unquote(object_id)), service, done)
        return HttpResponse(headers={"HX-Redirect": reverse("admin:accounts_merchant_change", args=[object_id])})


@admin.register(Membership)
class MembershipAdmin(BackOfficeAdmin):
    list_display = ("user", "merchant", "role", "created")
    list_filter = (("role", ChoicesCheckboxFilter), ("merchant", AutocompleteSelectFilter))
    list_select_related = ("user", "merchant")
    search_by = {"mem_": "id__startswith", "@": "user__email", "": "merchant__name__lower__contains"}
    search_help_text = _("Email of the user, or name of the merchant")
    autocomplete_fields = ("merchant", "user")
    readonly_fields = ("id", "created_at")


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin):
    """Made by payments; only their merchant changes them."""

    list_display = ("email", "name", "merchant", "phone", "location", "created")
    list_filter = (CreatedFilter, ("merchant", AutocompleteSelectFilter))
    list_select_related = ("merchant",)
    search_by = {"cus_": "id__startswith", "@": "email", "": "name__lower__startswith"}
    search_help_text = _("Email, id, or how the name starts")
    fields = ("id", "merchant", "email", "name", "phone", "location", "created_at")
