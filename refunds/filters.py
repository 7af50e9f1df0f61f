"""The parameters of the list of refunds."""

from core.fields import OneOfField
from core.filters import ListFilters, OneOrSeveral, Parameter, RowIdField, SeveralField
from refunds.models import Reason, Status


class RefundFilters(ListFilters):
    """What a merchant may ask of its refunds."""

    status = OneOrSeveral(SeveralField, Status.choices, help_text="One, or several separated by commas")
    reason = Parameter(OneOfField, Reason.choices, help_text="Why")
    payment_id = Parameter(RowIdField, "pay", column="payment", help_text="The payment that is given back")

    elsewhere = frozenset({"merchant_id"})
    narrow = frozenset({"payment"})
