"""What a payer and a merchant do, for the tests of payments."""

from collections.abc import Callable

import pytest

from payments import services
from payments.cards import TEST_CARDS, CardSource
from payments.models import Payment
from sandbox import services as sandbox
from sandbox.models import Charge


@pytest.fixture
def start(pay) -> Callable[..., Payment]:
    """A payment as the API makes it; with a card when a number is given."""

    def create(number: str = "", **fields) -> Payment:
        card = {"card_number": number, "card_expiry_month": 12, "card_expiry_year": 2040} if number else {}
        response = pay(**card, **fields)
        assert response.status_code == 201, response.content
        return Payment.objects.get(pk=response.json()["payment"]["id"])

    return create


@pytest.fixture
def attempt() -> Callable[..., Payment]:
    """The payer tries a card, or another method, on the checkout page."""

    def send(payment: Payment, number: str = "", method: str = "credit_card") -> Payment:
        payment.refresh_from_db()
        card = CardSource(TEST_CARDS[number].token, "visa", number[-4:], 12, 2040) if number else None
        return services.start_attempt(
            payment_id=payment.pk, attempt=payment.payer_attempts, method=method, card=card, phone="+233241234567"
        )

    return send


@pytest.fixture
def decide() -> Callable[..., None]:
    """The payer answers on the sandbox's page."""

    def answer(payment: Payment, *, approve: bool) -> None:
        txn = payment.transactions.get(open_for=payment.pk)
        sandbox.decide(charge_id=Charge.objects.get(key=txn.pk).pk, approve=approve)

    return answer
