"""The payer's form. What is typed as a card leaves it as a CardSource, and is never shown again."""

import re
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.errors import ApiError
from payments.cards import CardExpiryPast, CardSource, read_card
from payments.models import CARD_METHODS, Method

EXPIRY_PATTERN = re.compile(r"([0-9]{1,2})\s*[/ .-]?\s*([0-9]{4}|[0-9]{2})", re.ASCII)  # 12 / 30, 12/2030, 1230
CVC_PATTERN = re.compile(r"[0-9]{3,4}", re.ASCII)
PHONE_PATTERN = re.compile(r"\+?[0-9 ().-]+", re.ASCII)
PHONE_DIGITS = range(6, 16)  # ITU-T E.164: at most 15
CENTURY = 2000

NUMBER_MISSING = _("Enter the card number.")
NUMBER_UNKNOWN = _("This is not a test card. Choose one from the list of test cards; never type a real card here.")
EXPIRY_MISSING = _("Enter the expiry as month and year, such as 08 / 30.")
EXPIRY_PAST = _("This card has expired.")
CVC_INVALID = _("Enter the three or four digits of the security code.")
PHONE_INVALID = _("Enter the number with its country code, such as +233 20 123 4567.")

# Which of our fields an error of payments.cards belongs to, and what we say.
CARD_ERRORS = {
    "card_number": ("card_number", NUMBER_UNKNOWN),
    "card_expiry_month": ("card_expiry", EXPIRY_MISSING),
    "card_expiry_year": ("card_expiry", EXPIRY_MISSING),
    "card_cvv": ("card_cvc", CVC_INVALID),
}


class PayForm(forms.Form):
    """One attempt to pay. Only the fields of the chosen method are looked at."""

    # The tries that the payer had seen when the page was made.
    attempt = forms.IntegerField(
        min_value=0,
        widget=forms.HiddenInput,
        error_messages=dict.fromkeys(("required", "invalid", "min_value"), _("The page was out of date. Try again.")),
    )
    method = forms.ChoiceField(
        choices=Method.choices,
        error_messages={"required": _("Choose how to pay."), "invalid_choice": _("Choose how to pay.")},
    )
    card_number = forms.CharField(required=False, max_length=32)
    card_expiry = forms.CharField(required=False, max_length=16)
    card_cvc = forms.CharField(required=False, max_length=8)
    phone = forms.CharField(required=False, max_length=32)

    def __init__(self, *args: Any, takes_cards: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        self.takes_cards = takes_cards

    @property
    def card(self) -> CardSource | None:
        return self.cleaned_data.get("card")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("method") in CARD_METHODS and self.takes_cards:
            self._clean_card(data)
        if data.get("method") == Method.MOBILE_MONEY:
            self._clean_phone(data)
        return data

    def _clean_card(self, data: dict[str, Any]) -> None:
        number, cvc = data.get("card_number", ""), data.get("card_cvc", "")
        expiry = EXPIRY_PATTERN.fullmatch(data.get("card_expiry", ""))
        if not number:
            self.add_error("card_number", NUMBER_MISSING)
        if expiry is None:
            self.add_error("card_expiry", EXPIRY_MISSING)
        if not CVC_PATTERN.fullmatch(cvc):
            self.add_error("card_cvc", CVC_INVALID)
        if not number or expiry is None or self.errors:
            return
        month, year = int(expiry[1]), int(expiry[2])
        self._read_card(data, number, month, year if year >= CENTURY else CENTURY + year, cvc)

    def _read_card(self, data: dict[str, Any], number: str, month: int, year: int, cvc: str) -> None:
        today = timezone.now().date()
        try:
            data["card"] = read_card(number=number, expiry_month=month, expiry_year=year, cvv=cvc, today=today)
        except CardExpiryPast:
            self.add_error("card_expiry", EXPIRY_PAST)
        except ApiError as error:
            self.add_error(*CARD_ERRORS[error.param or "card_number"])

    def _clean_phone(self, data: dict[str, Any]) -> None:
        phone = data.get("phone", "")
        digits = sum(char.isdigit() for char in phone)
        if not PHONE_PATTERN.fullmatch(phone) or digits not in PHONE_DIGITS:
            self.add_error("phone", PHONE_INVALID)
