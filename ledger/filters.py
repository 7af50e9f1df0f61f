"""The parameters of the list of entries."""

from core.fields import CurrencyField, OneOfField
from core.filters import ListFilters, Parameter
from ledger.models import BALANCES, Account, Kind


class EntryFilters(ListFilters):
    """What a merchant may ask of its entries."""

    balance = Parameter(
        OneOfField, [(name, name) for name in BALANCES], help_text="The number of /balance that they make up"
    )
    account = Parameter(OneOfField, Account.choices, help_text="An account of the ledger")
    currency = Parameter(CurrencyField, help_text="ISO 4217")
    kind = Parameter(OneOfField, Kind.choices, column="journal__kind", help_text="What was booked")
