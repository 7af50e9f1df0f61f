"""The forms of the back office for people, and of the pages that mailed links lead to."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.forms import AuthenticationForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts.fields import MAX_PASSWORD_LENGTH
from accounts.models import EMAIL_LENGTH, NAME_LENGTH, Membership, Merchant, Method, User, normalize_email
from accounts.services import AlreadyMember, note_device
from core.fields import LINE_NOT_BLANK
from core.transactions import with_retries


class LogInForm(AuthenticationForm):
    """People log in by email, so phones show the keyboard for it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.input_type = "email"

    def clean(self) -> dict[str, Any]:
        data = with_retries(super().clean)  # as in check_credentials
        if self.user_cache is not None and self.request is not None:
            note_device(self.user_cache, self.request)
        return data


class UserAddForm(UserCreationForm):
    class Meta:
        model = User
        fields = ("email", "name")

    def clean_email(self) -> str:
        return normalize_email(self.cleaned_data["email"])


class MerchantForm(forms.ModelForm):
    payment_methods = forms.MultipleChoiceField(
        choices=Method.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("What the checkout offers, in the merchant's own order; what is new comes last."),
    )

    class Meta:
        model = Merchant
        fields = ("payment_methods",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        methods: Any = self.fields.get("payment_methods")
        if methods is not None:  # who may only look is shown no field
            offered = self.instance.payment_methods
            methods.choices = [*((name, Method(name).label) for name in offered), *_others(offered)]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        limit = data.get("refund_approval_limit")
        if (
            limit is not None
            and "default_currency" in self.changed_data
            and "refund_approval_limit" not in self.changed_data
        ):
            self.add_error("refund_approval_limit", _("The limit is in the default currency: write it in the new one."))
        return data


def _others(offered: list[str]) -> list[tuple[str, Any]]:
    return [(value, label) for value, label in Method.choices if value not in offered]


class MembershipForm(forms.ModelForm):
    """Staff make members of people who have an account, under their address; anybody else is invited by the
    merchant. Who the member is and of which merchant does not change afterwards."""

    class Meta:
        model = Membership
        fields = ("merchant", "user", "role")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_new = self.instance._state.adding
        for name in {"merchant", "user"} & set(self.fields):
            self.fields[name].required = self.is_new
            self.fields[name].disabled = not self.is_new

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        merchant, user = data.get("merchant"), data.get("user")
        if self.is_new and merchant and user:
            if Membership.objects.filter(merchant=merchant, email=user.email).exists():
                raise ValidationError(AlreadyMember.message)
            self.instance.joined_at = timezone.now()
        return data


class AddressForm(forms.Form):
    email = forms.EmailField(max_length=EMAIL_LENGTH, error_messages={"required": _("Enter your address.")})


class PasswordForm(forms.Form):
    password = forms.CharField(
        strip=False,
        max_length=MAX_PASSWORD_LENGTH,
        error_messages={
            "required": _("Enter a password."),
            "max_length": _("A password has at most %(limit_value)s characters."),
        },
    )


class NewAccountForm(PasswordForm):
    name = forms.CharField(
        max_length=NAME_LENGTH,
        validators=[RegexValidator(LINE_NOT_BLANK, _("Write your name on one line."))],
        error_messages={"required": _("Enter your name.")},
    )
