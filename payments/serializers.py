"""What a payment looks like from outside, and what may be sent to make one."""

import unicodedata
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import EMAIL_LENGTH, LOCATION_LENGTH, NAME_LENGTH, PHONE_LENGTH
from accounts.services import merchant_to_pay
from core.api import ApiField, StrictSerializer
from core.errors import ParameterInvalid, ParameterMissing
from core.money import Money, read_currency
from payments.cards import LiveCardRefused, read_card, refuse_card_numbers
from payments.failures import MESSAGES
from payments.models import (
    CARD_METHODS,
    DESCRIPTION_LENGTH,
    ORDER_ID_LENGTH,
    URL_LENGTH,
    CaptureMethod,
    Method,
    Payment,
    Status,
)
from payments.return_urls import read_return_url

METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_VALUE_LENGTH = 50, 40, 500
CARD_FIELDS = ("card_number", "card_expiry_month", "card_expiry_year", "card_cvv")


# --- Fields -----------------------------------------------------------------------------------
class TextField(serializers.CharField):
    """A text of one line: no control characters, and nothing but text (REST framework would take 5 for "5")."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        text = super().to_internal_value(data)
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
            self.fail("invalid")
        return text


@extend_schema_field({"type": ["number", "string"], "description": "Major units", "examples": [50.00, "50.00"]})
class AmountField(ApiField):
    """Left as sent: it can be read only once the currency is known."""

    def read(self, data: Any) -> Any:
        return data


@extend_schema_field({"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["USD"]})
class CurrencyField(ApiField):
    def read(self, data: Any) -> str:
        return read_currency(data)


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}, "examples": [{"table": "12"}]})
class MetadataField(ApiField):
    """Up to 50 texts by key, the merchant's own."""

    def read(self, data: Any) -> dict[str, str]:
        if not isinstance(data, dict) or len(data) > METADATA_KEYS:
            raise ParameterInvalid(f"metadata is an object of up to {METADATA_KEYS} texts.")
        for key, value in data.items():
            if not 1 <= len(key) <= METADATA_KEY_LENGTH:
                raise ParameterInvalid(f"A key of metadata has 1 to {METADATA_KEY_LENGTH} characters.")
            if not isinstance(value, str) or len(value) > METADATA_VALUE_LENGTH:
                raise ParameterInvalid(f"A value of metadata is a text of up to {METADATA_VALUE_LENGTH} characters.")
            refuse_card_numbers(value, param="metadata")
        return data


@extend_schema_field({"type": "integer", "examples": [12]})
class NumberField(ApiField):
    """A JSON integer, or the same as a text of digits."""

    def read(self, data: Any) -> int:
        if isinstance(data, str) and data.isascii() and data.isdigit() and len(data) <= 4:
            return int(data)
        if not isinstance(data, int) or isinstance(data, bool):
            raise ParameterInvalid("The value must be a whole number.")
        return data


@extend_schema_field(
    {"type": "number", "description": "Major units, with the currency's decimals", "examples": [50.00]}
)
class MoneyField(serializers.ReadOnlyField):
    """A Money, which the renderer writes as a number with exactly its currency's decimals."""


class MinorUnitsField(MoneyField):
    """A column of minor units, shown as money in the row's currency."""

    def get_attribute(self, instance: Payment) -> Money:
        return Money(super().get_attribute(instance), instance.currency)


class OptionalField(serializers.CharField):
    """A text that is null when empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **options)

    def to_representation(self, value: Any) -> str | None:
        return str(value) if value else None


class TimeField(serializers.DateTimeField):
    """Left as a datetime: the renderer writes ISO 8601 in UTC."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: Any) -> Any:
        return value


# --- In ---------------------------------------------------------------------------------------
class PaymentRequest(StrictSerializer):
    """The body of `POST /payments`. Validated data: a Merchant, a Money, a CardSource or None, and model fields."""

    customer_name = TextField(max_length=NAME_LENGTH)
    customer_email = serializers.EmailField(max_length=EMAIL_LENGTH)
    amount = AmountField()
    currency = CurrencyField(required=False, help_text="ISO 4217; the merchant's default when absent")
    customer_phone = TextField(max_length=PHONE_LENGTH, required=False, allow_blank=True)
    customer_location = TextField(max_length=LOCATION_LENGTH, required=False, allow_blank=True)
    merchant_id = TextField(required=False, max_length=32, help_text="The installation's default one when absent")
    order_id = serializers.RegexField(
        r"\A[A-Za-z0-9._:-]+\Z", required=False, max_length=ORDER_ID_LENGTH, help_text="One success per order"
    )
    payment_method = serializers.ChoiceField(Method.choices, required=False)
    description = TextField(max_length=DESCRIPTION_LENGTH, required=False, allow_blank=True)
    metadata = MetadataField(required=False)
    return_url = TextField(max_length=URL_LENGTH, required=False, help_text="On an allowed return origin")
    capture_method = serializers.ChoiceField(CaptureMethod.choices, required=False)
    card_number = serializers.CharField(required=False, max_length=32, help_text="Sandbox test numbers only")
    card_expiry_month = NumberField(required=False)
    card_expiry_year = NumberField(required=False)
    card_cvv = serializers.CharField(required=False, max_length=4)
    idempotency_key = serializers.CharField(
        required=False, max_length=255, trim_whitespace=False, help_text="As the Idempotency-Key header"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        merchant = merchant_to_pay(attrs.pop("merchant_id", None))
        money = Money.parse(attrs.pop("amount"), attrs.pop("currency", None) or merchant.default_currency)
        for name in ("customer_name", "description", "customer_location"):
            refuse_card_numbers(attrs.get(name, ""), param=name)
        if "return_url" in attrs:
            read_return_url(attrs["return_url"], merchant.return_origins, sandbox=merchant.is_sandbox)
        card = _card(attrs, merchant.is_sandbox)
        if card is not None:
            attrs["payment_method"] = attrs.get("payment_method", Method.CREDIT_CARD)
        return {**attrs, "merchant": merchant, "money": money, "card": card}


def _card(attrs: dict[str, Any], sandbox: bool) -> Any:
    """Takes the card fields out of the request, so that none of them goes any further."""
    given = {name: attrs.pop(name) for name in CARD_FIELDS if name in attrs}
    if not given:
        return None
    if not sandbox:
        raise LiveCardRefused(param="card_number")
    for name in CARD_FIELDS[:3]:
        if name not in given:
            raise ParameterMissing(f"A card needs {name}.", param=name)
    if attrs.get("payment_method", Method.CREDIT_CARD) not in CARD_METHODS:
        raise ParameterInvalid("A card goes with credit_card or debit_card.", param="payment_method")
    return read_card(
        number=given["card_number"],
        expiry_month=given["card_expiry_month"],
        expiry_year=given["card_expiry_year"],
        cvv=given.get("card_cvv", ""),
        today=timezone.now().date(),
    )


# --- Out --------------------------------------------------------------------------------------
class CardView(serializers.Serializer):
    """What may be shown of a card."""

    brand = serializers.CharField(source="card_brand")
    last4 = serializers.CharField(source="card_last4")
    expiry_month = serializers.IntegerField(source="card_expiry_month")
    expiry_year = serializers.IntegerField(source="card_expiry_year")


class FailureView(serializers.Serializer):
    code = serializers.CharField()
    message = serializers.CharField()


class PublicPayment(serializers.Serializer):
    """What anybody with the id may see."""

    id = serializers.CharField(help_text="pay_…")
    reference = serializers.CharField(help_text="For people to read out")
    merchant_id = serializers.CharField()
    order_id = OptionalField()
    status = serializers.ChoiceField(Status.choices)
    amount = MoneyField(source="money")
    currency = serializers.CharField()
    customer_name = serializers.CharField()
    customer_email = serializers.EmailField()
    description = OptionalField()
    payment_method = OptionalField()
    card = serializers.SerializerMethodField()
    failure = serializers.SerializerMethodField()
    next_action = serializers.JSONField(allow_null=True)
    checkout_url = serializers.URLField()
    expires_at = TimeField()
    created_at = TimeField()
    updated_at = TimeField()

    @extend_schema_field(CardView(allow_null=True))
    def get_card(self, payment: Payment) -> dict[str, Any] | None:
        return CardView(payment).data if payment.card_last4 else None

    @extend_schema_field(FailureView(allow_null=True))
    def get_failure(self, payment: Payment) -> dict[str, str] | None:
        code = payment.failure_code
        return {"code": code, "message": str(MESSAGES[code])} if code else None


class MerchantPayment(PublicPayment):
    """What the payment's merchant sees besides."""

    customer_id = serializers.CharField()
    customer_phone = OptionalField()
    customer_location = OptionalField()
    metadata = serializers.JSONField()
    provider = serializers.CharField()
    capture_method = serializers.CharField()
    return_url = OptionalField()
    cancellation_reason = OptionalField()
    amount_captured = MinorUnitsField()
    amount_refunded = MinorUnitsField()
    amount_refund_pending = MinorUnitsField()
    amount_disputed = MinorUnitsField()
