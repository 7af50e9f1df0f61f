"""The forms of the back office for people."""

from typing import Any

from unfold.forms import AuthenticationForm, UserCreationForm

from accounts.models import User, normalize_email


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
