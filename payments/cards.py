"""Cards, which never get further than this: a sandbox test number becomes a token, any other is refused."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from core.errors import ApiError, ParameterInvalid

MAX_EXPIRY_YEARS = 50


class LiveCardRefused(ApiError):
    code = "live_card_refused"
    message = "Card numbers are taken only in the sandbox, and only test numbers. Send the payer to checkout_url."


class CardExpiryPast(ApiError):
    code = "card_expiry_past"
    message = "The card's expiry date has passed."


@dataclass(frozen=True, slots=True)
class TestCard:
    """A published test number of the sandbox; `outcome` is a sentence for people."""

    token: str
    brand: str
    outcome: str


@dataclass(frozen=True, slots=True)
class CardSource:
    """All that is left of a card: the token that the provider charges, and what may be shown."""

    token: str
    brand: str
    last4: str
    expiry_month: int
    expiry_year: int


# Numbers and outcomes: docs.stripe.com/testing; 4111111111111111 is the one everybody knows.
TEST_CARDS = {
    "4242424242424242": TestCard("tok_visa", "visa", "Succeeds"),
    "4111111111111111": TestCard("tok_visa", "visa", "Succeeds"),
    "5555555555554444": TestCard("tok_mastercard", "mastercard", "Succeeds"),
    "378282246310005": TestCard("tok_amex", "amex", "Succeeds"),
    "4000000000000002": TestCard("tok_card_declined", "visa", "Declined: card_declined"),
    "4000000000009995": TestCard("tok_insufficient_funds", "visa", "Declined: insufficient_funds"),
    "4000000000009987": TestCard("tok_lost_card", "visa", "Declined: lost card, shown as card_declined"),
    "4000000000009979": TestCard("tok_stolen_card", "visa", "Declined: stolen card, shown as card_declined"),
    "4000000000000069": TestCard("tok_expired_card", "visa", "Declined: expired_card"),
    "4000000000000127": TestCard("tok_incorrect_cvc", "visa", "Declined: incorrect_cvc, when a code is given"),
    "4000000000000119": TestCard("tok_processing_error", "visa", "Declined: processing_error"),
    "4242424242424241": TestCard("tok_incorrect_number", "visa", "Declined: incorrect_number"),
    "4000000000006975": TestCard("tok_velocity_exceeded", "visa", "Declined: too many, shown as card_declined"),
    "4100000000000019": TestCard("tok_fraud_blocked", "visa", "Blocked as fraud, shown as card_declined"),
    "4000000000000341": TestCard("tok_charge_declined", "visa", "Declined: card_declined"),
    "4000002500003155": TestCard("tok_three_d_secure", "visa", "3-D Secure, then succeeds"),
    "4000002760003184": TestCard("tok_three_d_secure_2", "visa", "3-D Secure, then succeeds"),
    "4000000000003220": TestCard("tok_three_d_secure_required", "visa", "3-D Secure, then succeeds"),
    "4000008400001629": TestCard("tok_three_d_secure_declined", "visa", "3-D Secure, then card_declined"),
    "4000008260003178": TestCard(
        "tok_three_d_secure_insufficient_funds", "visa", "3-D Secure, then insufficient_funds"
    ),
    "4000000000000259": TestCard("tok_dispute_fraudulent", "visa", "Succeeds, then disputed as fraudulent"),
    "4000000000002685": TestCard("tok_dispute_not_received", "visa", "Succeeds, then disputed as not received"),
    "4000000000001976": TestCard("tok_dispute_inquiry", "visa", "Succeeds, then an inquiry"),
    "4000000000005423": TestCard("tok_early_fraud_warning", "visa", "Succeeds, then an early fraud warning"),
    "4000000404000079": TestCard("tok_multiple_disputes", "visa", "Succeeds, then disputed several times"),
    "4000000000007726": TestCard("tok_refund_pending", "visa", "Succeeds; a refund is pending, then succeeds"),
    "4000000000005126": TestCard("tok_refund_fails", "visa", "Succeeds; a refund succeeds, then fails"),
}

SEPARATORS = re.compile(r"[ -]")
CVC_PATTERN = re.compile(r"[0-9]{3,4}", re.ASCII)
# Digits as people write them, a mark between groups; and what the networks issue (ISO/IEC 7812-1), so that order
# numbers and times are rarely taken for a card.
SEPARATOR = r"[ ._/\-\u2010-\u2015]"
DIGIT_RUN = re.compile(rf"[0-9]+(?:{SEPARATOR}[0-9]+)*", re.ASCII)
CARD_LIKE = re.compile(
    r"(?:2[2-7]|3[05689]|[456][0-9])[0-9]{14}|3[47][0-9]{13}|3[0689][0-9]{12}|[46][0-9]{18}", re.ASCII
)
MIN_CARD_DIGITS, MAX_CARD_DIGITS = 14, 19


def read_card(*, number: str, expiry_month: int, expiry_year: int, cvv: str, today: date) -> CardSource:
    """The token of a test card, or LiveCardRefused, ParameterInvalid, CardExpiryPast. An error never holds a digit.

    `expiry_year` has four digits; a card is good to the end of its month.
    """
    digits = SEPARATORS.sub("", number)
    card = TEST_CARDS.get(digits)
    if card is None:
        raise LiveCardRefused(param="card_number")
    if not 1 <= expiry_month <= 12:
        raise ParameterInvalid("The month is a number from 1 to 12.", param="card_expiry_month")
    if not 2000 <= expiry_year <= today.year + MAX_EXPIRY_YEARS:
        raise ParameterInvalid("The year has four digits.", param="card_expiry_year")
    if (expiry_year, expiry_month) < (today.year, today.month):
        raise CardExpiryPast(param="card_expiry_year")
    if cvv and not CVC_PATTERN.fullmatch(cvv):
        raise ParameterInvalid("The security code has three or four digits.", param="card_cvv")
    unchecked = card.token == "tok_incorrect_cvc" and not cvv  # noqa: S105
    return CardSource("tok_visa" if unchecked else card.token, card.brand, digits[-4:], expiry_month, expiry_year)


def refuse_card_numbers(text: str, *, param: str) -> None:
    """Raises LiveCardRefused when free text holds what can only be a card number: it must not be stored."""
    for run in DIGIT_RUN.findall(unicodedata.normalize("NFKC", text)):
        if any(CARD_LIKE.fullmatch(digits) and _passes_luhn(digits) for digits in _joined(re.split(SEPARATOR, run))):
            raise LiveCardRefused("Do not put card numbers into texts.", param=param)


def _joined(groups: list[str]) -> Iterator[str]:
    """Every stretch of neighbouring groups as long as a card number: "4242 4242 4242 4242 12/30" holds one."""
    for start in range(len(groups)):
        digits = ""
        for group in groups[start:]:
            digits += group
            if len(digits) > MAX_CARD_DIGITS:
                break
            if len(digits) >= MIN_CARD_DIGITS:
                yield digits


def _passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0
