"""What the books look like from outside."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.fields import PasswordField, PatternField, country
from core.api import StrictSerializer
from core.fields import (
    AmountField,
    CurrencyField,
    KeyedSerializer,
    MinorUnitsField,
    MoneyField,
    NumberField,
    OneOfField,
    OptionalField,
    TextField,
    TimeField,
)
from ledger import examples
from ledger.models import (
    LAST_ANCHOR,
    MAX_ACCOUNT_NUMBER,
    NAME_LENGTH,
    ROUTING_NUMBER_LENGTH,
    Account,
    BankAccount,
    Kind,
    Payout,
    PayoutStatus,
)


class CurrencyBalance(serializers.Serializer):
    """What a merchant has in one currency."""

    currency = serializers.CharField(source="pending.currency", help_text="ISO 4217")
    pending = MoneyField(help_text="Captured, and not settled yet")
    available = MoneyField(help_text="Can be paid out; below zero when more was refunded than is settled")
    reserved = MoneyField(help_text="Set aside for refunds, disputes and payouts on their way")

    examples = examples.BALANCE


class MerchantBalance(serializers.Serializer):
    """What a merchant has."""

    currencies = CurrencyBalance(many=True, help_text="One for each currency that there ever were entries in")

    examples = {"currencies": [examples.BALANCE]}


class EntryDetails(serializers.Serializer):
    """One line of the books."""

    id = serializers.CharField(help_text="The entry's id")
    journal_id = serializers.CharField(help_text="What was booked together has the same")
    kind = serializers.ChoiceField(Kind.choices, source="journal.kind", help_text="What was booked")
    source_id = serializers.CharField(source="journal.source_id", help_text="The row that it is about")
    account = serializers.ChoiceField(Account.choices, help_text="Where it stands")
    amount = MoneyField(source="money", help_text="What it adds to the account, or takes off it")
    currency = serializers.CharField(help_text="ISO 4217")
    created_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.ENTRY


# --- Bank accounts ----------------------------------------------------------------------------
class ScheduleChange(StrictSerializer):
    """When payouts leave by themselves; only what is sent changes."""

    schedule = OneOfField(
        BankAccount.Schedule.choices, required=False, help_text="At midnight (UTC); manual: only when asked for"
    )
    anchor = NumberField(
        minimum=1,
        maximum=LAST_ANCHOR,
        pattern="^(0?[1-9]|1[0-9]|2[0-8])$",
        required=False,
        help_text="Weekly: 1 is Monday, 7 Sunday. Monthly: the day, to 28. 1 for another schedule when absent",
    )
    minimum = AmountField(
        required=False,
        allow_null=True,
        help_text="Major units; less than this waits for the next time. null: everything is paid out",
    )

    examples = {name: examples.BANK_ACCOUNT_REQUEST[name] for name in ("schedule", "anchor", "minimum")}


class PasswordAgain(StrictSerializer):
    """That it is the person who asks, and not somebody at their open browser."""

    password = PasswordField(help_text="Your own, once more")

    examples = {"password": "…"}


class BankAccountRequest(KeyedSerializer, PasswordAgain, ScheduleChange):
    """Where payouts in a currency go from now on."""

    currency = CurrencyField(help_text="ISO 4217; one account for each")
    country = country()
    holder = TextField(max_length=NAME_LENGTH, help_text="Whose account it is, as the bank knows them")
    bank_name = TextField(max_length=NAME_LENGTH, required=False, allow_blank=True, help_text="For people")
    routing_number = PatternField(
        "[A-Z0-9-]+",
        "Letters, digits and dashes.",
        max_length=ROUTING_NUMBER_LENGTH,
        required=False,
        allow_blank=True,
        help_text="Sort code, branch or bank code, where the country has one",
    )
    account_number = PatternField(
        "[A-Z0-9]{4,34}",
        "Four to 34 letters and digits, without spaces.",
        max_length=MAX_ACCOUNT_NUMBER,
        help_text="Or the IBAN. It is kept encrypted, and only its end is ever shown",
    )
    examples = examples.BANK_ACCOUNT_REQUEST


class BankAccountDetails(serializers.Serializer):
    """Where payouts in a currency go."""

    id = serializers.CharField(help_text="The bank account's id")
    currency = serializers.CharField(help_text="ISO 4217")
    country = serializers.CharField(help_text="ISO 3166-1 alpha-2")
    holder = serializers.CharField(help_text="Whose account it is")
    bank_name = OptionalField(help_text="The bank")
    last4 = serializers.CharField(help_text="The last characters of its number")
    in_use = serializers.BooleanField(source="is_in_use", help_text="false: another has taken its place")
    schedule = serializers.ChoiceField(BankAccount.Schedule.choices, help_text="When payouts leave by themselves")
    anchor = serializers.IntegerField(help_text="Weekly: 1 is Monday. Monthly: the day")
    minimum = MinorUnitsField(help_text="Less than this waits for the next time")
    next_payout_at = TimeField(source="due_at", allow_null=True, help_text="ISO 8601, UTC; null: only when asked for")
    created_by = OptionalField(source="created_by_id", help_text="Who added it")
    created_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.BANK_ACCOUNT


# --- Payouts ----------------------------------------------------------------------------------
class PayoutRequest(KeyedSerializer):
    """Pays out all that is available in a currency, or `amount` of it."""

    currency = CurrencyField(required=False, help_text="ISO 4217; the merchant's default currency when absent")
    amount = AmountField(required=False, help_text="Major units; all that is available when absent")

    examples = examples.PAYOUT_REQUEST


class PayoutDestination(serializers.Serializer):
    """The bank account of a payout, as people know it."""

    id = serializers.CharField(help_text="The bank account's id")
    bank_name = OptionalField(help_text="The bank")
    last4 = serializers.CharField(help_text="The last characters of its number")

    examples = examples.PAYOUT["bank_account"]


class PayoutDetails(serializers.Serializer):
    """Money on its way to the merchant's bank account."""

    id = serializers.CharField(help_text="The payout's id")
    status = serializers.ChoiceField(PayoutStatus.choices, help_text="Where the payout stands")
    amount = MoneyField(source="money", help_text="Major units, with exactly the currency's decimals")
    currency = serializers.CharField(help_text="ISO 4217")
    bank_account = PayoutDestination(help_text="Where it goes")
    scheduled = serializers.BooleanField(source="is_scheduled", help_text="Whether the schedule made it")
    requested_by = serializers.SerializerMethodField(help_text="Who asked for it; null: a program, or the schedule")
    failure_code = OptionalField(help_text="The bank's reason when it failed")
    sent_at = TimeField(allow_null=True, help_text="When it left; ISO 8601, UTC")
    paid_at = TimeField(allow_null=True, help_text="When it arrived; ISO 8601, UTC")
    created_at = TimeField(help_text="ISO 8601, UTC")
    updated_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.PAYOUT

    @extend_schema_field({"type": ["string", "null"]})
    def get_requested_by(self, payout: Payout) -> Any:
        return payout.requested_by_id


class PayoutEntry(serializers.Serializer):
    """An entry that a payout settles."""

    settled = MoneyField(source="money", help_text="What of it goes into the payout; all of it but for the last one")
    entry = EntryDetails(help_text="The line of the books")

    examples = examples.PAYOUT_ENTRY
