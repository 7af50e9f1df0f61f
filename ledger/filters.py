"""The parameters of the lists of entries and payouts."""

from core.fields import CurrencyField, OneOfField
from core.filters import ListFilters, OneOrSeveral, Parameter, SeveralField
from ledger.models import BALANCES, Account, Kind, PayoutStatus


class EntryFilters(ListFilters):
    """What a merchant may ask of its entries."""

    balance = Parameter(
        OneOfField, [(name, name) for name in BALANCES], help_text="The number of /balance that they make up"
    )
    account = Parameter(OneOfField, Account.choices, help_text="An account of the ledger")
    currency = Parameter(CurrencyField, help_text="ISO 4217")
    kind = Parameter(OneOfField, Kind.choices, column="journal__kind", help_text="What was booked")


class PayoutFilters(ListFilters):
    """What a merchant may ask of its payouts."""

    status = OneOrSeveral(SeveralField, PayoutStatus.choices, help_text="One, or several separated by commas")
    currency = Parameter(CurrencyField, help_text="ISO 4217")
