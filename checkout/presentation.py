"""What the payer sees of a payment: the state of its page, and the words that go with it."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Method
from checkout.branding import branding_of
from checkout.forms import PayForm
from core.money import Money
from payments.cards import TEST_CARDS
from payments.failures import MESSAGES
from payments.models import CARD_METHODS, CancellationReason, Payment, Status

POLL_MS = 700
RELAXED_POLL_MS = 2500  # while a person, not a machine, is being waited for
REFRESH_SECONDS = 2  # without JavaScript the page reloads itself
RELAXED_REFRESH_SECONDS = 5
SLOW_AFTER = timedelta(seconds=20)
TEST_EXPIRY_YEARS = 3

# state: its heading, and how often htmx asks for news. Each has a file in templates/checkout/states/.
STATES = {
    "payable": (_("Pay"), None),
    "processing": (_("Confirming your payment"), POLL_MS),
    "slow": (_("Still confirming your payment"), RELAXED_POLL_MS),
    "requires_action": (_("One more step"), RELAXED_POLL_MS),
    "bank_transfer": (_("Pay by bank transfer"), RELAXED_POLL_MS),
    "completed": (_("Payment complete"), None),
    "authorized": (_("Payment approved"), None),
    "failed": (_("Payment failed"), None),
    "already_paid": (_("This order is already paid"), None),
    "cancelled": (_("Payment cancelled"), None),
    "expired": (_("This payment link has expired"), None),
    "refunded": (_("Payment refunded"), None),
}
WORKING = ("processing", "slow")
BRANDS = {"visa": "Visa", "mastercard": "Mastercard", "amex": "American Express"}


AWAY = _("You enter your card on the secure page of our payment provider.")
# How each method looks in the list: its icon, and what is said where there is nothing to fill in.
LOOKS = {
    Method.CREDIT_CARD: ("card", AWAY),
    Method.DEBIT_CARD: ("card", AWAY),
    Method.PAYPAL: ("wallet", _("You log in to PayPal and agree to the payment there.")),
    Method.BANK_TRANSFER: (
        "bank",
        _("You get the account to send the money to. The order counts as paid once it arrives."),
    ),
    Method.MOBILE_MONEY: ("phone", ""),
}


@dataclass(frozen=True)
class Choice:
    """One way to pay, as the list of methods shows it."""

    value: str
    label: str
    icon: str
    note: str = ""

    @property
    def is_card(self) -> bool:
        return self.value in CARD_METHODS


def state_of(payment: Payment) -> str:
    """Which of STATES this payment is in, for the payer."""
    status = str(payment.status)
    if status == Status.PROCESSING or (status == Status.PENDING and payment.in_flight):
        return "slow" if timezone.now() - payment.updated_at > SLOW_AFTER else "processing"
    if status == Status.PENDING:
        return _state_of_pending(payment)
    if status == Status.CANCELLED and payment.cancellation_reason == CancellationReason.EXPIRED:
        return "expired"
    if status == Status.FAILED and payment.failure_code == "order_already_paid":
        return "already_paid"
    return status


def _state_of_pending(payment: Payment) -> str:
    if payment.expires_at <= timezone.now():  # the worker has not come round to it yet
        return "expired"
    return "bank_transfer" if _action(payment, "type") == "bank_transfer" else "payable"


def page_of(payment: Payment, *, change_method: bool = False, returned: bool = False) -> dict[str, Any]:
    """The context that the templates of the checkout share. Somebody who was told to make a bank transfer may
    want to `change_method`; one who `returned` from the provider's page is not sent there again by itself."""
    state = state_of(payment)
    if change_method and state == "bank_transfer":
        state = "payable"
    heading, poll = STATES[state]
    return {
        "payment": payment,
        "state": state,
        "template": f"checkout/states/{'processing' if state == 'slow' else state}.html",
        "heading": heading,
        "poll": poll,
        "returned": returned,
        "refresh": _refresh(state, returned),
        "action_url": _action(payment, "url"),
        "failure": MESSAGES.get(payment.failure_code, ""),
        "return_link": return_link(payment),
        **_shown(payment),
    }


def _refresh(state: str, returned: bool) -> int | None:
    """After how many seconds the page loads itself again where there is no JavaScript."""
    if state in WORKING:
        return REFRESH_SECONDS
    return RELAXED_REFRESH_SECONDS if returned and state == "bank_transfer" else None


def receipt_of(payment: Payment) -> dict[str, Any]:
    refunded = Money(payment.amount_refunded, payment.currency)
    return {
        "payment": payment,
        "is_refunded": payment.status == Status.REFUNDED,
        "refunded": refunded if refunded.amount else None,
        **_shown(payment),
    }


def form_context(payment: Payment, form: PayForm | None = None) -> dict[str, Any]:
    """What the form of a payable payment shows."""
    methods = _choices(payment)
    wanted = (form.data.get("method") if form else None) or payment.payment_method
    has_test_cards = payment.merchant.is_sandbox and any(choice.is_card for choice in methods)
    return {
        "form": form,
        "methods": methods,
        "chosen": wanted if wanted in [choice.value for choice in methods] else methods[0].value,
        "card_brands": list(BRANDS),
        "test_cards": _test_cards() if has_test_cards else [],
        "test_expiry": f"12 / {(timezone.now().year + TEST_EXPIRY_YEARS) % 100:02}",
    }


def return_link(payment: Payment) -> str:
    """The merchant's return_url with `payment_id` and `status` added to whatever its query already says."""
    if not payment.return_url:
        return ""
    parts = urlsplit(payment.return_url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    query += [("payment_id", payment.pk), ("status", payment.status)]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _shown(payment: Payment) -> dict[str, Any]:
    brand = payment.card_brand if payment.payment_method in CARD_METHODS else ""
    return {
        "sandbox": payment.merchant.is_sandbox,
        "branding": branding_of(payment.merchant),
        "method": BRANDS.get(brand) or payment.get_payment_method_display(),
        "brand": brand if brand in BRANDS else "",
    }


def _action(payment: Payment, name: str) -> str:
    return (payment.next_action or {}).get(name, "")


def _choices(payment: Payment) -> list[Choice]:
    """What the merchant offers, in its order. Credit and debit cards are typed into the same fields, so both
    together are one choice, where the first of them stands."""
    offered = payment.merchant.payment_methods
    cards = [method for method in offered if method in CARD_METHODS]
    choices = [_choice(method) for method in offered if method not in cards[1:]]
    if len(cards) > 1:
        card = payment.payment_method if payment.payment_method in cards else cards[0]
        choices[offered.index(cards[0])] = replace(_choice(card), label=gettext("Card"))
    return choices


def _choice(method: str) -> Choice:
    icon, note = LOOKS[Method(method)]
    return Choice(method, str(Method(method).label), icon, str(note))


def _test_cards() -> list[dict[str, str]]:
    return [
        {"number": number, "shown": _grouped(number), "outcome": card.outcome} for number, card in TEST_CARDS.items()
    ]


def _grouped(number: str) -> str:
    """As it is printed on the card: 4 4 4 4, or 4 6 5 on an American Express."""
    if len(number) % 4:
        return f"{number[:4]} {number[4:10]} {number[10:]}"
    return " ".join(number[i : i + 4] for i in range(0, len(number), 4))
