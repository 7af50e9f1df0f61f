"""What a refund looks like from outside, and what may be sent to make one."""

from typing import Any

from rest_framework import serializers

from core.fields import AmountField, KeyedSerializer, MoneyField, OneOfField, OptionalField, TextField, TimeField
from payments.cards import refuse_card_numbers
from refunds import examples
from refunds.models import NOTE_LENGTH, Reason, Refund, Status


class RefundRequest(KeyedSerializer):
    """Gives back what is left of a payment, or `amount` of it."""

    amount = AmountField(
        required=False,
        help_text="Major units of the payment's currency; all that is left when absent, of what came twice the part "
        "that may stay",
    )
    reason = OneOfField(Reason.choices, required=False, help_text="Why; requested_by_customer when absent")
    note = TextField(max_length=NOTE_LENGTH, required=False, allow_blank=True, help_text="Your own, for the record")

    examples = examples.REFUND_REQUEST

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        refuse_card_numbers(attrs.get("note", ""), param="note")
        return attrs


class RefundOfPaymentRequest(RefundRequest):
    """The same, with the payment in the body."""

    payment_id = TextField(max_length=32, help_text="The payment to give back")


class RefundDetails(serializers.Serializer):
    """Money on its way back to a payer."""

    id = serializers.CharField(help_text="The refund's id")
    payment_id = serializers.CharField(help_text="The payment that is given back")
    transaction_id = serializers.CharField(
        allow_null=True, help_text="The operation at the provider; null until it is approved"
    )
    status = serializers.ChoiceField(Status.choices, help_text="Where the refund stands")
    amount = MoneyField(source="money", help_text="Major units, with exactly the currency's decimals")
    currency = serializers.CharField(help_text="ISO 4217")
    reason = serializers.ChoiceField(Reason.choices, help_text="Why")
    note = OptionalField(help_text="The merchant's own")
    failure_code = OptionalField(help_text="The provider's reason when it failed")
    requested_by = serializers.SerializerMethodField(
        help_text="Who asked for it, or made the API key that did; null: nobody we know, or Tillgate itself"
    )
    approved_by = serializers.SerializerMethodField(help_text="Who approved it; null when nobody had to, or has yet")
    created_at = TimeField(help_text="ISO 8601, UTC")
    updated_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.REFUND

    def get_requested_by(self, refund: Refund) -> str | None:
        return refund.requested_by_id

    def get_approved_by(self, refund: Refund) -> str | None:
        return refund.approved_by_id
