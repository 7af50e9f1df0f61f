"""What the books look like from outside."""

from rest_framework import serializers

from core.fields import MoneyField, TimeField
from ledger import examples
from ledger.models import Account, Kind


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
