"""The payer's form. What is typed as a card leaves it as a CardSource, and is never shown again."""

import re
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Merchant, Method
from core.errors import ApiError
from payments.cards import CardSource, read_card
from payments.models import CARD_METHODS

EXPIRY_PATTERN = re.compile(r"([0-9]{1,2})\s*[/ .-]?\s*([0-9]{4}|[0-9]{2})", re.ASCII)  # 12 / 30, 12/2030, 1230
CVC_PATTERN = re.compile(r"[0-9]{3,4}", re.ASCII)
PHONE_PATTERN = re.compile(r"\+?[0-9 ().-]+", re.ASCII)
PHONE_DIGITS = range(6, 16)  # ITU-T E.164: at most 15
CENTURY = 2000

METHOD_UNAVAILABLE = _("This way to pay is not available. Choose another one.")
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
        error_messages={"required": _("Choose how to pay."), "invalid_choice": METHOD_UNAVAILABLE}
    )
    card_number = forms.CharField(required=False, max_length=32)
    card_expiry = forms.CharField(required=False, max_length=16)
    card_cvc = forms.CharField(required=False, max_length=8)
    phone = forms.CharField(required=False, max_length=32)

    def __init__(self, *args: Any, merchant: Merchant, **options: Any) -> None:
        super().__init__(*args, **options)
        self.takes_cards = merchant.is_sandbox
        self.fields["method"].choices = [(method, method) for method in merchant.payment_methods]  # type: ignore[attr-defined]

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
        """Names every mistake at once; with none, the fields are a card."""
        number, cvc = data.get("card_number", ""), data.get("card_cvc", "")
        expiry = self._clean_expiry(data.get("card_expiry", ""))
        if not number and "card_number" not in self.errors:
            self.add_error("card_number", NUMBER_MISSING)
        if not CVC_PATTERN.fullmatch(cvc) and "card_cvc" not in self.errors:
            self.add_error("card_cvc", CVC_INVALID)
            cvc = ""
        if number:
            today = timezone.now().date()
            month, year = expiry or (today.month, today.year)
            self._read_card(data, number=number, expiry_month=month, expiry_year=year, cvv=cvc, today=today)

    def _clean_expiry(self, text: str) -> tuple[int, int] | None:
        """Month and four-digit year, or None and an error beside the field."""
        match = EXPIRY_PATTERN.fullmatch(text)
        if match is None:
            if "card_expiry" not in self.errors:
                self.add_error("card_expiry", EXPIRY_MISSING)
            return None
        month, year = int(match[1]), int(match[2])
        year = year if year >= CENTURY else CENTURY + year
        today = timezone.now().date()
        if (year, month) < (today.year, today.month):
            self.add_error("card_expiry", EXPIRY_PAST)
            return None
        return month, year

    def _read_card(self, data: dict[str, Any], **card: Any) -> None:
        try:
            data["card"] = read_card(**card)
        except ApiError as error:
            self.add_error(*CARD_ERRORS[error.param or "card_number"])

    def _clean_phone(self, data: dict[str, Any]) -> None:
        phone = data.get("phone", "")
        digits = sum(char.isdigit() for char in phone)
        if not PHONE_PATTERN.fullmatch(phone) or digits not in PHONE_DIGITS:
            self.add_error("phone", PHONE_INVALID)
