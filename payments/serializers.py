"""What a payment looks like from outside, and what may be sent to make one."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from accounts.models import EMAIL_LENGTH, LOCATION_LENGTH, NAME_LENGTH, PHONE_LENGTH
from accounts.services import merchant_to_pay
from core.api import StrictSerializer
from core.errors import ParameterInvalid, ParameterMissing
from core.fields import (
    AmountField,
    CurrencyField,
    EmailField,
    KeyedSerializer,
    MinorUnitsField,
    MoneyField,
    NumberField,
    OneOfField,
    OptionalField,
    TextField,
    TimeField,
)
from core.money import Money
from payments import examples
from payments.cards import MAX_EXPIRY_YEARS, LiveCardRefused, read_card, refuse_card_numbers
from payments.failures import MESSAGES
from payments.fields import DigitsField, MetadataChangeField, MetadataField, OrderIdField
from payments.models import (
    CARD_METHODS,
    DESCRIPTION_LENGTH,
    URL_LENGTH,
    CancellationReason,
    CaptureMethod,
    Method,
    Payment,
    Status,
    Transaction,
    TransactionKind,
    TransactionStatus,
)

FAILURE_CODES = [(code, code) for code in MESSAGES]
NEXT_ACTIONS = [("redirect", "redirect"), ("bank_transfer", "bank_transfer")]
CARD_FIELDS = ("card_number", "card_expiry_month", "card_expiry_year", "card_cvv")
MERCHANT_REASONS = [
    (reason.value, reason.label)
    for reason in CancellationReason
    if reason not in (CancellationReason.EXPIRED, CancellationReason.VOID)
]
FREE_TEXTS = ("customer_name", "customer_email", "customer_phone", "customer_location", "description")


# --- In ---------------------------------------------------------------------------------------
class PaymentRequest(KeyedSerializer):
    """What starts a payment."""

    customer_name = TextField(max_length=NAME_LENGTH, help_text="The payer's name")
    customer_email = EmailField(max_length=EMAIL_LENGTH, help_text="Where the receipt goes")
    amount = AmountField(
        help_text="Major units: a number, or a text of plain digits. No more decimals than the currency has; "
        "up to 999,999,999,999.99."
    )
    currency = CurrencyField(required=False, help_text="ISO 4217; the merchant's default currency when absent")
    customer_phone = TextField(
        max_length=PHONE_LENGTH, required=False, allow_blank=True, help_text="Needed for mobile money"
    )
    customer_location = TextField(
        max_length=LOCATION_LENGTH, required=False, allow_blank=True, help_text="Where the payer is, in words"
    )
    merchant_id = TextField(
        required=False, max_length=32, help_text="Who is paid; the installation's default merchant when absent"
    )
    order_id = OrderIdField(
        required=False, help_text="Your order: however many payments it has, one of them succeeds at most"
    )
    payment_method = OneOfField(
        Method.choices, required=False, help_text="The payer chooses on the checkout page when absent"
    )
    description = TextField(
        max_length=DESCRIPTION_LENGTH, required=False, allow_blank=True, help_text="Shown to the payer"
    )
    metadata = MetadataField(
        required=False, help_text="Your own texts by key; kept, shown to the merchant only, never to the payer"
    )
    return_url = TextField(
        max_length=URL_LENGTH,
        required=False,
        help_text="Where the payer goes afterwards; it starts with one of the merchant's allowed return origins",
    )
    capture_method = OneOfField(
        CaptureMethod.choices, required=False, help_text="`manual` authorizes now, to be captured later"
    )
    card_number = DigitsField(
        rules={"pattern": "^[0-9][0-9 -]*$", "minimum": 0, "maximum": 10**19 - 1},
        required=False,
        max_length=32,
        help_text="Sandbox only: one of the published test numbers",
    )
    card_expiry_month = NumberField(
        minimum=1, maximum=12, pattern="^0{0,2}(0?[1-9]|1[0-2])$", required=False, help_text="1 to 12"
    )
    card_expiry_year = NumberField(
        minimum=2000,
        maximum=timezone.now().year + MAX_EXPIRY_YEARS,
        pattern="^20[0-6][0-9]$",
        required=False,
        help_text="Four digits, not in the past",
    )
    card_cvv = DigitsField(
        rules={"pattern": "^[0-9]{3,4}$", "minimum": 100, "maximum": 9999},
        required=False,
        max_length=4,
        help_text="Three or four digits; never stored",
    )

    examples = examples.PAYMENT_REQUEST
    rules = {
        "dependentRequired": {name: list(CARD_FIELDS[:3]) for name in CARD_FIELDS},
        "dependentSchemas": {
            "card_number": {"properties": {"payment_method": {"enum": sorted(CARD_METHODS)}}},
        },
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Model fields, and besides them a Merchant, a Money, and a CardSource or None. The context may hold the
        merchant of the credential, for a request that names none."""
        merchant = self.context.get("merchant") or merchant_to_pay(attrs.pop("merchant_id", None))
        money = Money.parse(attrs.pop("amount"), attrs.pop("currency", None) or merchant.default_currency)
        for name in FREE_TEXTS:
            refuse_card_numbers(attrs.get(name, ""), param=name)
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


class PaymentChange(StrictSerializer):
    """What a merchant changes about a payment; only what is sent changes, all of it or nothing."""

    description = TextField(
        max_length=DESCRIPTION_LENGTH, required=False, allow_blank=True, help_text="Shown to the payer"
    )
    metadata = MetadataChangeField(required=False, help_text="Merged with what is there; null removes a key")
    status = OneOfField(
        Status.choices,
        required=False,
        help_text="`cancelled`; in the sandbox also `completed`, `authorized`, `failed`, `requires_action`, which "
        "the emulated provider then does",
    )
    cancellation_reason = OneOfField(MERCHANT_REASONS, required=False, help_text="Together with `cancelled`")

    examples = examples.CHANGE

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "cancellation_reason" in attrs and attrs.get("status") != Status.CANCELLED:
            raise ParameterInvalid("A reason goes with the status cancelled.", param="cancellation_reason")
        refuse_card_numbers(attrs.get("description", ""), param="description")
        return attrs


class CaptureRequest(KeyedSerializer):
    """Takes all of what was authorized, or `amount` of it."""

    amount = AmountField(
        required=False,
        help_text="Major units of the payment's currency; the whole amount when absent, the rest is released",
    )

    examples = examples.CAPTURE


class Cancellation(StrictSerializer):
    reason = OneOfField(
        MERCHANT_REASONS,
        required=False,
        help_text="Why; when absent requested_by_customer, or void for an authorized payment",
    )

    examples = examples.CHANGE


# --- Out --------------------------------------------------------------------------------------
@extend_schema_serializer(component_name="Card")
class CardView(serializers.Serializer):
    """What may be shown of a card."""

    brand = serializers.CharField(source="card_brand", help_text="The card's network")
    last4 = serializers.CharField(source="card_last4", help_text="The last four digits of its number")
    expiry_month = serializers.IntegerField(source="card_expiry_month", help_text="1 to 12")
    expiry_year = serializers.IntegerField(source="card_expiry_year", help_text="Four digits")

    examples = examples.CARD


@extend_schema_serializer(component_name="Failure")
class FailureView(serializers.Serializer):
    """Why the last attempt did not go through."""

    code = serializers.ChoiceField(FAILURE_CODES, help_text="For programs")
    message = serializers.CharField(help_text="For people; the checkout page says it in their language")

    examples = examples.FAILURE


class NextAction(serializers.Serializer):
    """What the payer has to do now. `checkout_url` leads them through it."""

    type = serializers.ChoiceField(NEXT_ACTIONS, help_text="What kind of step it is")
    url = serializers.URLField(required=False, help_text="The page of the provider to go to")
    bank_name = serializers.CharField(required=False, help_text="bank_transfer: the bank to pay to")
    account_name = serializers.CharField(required=False, help_text="bank_transfer: the holder of the account")
    account_number = serializers.CharField(required=False, help_text="bank_transfer: the number of the account")
    reference = serializers.CharField(required=False, help_text="bank_transfer: what to write on the transfer")

    examples = examples.NEXT_ACTION


class PublicPayment(serializers.Serializer):
    """What anybody with the id may see."""

    id = serializers.CharField(help_text="The payment's id; whoever has it may read this")
    reference = serializers.CharField(help_text="A short name for people to read out")
    merchant_id = serializers.CharField(help_text="Who is paid")
    order_id = OptionalField(help_text="The merchant's order")
    status = serializers.ChoiceField(Status.choices, help_text="Where the payment stands")
    amount = MoneyField(source="money", help_text="Major units, with exactly the currency's decimals")
    currency = serializers.CharField(help_text="ISO 4217")
    customer_name = serializers.CharField(help_text="The payer, as given in the request")
    customer_email = serializers.EmailField(help_text="The payer's address, in lower case")
    description = OptionalField(help_text="What is paid for")
    payment_method = OptionalField(help_text="How it is paid; null until the payer has chosen")
    card = serializers.SerializerMethodField(help_text="The card, as far as it may be shown; null for other methods")
    failure = serializers.SerializerMethodField(help_text="Why the last attempt failed; null when it did not")
    next_action = serializers.SerializerMethodField(help_text="What the payer has to do now; null when nothing")
    checkout_url = serializers.URLField(help_text="The page where the customer pays")
    expires_at = TimeField(help_text="Unpaid by then, or authorized and not captured, the payment is cancelled")
    created_at = TimeField(help_text="ISO 8601, UTC")
    updated_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.PUBLIC_PAYMENT

    @extend_schema_field(CardView(allow_null=True))
    def get_card(self, payment: Payment) -> dict[str, Any] | None:
        return CardView(payment).data if payment.card_last4 else None

    @extend_schema_field(FailureView(allow_null=True))
    def get_failure(self, payment: Payment) -> dict[str, str] | None:
        code = payment.failure_code
        return {"code": code, "message": str(MESSAGES[code])} if code else None

    @extend_schema_field(NextAction(allow_null=True))
    def get_next_action(self, payment: Payment) -> dict[str, str] | None:
        return payment.next_action


class MerchantPayment(PublicPayment):
    """What the payment's merchant sees besides."""

    customer_id = serializers.CharField(help_text="The merchant's customer with this email")
    customer_phone = OptionalField(help_text="As given in the request")
    customer_location = OptionalField(help_text="As given in the request")
    metadata = serializers.JSONField(help_text="The merchant's own texts by key")
    provider = serializers.CharField(help_text="Who moves the money")
    capture_method = serializers.CharField(help_text="automatic or manual")
    return_url = OptionalField(help_text="Where the payer goes afterwards")
    cancellation_reason = OptionalField(help_text="Why it was cancelled, or is about to be; else null")
    amount_captured = MinorUnitsField(help_text="What has been taken")
    amount_refunded = MinorUnitsField(help_text="What has been given back")
    amount_refund_pending = MinorUnitsField(help_text="What is on its way back")
    amount_disputed = MinorUnitsField(help_text="What the payer disputes")

    examples = examples.MERCHANT_PAYMENT


class PayerTransaction(serializers.Serializer):
    """One operation at a provider, as far as the payer may see it."""

    id = serializers.CharField(help_text="The transaction's id")
    payment_id = serializers.CharField(help_text="The payment that it belongs to")
    kind = serializers.ChoiceField(TransactionKind.choices, help_text="What was to be done")
    status = serializers.ChoiceField(TransactionStatus.choices, help_text="What came of it")
    amount = MoneyField(source="money", help_text="Major units, with exactly the currency's decimals")
    currency = serializers.CharField(help_text="ISO 4217")
    method = serializers.CharField(help_text="How it was paid")
    failure = serializers.SerializerMethodField(help_text="Why it failed; null when it did not")
    created_at = TimeField(help_text="ISO 8601, UTC")
    updated_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.TRANSACTION

    @extend_schema_field(FailureView(allow_null=True))
    def get_failure(self, txn: Transaction) -> dict[str, str] | None:
        code = txn.failure_code
        return {"code": code, "message": str(MESSAGES[code])} if code in MESSAGES else None


@extend_schema_serializer(component_name="Transaction")
class MerchantTransaction(PayerTransaction):
    """One operation at a provider, with the provider's answer."""

    provider = serializers.CharField(help_text="Who was asked")
    provider_reference = OptionalField(help_text="The provider's id of it")
    provider_code = OptionalField(help_text="The provider's own reason of a failure, not for the payer")
    provider_response = serializers.JSONField(
        source="provider_answer", help_text="What the provider answered last, without secrets"
    )
