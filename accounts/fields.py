"""The fields of accounts and merchants: how each is read."""

import re
from typing import Any

from rest_framework import serializers

from accounts.models import EMAIL_LENGTH, normalize_email
from core.fields import EmailField, TextField

MAX_PASSWORD_LENGTH = 128  # checked before hashing, which takes longer the longer it is
MAX_TOKEN_LENGTH = 4096


class AddressField(EmailField):
    """An email address in the one spelling that accounts are known by."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=EMAIL_LENGTH, **options)

    def to_internal_value(self, data: Any) -> str:
        return normalize_email(super().to_internal_value(data))


class SecretField(serializers.CharField):
    """A password or token: kept as it is sent, never written back."""

    rules = {"pattern": r"^[^\x00]*$"}  # no body may hold a NUL

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, write_only=True, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class PasswordField(SecretField):
    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_PASSWORD_LENGTH, **options)


class TokenField(SecretField):
    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_TOKEN_LENGTH, **options)


class PatternField(TextField):
    """A text of one line in the form that `pattern` gives."""

    def __init__(self, pattern: str, message: str, **options: Any) -> None:
        self.pattern, self.pattern_message = pattern, message
        super().__init__(**options)

    @property
    def rules(self) -> dict[str, Any]:
        return {"pattern": f"^({self.pattern})?$" if self.allow_blank else f"^{self.pattern}$"}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if text and not re.fullmatch(self.pattern, text, re.ASCII):
            raise serializers.ValidationError(self.pattern_message)
        return text


def country(**options: Any) -> PatternField:
    return PatternField("[A-Z]{2}", "Two capitals, such as US.", help_text="ISO 3166-1 alpha-2", **options)
