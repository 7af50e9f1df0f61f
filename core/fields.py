"""The fields of requests and answers: how each is read, and what the description says of it (core/schema.py)."""

import re
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api import ApiField, StrictSerializer
from core.errors import ParameterInvalid
from core.idempotency import KEY_PATTERN, IdempotencyKeyInvalid
from core.money import EXPONENTS, MAX_MAJOR, Money, read_currency, read_digits

# Control characters and ends of a line or paragraph; and Unicode's Default_Ignorable_Code_Point, which shows nothing.
CONTROL = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
IGNORABLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
)
LINE = rf"^[^{CONTROL}]*$"
LINE_NOT_BLANK = rf"^[^{CONTROL}]*[^\s{CONTROL}{IGNORABLE}][^{CONTROL}]*$"
EMAIL_CHARACTERS = r"^[!#-~]+$"
MAX_WHOLE_DIGITS = 64


def whole(data: Any) -> Any:
    """A JSON number that is whole, as an int: 2.0 is an integer to JSON Schema. Other data as it is."""
    if isinstance(data, Decimal) and data.adjusted() < MAX_WHOLE_DIGITS and data == data.to_integral_value():
        return int(data)
    return data


class TextField(serializers.CharField):
    """A text of one line that can be seen, and nothing but text (REST framework would take 5 for "5")."""

    default_error_messages = {"invalid": "Send a text of one line, without control characters."}

    @property
    def rules(self) -> dict[str, Any]:
        return {"pattern": LINE if self.allow_blank else LINE_NOT_BLANK}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or not re.fullmatch(LINE, data):
            self.fail("invalid")
        if not self.allow_blank and not re.fullmatch(LINE_NOT_BLANK, data):
            self.fail("blank")
        return super().to_internal_value(data)


class EmailField(serializers.EmailField):
    """An address in visible ASCII (an international domain as xn--…): the databases and mail servers agree on
    no other, and some letters fold into ASCII ones. No quoted local part: it may hold anything."""

    rules = {"pattern": EMAIL_CHARACTERS}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not re.fullmatch(EMAIL_CHARACTERS, text):
            self.fail("invalid")
        return text


class FlagField(serializers.BooleanField):
    """true or false, and nothing that might pass for one (REST framework would take "yes")."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class OneOfField(serializers.ChoiceField):
    """One of a few words. Its error names them, and does not repeat what was sent."""

    def __init__(self, choices: Any, **options: Any) -> None:
        super().__init__(choices, **options)
        self.error_messages["invalid_choice"] = f"Choose one of: {', '.join(self.choices)}."


@extend_schema_field({"type": "string"})
class KeyField(ApiField):
    rules = {"pattern": "^[!-~]{1,255}$", "examples": ["5f9c1d0e-order-1042"]}

    def read(self, data: Any) -> str:
        if not isinstance(data, str) or not KEY_PATTERN.fullmatch(data):
            raise IdempotencyKeyInvalid
        return data


class KeyedSerializer(StrictSerializer):
    """The body of a POST that creates something once for each idempotency key (core.idempotency.take_key)."""

    idempotency_key = KeyField(
        required=False,
        help_text="The same as the Idempotency-Key header, for clients that cannot set one",
    )


@extend_schema_field(
    {
        "type": ["number", "string"],
        "minimum": 0.0001,
        "maximum": float(MAX_MAJOR),
        "pattern": r"^(?=.*[1-9])[0-9]{1,64}(\.[0-9]{1,64})?$",
    }
)
class AmountField(ApiField):
    """Its digits as sent: how many decimals they may have depends on the currency."""

    def read(self, data: Any) -> str:
        return read_digits(data)


CURRENCIES = [(code, code) for code in sorted(EXPONENTS)]


@extend_schema_field({"type": "string", "enum": [code for code, _name in CURRENCIES]})
class CurrencyField(ApiField):
    def read(self, data: Any) -> str:
        return read_currency(data)


@extend_schema_field({"type": ["integer", "string"]})
class NumberField(ApiField):
    """A JSON integer, or the same as a text of digits; `pattern` is for the text."""

    def __init__(self, *, minimum: int, maximum: int, pattern: str, **options: Any) -> None:
        self.rules: dict[str, Any] = {"minimum": minimum, "maximum": maximum, "pattern": pattern}
        super().__init__(**options)

    def read(self, data: Any) -> int:
        if isinstance(data, str) and data.isascii() and data.isdigit() and len(data) <= 4:
            data = int(data)
        data = whole(data)
        if not isinstance(data, int) or isinstance(data, bool):
            raise ParameterInvalid("The value must be a whole number.")
        if not self.rules["minimum"] <= data <= self.rules["maximum"]:
            raise ParameterInvalid("The value must be from {minimum} to {maximum}.".format(**self.rules))
        return data


@extend_schema_field({"type": "number"})
class MoneyField(serializers.ReadOnlyField):
    """A Money, which the renderer writes as a number with exactly its currency's decimals."""


class MinorUnitsField(MoneyField):
    """A column of minor units, shown as money in the row's currency."""

    def get_attribute(self, instance: Any) -> Money:
        amount: Any = super().get_attribute(instance)
        return Money(amount, instance.currency)


class OptionalField(serializers.CharField):
    """A text that is null when empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **options)

    def to_representation(self, value: Any) -> Any:
        return str(value) if value else None


class TimeField(serializers.DateTimeField):
    """Left as a datetime: the renderer writes ISO 8601 in UTC."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: Any) -> Any:
        return value


class SetField(serializers.ListField):
    """A list that names nothing twice."""

    @property
    def rules(self) -> dict[str, Any]:
        return {"uniqueItems": True, "minItems": 0 if self.allow_empty else 1}

    def to_internal_value(self, data: Any) -> list[Any]:
        items = super().to_internal_value(data)
        if len(set(items)) < len(items):
            raise serializers.ValidationError("Name each only once.")
        return items
