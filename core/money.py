"""Money: integer minor units and an ISO 4217 currency. Floats never touch it, nothing is rounded."""

import copy
import re
from dataclasses import dataclass
from decimal import Decimal

from babel import Locale
from iso4217 import Currency

from core.errors import ApiError

# ISO 4217 currencies that have a minor unit; metals, XXX and XTS have none and are refused.
EXPONENTS: dict[str, int] = {c.code: c.exponent for c in Currency if c.exponent is not None}
CURRENCY_NAMES: dict[str, str] = {c.code: c.currency_name for c in Currency if c.exponent is not None}
CURRENCY_LENGTH = 3
MAX_MAJOR = Decimal("999999999999.99")

MAX_DIGITS = 64
LETTER_BEFORE_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")  # KWD 1.234: CLDR's space, which Babel leaves out
PLAIN_DIGITS = re.compile(rf"[0-9]{{1,{MAX_DIGITS}}}(\.[0-9]{{1,{MAX_DIGITS}}})?", re.ASCII)


class AmountInvalid(ApiError):
    status, code = 400, "amount_invalid"
    message = "The amount must be a number above zero in plain digits, such as 50.00."


class AmountTooPrecise(ApiError):
    status, code = 400, "amount_precision"
    message = "The amount has more decimals than its currency."


class AmountTooLarge(ApiError):
    status, code = 400, "amount_too_large"
    message = f"The amount must not be above {MAX_MAJOR:,}."


AMOUNT_ERRORS = (AmountInvalid, AmountTooPrecise, AmountTooLarge)


class CurrencyInvalid(ApiError):
    status, code = 400, "currency_invalid"
    message = "The currency must be an ISO 4217 code in capitals, such as USD."


def read_currency(code: object) -> str:
    """The ISO 4217 code, or CurrencyInvalid. Never folds case: some letters fold into ASCII ones."""
    if not isinstance(code, str) or code not in EXPONENTS:
        raise CurrencyInvalid(param="currency")
    return code


def currency_choices() -> list[tuple[str, str]]:
    """Of a form's field."""
    return [(code, f"{code} {name}") for code, name in sorted(CURRENCY_NAMES.items())]


@dataclass(frozen=True, slots=True)
class Money:
    """`amount` in minor units of `currency` (ISO 4217)."""

    amount: int
    currency: str

    @classmethod
    def parse(cls, value: object, currency: str, *, param: str = "amount") -> "Money":
        """Reads an amount in major units: an int, a Decimal or a string of plain ASCII digits.

        Raises AmountInvalid, AmountTooPrecise or AmountTooLarge, about this parameter.
        """
        text = read_digits(value, param=param)
        exponent = EXPONENTS[currency]
        whole, _, decimals = text.partition(".")
        if len(decimals) > exponent:
            raise AmountTooPrecise(f"{currency} has {exponent} decimals; the amount has {len(decimals)}.", param=param)
        if Decimal(text) > MAX_MAJOR:
            raise AmountTooLarge(param=param)
        amount = int(whole + decimals.ljust(exponent, "0"))
        if amount == 0:
            raise AmountInvalid(param=param)
        return cls(amount, currency)

    def __str__(self) -> str:
        """Major units with exactly the currency's decimals: `50.00`, `5000`, `1.234`."""
        exponent = EXPONENTS[self.currency]
        sign, digits = "-" if self.amount < 0 else "", str(abs(self.amount)).rjust(exponent + 1, "0")
        return sign + (f"{digits[:-exponent]}.{digits[-exponent:]}" if exponent else digits)

    def format(self, language: str) -> str:
        """For people: `$50.00`, `50,00 €`. Decimals are ISO 4217's, not CLDR's (they differ for MGA)."""
        locale = Locale.parse(language, sep="-")
        pattern = copy.copy(locale.currency_formats["standard"])
        pattern.frac_prec = (EXPONENTS[self.currency],) * 2
        text = pattern.apply(Decimal(str(self)), locale, currency=self.currency, currency_digits=False)
        return LETTER_BEFORE_DIGIT.sub("\N{NO-BREAK SPACE}", text)


def read_digits(value: object, *, param: str = "amount") -> str:
    """The amount as written, or AmountInvalid; bounded before any conversion: 1e999999999 is 11 bytes."""
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        value = format(value, "f") if isinstance(exponent, int) and -MAX_DIGITS <= exponent <= 0 else ""
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**MAX_DIGITS:
        value = str(value)
    if not isinstance(value, str) or not PLAIN_DIGITS.fullmatch(value):
        raise AmountInvalid(param=param)
    return value
