"""The test cards, by token: what becomes of a charge depends on its token alone.

The set and the outcomes are Stripe's published test cards (docs.stripe.com/testing). No card numbers here: a
provider's client sends tokens.
"""

from dataclasses import dataclass

INQUIRY, CHARGEBACK = "inquiry", "chargeback"
FRAUD_WARNING = "early_fraud_warning"

# What a card's `dispute` opens: the stage and the reason of each dispute. A fraud warning opens none.
DISPUTES: dict[str, list[tuple[str, str]]] = {
    "fraudulent": [(CHARGEBACK, "fraudulent")],
    "product_not_received": [(CHARGEBACK, "product_not_received")],
    "inquiry": [(INQUIRY, "general")],
    "multiple": [(CHARGEBACK, "fraudulent"), (CHARGEBACK, "product_not_received")],
    FRAUD_WARNING: [],
}

FAILURE_MESSAGES = {
    "card_declined": "The card was declined.",
    "insufficient_funds": "The card has insufficient funds.",
    "expired_card": "The card has expired.",
    "incorrect_cvc": "The card's security code is incorrect.",
    "incorrect_number": "The card number is incorrect.",
    "processing_error": "An error occurred while processing the payment.",
    "authentication_failed": "The payer did not approve the payment.",
}


@dataclass(frozen=True, slots=True)
class Card:
    """`failure_code` is empty when charges succeed; `dispute` is a key of DISPUTES or empty; `refund` is
    empty (succeeds at once), "pending" (succeeds later) or "fails_later" (succeeds at once, fails later)."""

    token: str
    last4: str
    brand: str = "visa"
    failure_code: str = ""
    decline_code: str = ""
    three_d_secure: bool = False
    dispute: str = ""
    refund: str = ""


def _declined(token: str, last4: str, decline_code: str, *, three_d_secure: bool = False) -> Card:
    return Card(token, last4, failure_code="card_declined", decline_code=decline_code, three_d_secure=three_d_secure)


CARDS: dict[str, Card] = {
    card.token: card
    for card in [
        Card("tok_visa", "4242"),
        Card("tok_mastercard", "4444", brand="mastercard"),
        Card("tok_amex", "0005", brand="amex"),
        _declined("tok_card_declined", "0002", "generic_decline"),
        _declined("tok_charge_declined", "0341", "generic_decline"),
        _declined("tok_lost_card", "9987", "lost_card"),
        _declined("tok_stolen_card", "9979", "stolen_card"),
        _declined("tok_velocity_exceeded", "6975", "card_velocity_exceeded"),
        _declined("tok_fraud_blocked", "0019", "fraudulent"),
        Card("tok_insufficient_funds", "9995", failure_code="insufficient_funds"),
        Card("tok_expired_card", "0069", failure_code="expired_card"),
        Card("tok_incorrect_cvc", "0127", failure_code="incorrect_cvc"),
        Card("tok_incorrect_number", "4241", failure_code="incorrect_number"),
        Card("tok_processing_error", "0119", failure_code="processing_error"),
        Card("tok_three_d_secure", "3155", three_d_secure=True),
        Card("tok_three_d_secure_2", "3184", three_d_secure=True),
        Card("tok_three_d_secure_required", "3220", three_d_secure=True),
        _declined("tok_three_d_secure_declined", "1629", "generic_decline", three_d_secure=True),
        Card(
            "tok_three_d_secure_insufficient_funds",
            "3178",
            failure_code="insufficient_funds",
            three_d_secure=True,
        ),
        Card("tok_dispute_fraudulent", "0259", dispute="fraudulent"),
        Card("tok_dispute_not_received", "2685", dispute="product_not_received"),
        Card("tok_dispute_inquiry", "1976", dispute="inquiry"),
        Card("tok_early_fraud_warning", "5423", dispute=FRAUD_WARNING),
        Card("tok_multiple_disputes", "0079", dispute="multiple"),
        Card("tok_refund_pending", "7726", refund="pending"),
        Card("tok_refund_fails", "5126", refund="fails_later"),
    ]
}
