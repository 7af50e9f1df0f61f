"""The lists of payments and transactions: which parameters they take, and what these keep."""

from collections.abc import Callable, Iterator

from django.db.models import Q, QuerySet
from django.http import QueryDict

from accounts.fields import AddressField
from accounts.models import EMAIL_LENGTH, Method, normalize_email
from core.errors import ApiError, ParameterMissing
from core.fields import AmountField, CurrencyField, OneOfField, TextField
from core.filters import ListFilters, Listing, OneOrSeveral, Parameter, RowIdField, SeveralField
from core.indexes import along_index, shared_columns
from core.money import Money
from payments.fields import OrderIdField
from payments.models import Payment, Status, Transaction, TransactionKind, TransactionStatus
from payments.providers import PROVIDERS

MERCHANT_ID = frozenset({"merchant_id"})  # the view has read it: it says whose rows these are
# The columns that name a payment, and how a text is spelled there.
NAMES: dict[str, Callable[[str], str]] = {
    "id": str,
    "reference": str.upper,
    "order_id": str,
    "customer_email": normalize_email,
}


def list_payments(params: QueryDict, scope: QuerySet[Payment]) -> Listing[Payment]:
    """The payments of `scope` that the parameters ask for: a merchant's, or those paid with one email.

    Raises ValidationError with all faults by parameter, or ParameterInvalid for too long a window.
    """
    own = "customer_email" in shared_columns(scope)
    filters = OwnPaymentFilters(params, scope) if own else PaymentFilters(params, scope)
    return filters.listing()


def list_transactions(params: QueryDict, scope: QuerySet[Transaction]) -> Listing[Transaction]:
    """The transactions of `scope` that the parameters ask for: a merchant's, or a payment's. Raises the same."""
    return TransactionFilters(params, scope).listing()


class AmountParameter(Parameter):
    """An amount in major units of `currency`, which goes with it, which has to be there."""

    def filter(self, rows: QuerySet[Payment], value: str) -> QuerySet[Payment]:
        return super().filter(rows, Money.parse(value, self.parent.value("currency")).amount)


class NameParameter(Parameter):
    """What is called exactly so, at any age; if nothing is, what has a name that begins so."""

    def filter(self, rows: QuerySet[Payment], value: str) -> QuerySet[Payment]:
        spelled = {name: spell(value) for name, spell in NAMES.items() if name in self.parent.names}
        for name, text in spelled.items():
            is_possible = ("@" in value) == (name == "customer_email")
            if is_possible and along_index(self.parent.queryset.filter(**{name: text})).exists():
                return rows.filter(**{name: text})
        return rows.filter(Q(*((f"{name}__startswith", text) for name, text in spelled.items()), _connector=Q.OR))


class OwnPaymentFilters(ListFilters):
    """What a customer may ask of what they paid, at any merchant."""

    status = OneOrSeveral(SeveralField, Status.choices, help_text="One, or several separated by commas")
    currency = Parameter(CurrencyField, help_text="ISO 4217")
    method = Parameter(OneOfField, Method.choices, column="payment_method", help_text="How it was paid")
    provider = Parameter(OneOfField, sorted(PROVIDERS), help_text="Who moves the money")
    order_id = Parameter(OrderIdField, help_text="Your order")
    amount_min = AmountParameter(
        AmountField,
        column="amount",
        lookup="gte",
        help_text="At least this much, in major units of `currency`, which goes with it",
    )
    amount_max = AmountParameter(
        AmountField,
        column="amount",
        lookup="lte",
        help_text="At most this much, in major units of `currency`, which goes with it",
    )
    search = NameParameter(
        TextField,
        max_length=EMAIL_LENGTH,
        help_text="An id, reference, order id or the payer's address; if none is just that, those that begin so",
    )

    elsewhere = MERCHANT_ID
    narrow = frozenset(NAMES)
    names = narrow - {"customer_email"}  # that search looks at

    def faults(self) -> Iterator[ApiError]:
        yield from super().faults()
        given = [name for name in ("amount_min", "amount_max") if self.value(name) is not None]
        currency = self.value("currency")
        if given and "currency" not in self.data:
            yield ParameterMissing(f"{given[0]} needs a currency.", param="currency")
        for name in given if currency else ():
            try:
                Money.parse(self.value(name), currency)
            except ApiError as error:
                yield type(error)(error.message, param=name)


class PaymentFilters(OwnPaymentFilters):
    """What a merchant may ask of its payments."""

    customer_email = Parameter(AddressField, help_text="The payer's address")

    names = frozenset(NAMES)


class TransactionFilters(ListFilters):
    """What may be asked of transactions."""

    status = OneOrSeveral(SeveralField, TransactionStatus.choices, help_text="One, or several separated by commas")
    kind = Parameter(OneOfField, TransactionKind.choices, help_text="What was asked of the provider")
    provider = Parameter(OneOfField, sorted(PROVIDERS), help_text="Who moves the money")
    payment_id = Parameter(RowIdField, "pay", column="payment", help_text="The payment it belongs to")

    elsewhere = MERCHANT_ID
    narrow = frozenset({"payment"})
