"""The forms of the back office for people and merchants."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.forms import AuthenticationForm, UserCreationForm

from accounts.models import Merchant, User, normalize_email

# As a browser writes an origin: no path, no user name, nothing that is not ASCII.
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.ASCII)
MAX_ORIGINS = 20


class LogInForm(AuthenticationForm):
    """People log in by email, so phones show the keyboard for it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.input_type = "email"


class UserAddForm(UserCreationForm):
    class Meta:
        model = User
        fields = ("email", "name")

    def clean_email(self) -> str:
        return normalize_email(self.cleaned_data["email"])


class MerchantForm(forms.ModelForm):
    def clean_return_origins(self) -> list[str]:
        origins = self.cleaned_data["return_origins"] or []
        if not isinstance(origins, list) or len(origins) > MAX_ORIGINS:
            raise ValidationError(_('Give a list such as ["https://shop.example.com"].'))
        for origin in origins:
            if not isinstance(origin, str) or not ORIGIN.fullmatch(origin):
                raise ValidationError(_("“%(origin)s” is not an origin."), params={"origin": origin})
        return origins

    class Meta:
        model = Merchant
        exclude = ()  # noqa: DJ006 the admin names the fields
