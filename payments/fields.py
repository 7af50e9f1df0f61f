"""The fields that only payments have."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api import ApiField
from core.errors import ParameterInvalid
from core.fields import whole
from payments.cards import refuse_card_numbers
from payments.models import METADATA_KEY_LENGTH, METADATA_KEYS, METADATA_VALUE_LENGTH, ORDER_ID_LENGTH

STORABLE = r"[^\u0000]"  # the parser lets no NUL through, nor half of a surrogate pair


@extend_schema_field({"type": ["string", "integer"], "pattern": "^[A-Za-z0-9._:-]{1,64}$"})
class OrderIdField(serializers.RegexField):
    """A name that is safe in a path; a whole number is taken for its digits."""

    default_error_messages = {"invalid": f"Send 1 to {ORDER_ID_LENGTH} letters, digits and . _ : - without spaces."}

    def __init__(self, **options: Any) -> None:
        super().__init__(r"\A[A-Za-z0-9._:-]+\Z", max_length=ORDER_ID_LENGTH, trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        data = whole(data)
        if isinstance(data, bool) or not isinstance(data, str | int):
            self.fail("invalid")
        return super().to_internal_value(str(data))


class DigitsField(serializers.CharField):
    """The digits of a card, as a text or as a whole number."""

    def __init__(self, *, rules: dict[str, Any], **options: Any) -> None:
        self.rules = {"type": ["string", "integer"], **rules}
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        data = whole(data)
        if isinstance(data, bool) or not isinstance(data, str | int):
            self.fail("invalid")
        return super().to_internal_value(str(data))


def _metadata_schema(value: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "maxProperties": METADATA_KEYS,
        "propertyNames": {"pattern": f"^{STORABLE}{{1,{METADATA_KEY_LENGTH}}}$"},
        "additionalProperties": {**value, "pattern": f"^{STORABLE}{{0,{METADATA_VALUE_LENGTH}}}$"},
    }


@extend_schema_field(_metadata_schema({"type": "string"}))
class MetadataField(ApiField):
    """Up to 50 texts by key, the merchant's own."""

    def read(self, data: Any) -> dict[str, str | None]:
        if not isinstance(data, dict) or len(data) > METADATA_KEYS:
            raise ParameterInvalid(f"metadata is an object of up to {METADATA_KEYS} texts.")
        for key, value in data.items():
            if not 1 <= len(key) <= METADATA_KEY_LENGTH:
                raise ParameterInvalid(f"A key of metadata has 1 to {METADATA_KEY_LENGTH} characters.")
            self.check_value(value)
            refuse_card_numbers(f"{key} {value}", param="metadata")
        return data

    def check_value(self, value: Any) -> None:
        if not isinstance(value, str) or len(value) > METADATA_VALUE_LENGTH:
            raise ParameterInvalid(f"A value of metadata is a text of up to {METADATA_VALUE_LENGTH} characters.")


@extend_schema_field(_metadata_schema({"type": ["string", "null"]}))
class MetadataChangeField(MetadataField):
    """Texts to set; null removes a key."""

    def check_value(self, value: Any) -> None:
        if value is not None:
            super().check_value(value)
