"""How the payments of the sample history went: who bought what, when, how they paid, and what came of it."""

import unicodedata
from collections.abc import Callable
from datetime import datetime, timedelta
from operator import itemgetter
from random import Random
from typing import Any

from accounts.models import Merchant
from config.demo_catalogue import (
    BAD_CARDS,
    ENDINGS,
    GOOD_CARDS,
    HOURS,
    MARKET_OF,
    MARKETS,
    PRODUCTS,
    QUANTITIES,
    SECURE_CARDS,
    Market,
)
from config.demo_history import Attempt, History, Shopper
from payments.cards import TEST_CARDS
from payments.models import CARD_METHODS, CancellationReason, CaptureMethod, Method, Payment
from payments.services.payments import PAYMENT_LIFETIME
from sandbox.cards import CARDS

SEED = 20_260
DAYS = 42
SALES = 240
FIRST_ORDER = 1001
LONGEST_TRANSFER = timedelta(hours=20)
STILL_OPEN_FOR = timedelta(days=3)  # the last day's open payments: the demo of a weekend still shows some

# The last days hold what is still going on; each is a story of its own, hours before the history's end.
OPEN_STORIES = [
    (75.183, "authorized"),
    (50.442, "authorized"),
    (28.907, "authorized"),
    (20.361, "awaiting_transfer"),
    (13.778, "untried"),
    (9.256, "awaiting_transfer"),
    (6.094, "declined_once"),
    (2.519, "untried"),
]


def tell_history(merchant: Merchant, end: datetime) -> History:
    """Some weeks of payments that end at `end`; the same for every end, but for the time."""
    history = History(merchant, Random(SEED), end)  # noqa: S311 sample data
    shop = Shop(history, end)
    stories = [(moment, shop.sell) for moment in _moments(history.random, end)]
    stories += [(end - timedelta(hours=hours), shop.open_stories[name]) for hours, name in OPEN_STORIES]
    for moment, tell in sorted(stories, key=itemgetter(0)):
        history.clock = moment
        tell()
    return history


def _moments(random: Random, end: datetime) -> list[datetime]:
    """When somebody bought: business grows slowly, nights are quiet."""
    days = random.choices(range(DAYS), weights=[DAYS + 2 * day for day in range(DAYS)], k=SALES)
    hours = random.choices(range(len(HOURS)), weights=HOURS, k=SALES)
    start = end - timedelta(days=DAYS)
    return sorted(
        start + timedelta(days=day, hours=hour, milliseconds=random.randrange(3_600_000))
        for day, hour in zip(days, hours, strict=True)
    )


def _shoppers(random: Random, market: Market) -> list[Shopper]:
    names = [f"{first} {last}" for first in market.first_names for last in market.last_names]
    return [
        Shopper(
            name=name,
            email=_ascii(name).lower().replace(" ", ".") + "@example.com",
            phone=market.phone.format(number) if random.random() < 0.4 else "",
            place=random.choice(market.places) if random.random() < 0.6 else "",
            market=market,
        )
        for number, name in enumerate(random.sample(names, market.customers))
    ]


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


class Shop:
    """The invented shop at work: each sale is a story told to the history."""

    def __init__(self, history: History, end: datetime) -> None:
        self.history, self.random, self.end = history, history.random, end
        self.next_order = FIRST_ORDER
        self.shoppers = {market.currency: _shoppers(self.random, market) for market in MARKETS}
        self.endings: dict[str, Callable[..., Any]] = {
            "paid": self._paid,
            "failed": self._failed,
            "lapsed": self._lapsed,
            "withdrawn": self._withdrawn,
        }
        self.open_stories: dict[str, Callable[[], Any]] = {
            "authorized": self._authorized,
            "untried": self._untried,
            "declined_once": self._declined_once,
            "awaiting_transfer": self._awaiting_transfer,
        }

    def sell(self) -> None:
        """One sale, from the basket to its end."""
        shopper = self._shopper()
        method = self.history.pick(shopper.market.methods)
        ending = self.history.pick(ENDINGS)
        time_left = self.end - self.history.clock
        if method == Method.BANK_TRANSFER and time_left < LONGEST_TRANSFER * 1.1:
            method = Method.CREDIT_CARD
        if ending == "lapsed" and time_left < PAYMENT_LIFETIME * 1.1:
            ending = "paid"
        basket = self._basket(shopper)
        self.endings[ending](shopper, basket, method)

    # --- Stories that have ended --------------------------------------------------------------
    def _paid(self, shopper: Shopper, basket: dict[str, Any], method: str) -> None:
        if method not in CARD_METHODS:
            self._paid_elsewhere(self.history.open(shopper, **basket), method)
        elif self.random.random() < 0.5:
            payment = self.history.open(shopper, **basket, payment_method=method)
            self._charge_card(payment, self.history.pick(GOOD_CARDS), last=True)
        else:
            self._paid_on_the_checkout_page(self.history.open(shopper, **basket), method)

    def _paid_on_the_checkout_page(self, payment: Payment, method: str) -> None:
        self.history.wait(20, 400)
        payment.payment_method = method
        if self.random.random() < 0.08:  # the first card did not work
            self._charge_card(payment, self.history.pick(BAD_CARDS), last=False)
            self.history.wait(25, 120)
        secure = self.random.random() < 0.25
        self._charge_card(payment, self.history.pick(SECURE_CARDS if secure else GOOD_CARDS), last=False)

    def _paid_elsewhere(self, payment: Payment, method: str) -> None:
        """PayPal, a phone or a bank: the payer approves it there."""
        self.history.wait(20, 400)
        attempt = self._start(payment, method)
        if method == Method.BANK_TRANSFER:
            self.history.wait(2400, LONGEST_TRANSFER.total_seconds() * 0.9)
        else:
            self.history.wait(12, 90)
        self.history.approve(attempt)
        self.history.succeed(attempt)

    def _failed(self, shopper: Shopper, basket: dict[str, Any], method: str) -> None:
        """A single attempt through the API is declined; half of them come back and pay."""
        method = method if method in CARD_METHODS else Method.CREDIT_CARD
        payment = self.history.open(shopper, **basket, payment_method=method)
        if self.random.random() < 0.15:
            attempt = self.history.attempt(payment, method, number=self.history.pick(SECURE_CARDS), last=True)
            self.history.ask_payer(attempt)
            self.history.wait(20, 90)
            self.history.refuse(attempt)
        else:
            self._charge_card(payment, self.history.pick(BAD_CARDS), last=True)
        if self.random.random() < 0.5:
            self.history.wait(60, 600)
            self._paid(shopper, basket, method)

    def _lapsed(self, shopper: Shopper, basket: dict[str, Any], method: str) -> None:
        """Nobody paid in time; some had tried."""
        payment = self.history.open(shopper, **basket)
        if method in CARD_METHODS and self.random.random() < 0.5:
            self.history.wait(30, 400)
            payment.payment_method = method
            self._charge_card(payment, self.history.pick(BAD_CARDS), last=False)
        self.history.clock = payment.expires_at
        self.history.wait(0.1, 5)
        self.history.cancel(payment, CancellationReason.EXPIRED)

    def _withdrawn(self, shopper: Shopper, basket: dict[str, Any], method: str) -> None:
        """The merchant takes the request back before anybody has paid."""
        payment = self.history.open(shopper, **basket)
        self.history.wait(120, 2400)
        reasons = [CancellationReason.REQUESTED_BY_CUSTOMER, CancellationReason.DUPLICATE]
        self.history.cancel(payment, self.random.choice(reasons))

    # --- Stories that still go on -------------------------------------------------------------
    def _authorized(self) -> None:
        shopper = self._shopper()
        payment = self.history.open(
            shopper,
            **self._basket(shopper),
            payment_method=Method.CREDIT_CARD,
            capture_method=CaptureMethod.MANUAL,
        )
        self._charge_card(payment, self.history.pick(GOOD_CARDS), last=True)

    def _untried(self, currency: str | None = None) -> Payment:
        shopper = self._shopper(currency)
        return self.history.open(shopper, **self._basket(shopper), lifetime=STILL_OPEN_FOR)

    def _declined_once(self) -> None:
        payment = self._untried()
        payment.payment_method = Method.DEBIT_CARD
        self.history.wait(30, 300)
        self._charge_card(payment, "4000000000009995", last=False)

    def _awaiting_transfer(self) -> None:
        payment = self._untried("EUR")
        self.history.wait(30, 300)
        attempt = self._start(payment, Method.BANK_TRANSFER)
        attempt.txn.due_at = self.end + timedelta(days=1, hours=1)  # not before the day of seeding is over

    # --- Parts of stories ---------------------------------------------------------------------
    def _shopper(self, currency: str | None = None) -> Shopper:
        currency = currency or self.history.pick({market.currency: market.share for market in MARKETS})
        return self.random.choice(self.shoppers[currency])

    def _basket(self, shopper: Shopper) -> dict[str, Any]:
        product, cents = self.random.choice(PRODUCTS)
        quantity = self.history.pick(QUANTITIES)
        order_id = None
        if self.random.random() < 0.85:  # the others pay an invoice or a link
            order_id, self.next_order = f"DS-{self.next_order}", self.next_order + 1
        return {
            "amount": shopper.market.price(cents) * quantity,
            "description": product if quantity == 1 else f"{quantity} x {product}",
            "order_id": order_id,
            "metadata": {"channel": self.history.pick({"web": 8, "phone": 1, "market stall": 1})},
        }

    def _start(self, payment: Payment, method: str) -> Attempt:
        """An attempt that waits for the payer's approval elsewhere."""
        phone = payment.customer_phone or MARKET_OF[payment.currency].phone.format(self.random.randrange(100))
        attempt = self.history.attempt(
            payment, method, phone=phone if method == Method.MOBILE_MONEY else "", last=False
        )
        self.history.ask_payer(attempt)
        return attempt

    def _charge_card(self, payment: Payment, number: str, *, last: bool) -> None:
        """Charges a test card, whose number decides what becomes of it."""
        attempt = self.history.attempt(payment, payment.payment_method, number=number, last=last)
        card = CARDS[TEST_CARDS[number].token]
        if card.three_d_secure:
            self.history.ask_payer(attempt)
            self.history.wait(10, 60)
            self.history.approve(attempt)
        if card.failure_code:
            self.history.fail(attempt, card.failure_code, card.decline_code)
        else:
            self.history.succeed(attempt)
