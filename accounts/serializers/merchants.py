"""Merchants, their API keys and their customers, in and out."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from accounts import examples
from accounts.fields import AddressField, PatternField, country
from accounts.models import (
    COLOR_PATTERN,
    EMAIL_LENGTH,
    KEY_NAME_LENGTH,
    LOCATION_LENGTH,
    MAX_SETTLEMENT_DELAY_DAYS,
    NAME_LENGTH,
    ORIGIN_PATTERN,
    PHONE_LENGTH,
    Merchant,
    Method,
)
from accounts.policy import SCOPES
from core.api import StrictSerializer
from core.fields import (
    AmountField,
    CurrencyField,
    EmailField,
    KeyedSerializer,
    MoneyField,
    NumberField,
    OneOfField,
    OptionalField,
    SetField,
    TextField,
    TimeField,
)
from core.money import Money

MAX_RETURN_ORIGINS = 20
ORIGIN_LENGTH = 255
MAX_OVERLAP_HOURS = 7 * 24
SCOPE_CHOICES = [(scope, scope) for scope in SCOPES]
KEY_STATUSES = [("active", "active"), ("expired", "expired"), ("revoked", "revoked")]


# --- Merchants --------------------------------------------------------------------------------
class MerchantRequest(KeyedSerializer):
    """A further merchant."""

    name = TextField(max_length=NAME_LENGTH, help_text="The business")
    mode = OneOfField(
        Merchant.Mode.choices, required=False, default="sandbox", help_text="A live one waits for our approval"
    )
    country = country(required=False)
    default_currency = CurrencyField(required=False, help_text="ISO 4217; USD when absent")

    examples = examples.MERCHANT


class MerchantChange(StrictSerializer):
    """Settings; only those that are sent change."""

    name = TextField(max_length=NAME_LENGTH, required=False, help_text="The business")
    country = country(required=False)
    default_currency = CurrencyField(required=False, help_text="Of payments that name none")
    return_origins = SetField(
        child=PatternField(ORIGIN_PATTERN.pattern, "Scheme, host in lower case, port.", max_length=ORIGIN_LENGTH),
        max_length=MAX_RETURN_ORIGINS,
        required=False,
        help_text="Where the checkout may send customers back to",
    )
    payment_methods = SetField(
        child=OneOfField(Method.choices),
        allow_empty=False,
        required=False,
        help_text="What the checkout offers, in this order",
    )
    brand_name = TextField(
        max_length=NAME_LENGTH, allow_blank=True, required=False, help_text="What customers read instead of the name"
    )
    brand_color = PatternField(
        COLOR_PATTERN.pattern,
        "A colour such as #0d6b52, in lower case.",
        allow_blank=True,
        required=False,
        help_text="Of the checkout's buttons",
    )
    support_email = EmailField(
        max_length=EMAIL_LENGTH, allow_blank=True, required=False, help_text="Where customers ask for help"
    )
    settlement_delay_days = NumberField(
        minimum=0,
        maximum=MAX_SETTLEMENT_DELAY_DAYS,
        pattern="^[0-9]{1,2}$",
        required=False,
        help_text="Days until captured money is available",
    )
    refund_approval_limit = AmountField(
        required=False,
        allow_null=True,
        help_text="In the default currency; refunds of a payment that come to more need a second person. null: none do",
    )

    examples = examples.MERCHANT


@extend_schema_serializer(component_name="Merchant")
class MerchantDetails(serializers.Serializer):
    """A merchant and its settings."""

    id = serializers.CharField(help_text="The merchant's id, for `merchant_id` of payments")
    name = serializers.CharField(help_text="The business")
    mode = serializers.ChoiceField(Merchant.Mode.choices, help_text="Which world its money is of; never changes")
    status = serializers.ChoiceField(Merchant.Status.choices, help_text="Whether it takes payments: when active")
    country = serializers.CharField(help_text="ISO 3166-1 alpha-2")
    default_currency = serializers.CharField(help_text="ISO 4217")
    return_origins = serializers.ListField(child=serializers.CharField(), help_text="Where customers may go back to")
    payment_methods = serializers.ListField(child=serializers.CharField(), help_text="What the checkout offers")
    brand_name = OptionalField(help_text="What customers read; null: the name")
    brand_color = OptionalField(help_text="Of the checkout's buttons")
    support_email = OptionalField(help_text="Where customers ask for help")
    settlement_delay_days = serializers.IntegerField(help_text="Days until captured money is available")
    refund_approval_limit = serializers.SerializerMethodField(help_text="In the default currency; null: none")
    created_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.MERCHANT

    @extend_schema_field(MoneyField(allow_null=True))
    def get_refund_approval_limit(self, merchant: Merchant) -> Money | None:
        limit = merchant.refund_approval_limit
        return None if limit is None else Money(limit, merchant.default_currency)


# --- API keys ---------------------------------------------------------------------------------
class KeyRequest(KeyedSerializer):
    name = TextField(max_length=KEY_NAME_LENGTH, help_text="What it is for")
    scopes = SetField(
        child=OneOfField(SCOPE_CHOICES),
        allow_empty=False,
        help_text="What it may do; nothing that your own role may not",
    )
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="ISO 8601, in the future; null or absent: never"
    )

    examples = examples.KEY

    def validate_expires_at(self, value: Any) -> Any:
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("This time is over.")
        return value


class RollRequest(KeyedSerializer):
    overlap_hours = NumberField(
        minimum=0,
        maximum=MAX_OVERLAP_HOURS,
        pattern="^[0-9]{1,3}$",
        required=False,
        default=24,
        help_text="How long the old key stays good",
    )

    examples = examples.KEY


@extend_schema_serializer(component_name="ApiKey")
class KeyDetails(serializers.Serializer):
    """An API key, without its secret."""

    id = serializers.CharField(help_text="The key's id; it opens nothing")
    name = serializers.CharField(help_text="What it is for")
    last4 = serializers.CharField(help_text="The last four characters of the secret")
    scopes = serializers.ListField(child=serializers.CharField(), help_text="What it may do")
    status = serializers.ChoiceField(KEY_STATUSES, help_text="Whether it is good")
    expires_at = TimeField(allow_null=True, help_text="ISO 8601, UTC; null: never")
    last_used_at = TimeField(allow_null=True, help_text="To the minute; null: never")
    revoked_at = TimeField(allow_null=True, help_text="ISO 8601, UTC")
    created_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.KEY


@extend_schema_serializer(component_name="NewApiKey")
class NewKey(KeyDetails):
    """An API key with its secret, which is shown this once."""

    secret = serializers.CharField(
        allow_null=True, help_text="Keep it now: it is never shown again. null when the request is a replay"
    )


# --- Customers --------------------------------------------------------------------------------
class CustomerRequest(StrictSerializer):
    email = AddressField(help_text="Unique among your customers")
    name = TextField(max_length=NAME_LENGTH, help_text="The customer's name")
    phone = TextField(max_length=PHONE_LENGTH, required=False, allow_blank=True, help_text="The phone number")
    location = TextField(max_length=LOCATION_LENGTH, required=False, allow_blank=True, help_text="Where, in words")

    examples = examples.CUSTOMER


class NewCustomerRequest(KeyedSerializer, CustomerRequest):
    """A further customer."""


@extend_schema_serializer(component_name="Customer")
class CustomerDetails(serializers.Serializer):
    """Somebody who pays the merchant."""

    id = serializers.CharField(help_text="The customer's id")
    email = serializers.EmailField(help_text="Unique among the merchant's customers")
    name = serializers.CharField(help_text="The customer's name")
    phone = OptionalField(help_text="The phone number")
    location = OptionalField(help_text="Where, in words")
    created_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.CUSTOMER
