"""Rows of the past: payments, what they took at the sandbox, and the events, as live ones would have left them.

Everything is made in memory by the state tables of the live code, then written with one insert a table. A test
runs the worker and the emulator over the result: neither finds anything to do or to correct. What comes after the
payments is added by demo_refunds.py and demo_payouts.py.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from django.urls import reverse

from accounts.models import Customer, Merchant, normalize_email
from config.demo_books import Books
from config.demo_catalogue import Market
from core.idempotency import fingerprint
from core.ids import new_id
from core.renderers import to_json
from core.state import move_to
from ledger.models import Payout, PayoutLine
from notifications.models import Event
from payments.cards import TEST_CARDS
from payments.models import (
    CARD_METHODS,
    HOLDS_ORDER,
    REFERENCE_ALPHABET,
    CaptureMethod,
    Payment,
    Status,
    Transaction,
    TransactionKind,
    TransactionStatus,
)
from payments.providers.sandbox import METHODS
from payments.serializers import MerchantPayment
from payments.services.payments import PAYMENT_LIFETIME
from payments.services.status import AUTHORIZATION_LIFETIME, EXPIRES, order_key
from refunds.models import Refund
from sandbox.models import Charge, Operation, Transfer

# What decides about a charge's money: the emulator compares it when a key comes a second time.
CHARGE_TERMS = ("account", "amount", "currency", "method", "token", "phone", "capture")


@dataclass(slots=True)
class Shopper:
    """A customer of the shop who has perhaps not bought yet; `row` once they have."""

    name: str
    email: str
    phone: str
    place: str
    market: Market
    row: Customer | None = None


@dataclass(slots=True)
class Attempt:
    """One try to pay: our transaction and the sandbox's charge."""

    payment: Payment
    txn: Transaction
    charge: Charge


@dataclass
class History:
    """The rows so far. `clock` is the moment that the story has come to; each step happens at it. In the beginning it
    says when the history ends. `paid` holds the attempts that took money, which refunds give back."""

    merchant: Merchant
    random: Random
    clock: datetime
    customers: list[Customer] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    paid: list[Attempt] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    payouts: list[Payout] = field(default_factory=list)
    payout_lines: list[PayoutLine] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    sequences: Counter[str] = field(default_factory=Counter)
    end: datetime = field(init=False)
    books: Books = field(init=False)

    def __post_init__(self) -> None:
        self.end = self.clock
        self.books = Books(self.merchant, self.random, end=self.end)

    # --- Small things -------------------------------------------------------------------------
    def wait(self, least: float, most: float) -> None:
        """Lets some seconds pass."""
        self.clock += timedelta(milliseconds=self.random.randint(int(least * 1000), int(most * 1000)))

    def pick(self, odds: dict[Any, int]) -> Any:
        return self.random.choices(list(odds), weights=list(odds.values()))[0]

    def new_id(self, prefix: str) -> str:
        return new_id(prefix, at=self.clock, randomness=self.random.randbytes(10))

    def tell(self, payment: Payment, name: str) -> None:
        payment.updated_at = self.clock
        self.publish(f"payment.{name}", payment.pk, MerchantPayment(payment).data)

    def publish(self, event_type: str, object_id: str, data: Any, *, actor: str = "") -> None:
        """The event of a change, its payload as publish() in notifications/services/events.py writes it."""
        self.sequences[object_id] += 1
        self.events.append(
            Event(
                id=self.new_id("evt"),
                merchant_id=self.merchant.pk,
                type=event_type,
                object_id=object_id,
                sequence=self.sequences[object_id],
                payload=to_json(data).decode(),
                actor=actor,
                created_at=self.clock,
            )
        )

    # --- What can happen to a payment ---------------------------------------------------------
    def open(self, shopper: Shopper, *, amount: int, lifetime: timedelta = PAYMENT_LIFETIME, **fields: Any) -> Payment:
        expires_at = self.clock + lifetime
        payment = Payment(
            id=self.new_id("pay"),
            reference="TG-" + "".join(self.random.choices(REFERENCE_ALPHABET, k=10)),
            merchant=self.merchant,
            customer=self._customer(shopper),
            amount=amount,
            currency=shopper.market.currency,
            provider="sandbox",
            customer_name=shopper.name,
            customer_email=shopper.email,
            customer_phone=shopper.phone,
            customer_location=shopper.place,
            expires_at=expires_at,
            due_at=expires_at,
            created_at=self.clock,
            **fields,
        )
        self.payments.append(payment)
        self.tell(payment, "created")
        return payment

    def _customer(self, shopper: Shopper) -> Customer:
        if shopper.row is None:
            shopper.row = Customer(
                id=self.new_id("cus"),
                merchant=self.merchant,
                email=normalize_email(shopper.email),
                name=shopper.name,
                phone=shopper.phone,
                location=shopper.place,
                created_at=self.clock,
            )
            self.customers.append(shopper.row)
        return shopper.row

    def attempt(self, payment: Payment, method: str, *, number: str = "", phone: str = "", last: bool) -> Attempt:
        """The payer tries; the provider has taken the charge in. `number` is a test card's, `last` fails for good."""
        payment.payer_attempts += 1
        payment.payment_method = method
        payment.failure_code = ""
        if number:
            card = TEST_CARDS[number]
            payment.card_brand, payment.card_last4 = card.brand, number[-4:]
            payment.card_expiry_month = self.random.randint(1, 12)
            payment.card_expiry_year = self.clock.year + self.random.randint(1, 4)
        txn = self._transaction(payment, method, TEST_CARDS[number].token if number else "", phone, last)
        self.wait(0.1, 0.4)
        self._process(payment, txn)
        self.wait(0.02, 0.1)
        return Attempt(payment, txn, self._charge(payment, txn))

    def _transaction(self, payment: Payment, method: str, token: str, phone: str, last: bool) -> Transaction:
        manual = payment.capture_method == CaptureMethod.MANUAL
        txn = Transaction(
            id=self.new_id("txn"),
            payment=payment,
            merchant_id=payment.merchant_id,
            open_for=payment.pk,
            kind=TransactionKind.AUTHORIZATION if manual else TransactionKind.SALE,
            amount=payment.amount,
            currency=payment.currency,
            method=method,
            source=token,
            phone=phone,
            is_last_attempt=last,
            provider=payment.provider,
            attempts=2,  # charged, then asked for the outcome
            created_at=self.clock,
        )
        self.transactions.append(txn)
        return txn

    def _charge(self, payment: Payment, txn: Transaction) -> Charge:
        by_card, by_bank = txn.method in CARD_METHODS, METHODS[txn.method] == Charge.Method.BANK_TRANSFER
        awaits = Charge.Status.AWAITING_TRANSFER if by_bank else Charge.Status.REQUIRES_ACTION
        charge = Charge(
            id=self.new_id("ch"),
            key=txn.pk,
            account=payment.merchant_id,
            account_name=self.merchant.name,
            amount=txn.amount,
            currency=txn.currency,
            method=METHODS[txn.method],
            token=txn.source,
            phone=txn.phone,
            capture=txn.kind == TransactionKind.SALE,
            description=payment.description or payment.reference,
            return_url=reverse("checkout_return", args=[payment.pk]),
            status=Charge.Status.PROCESSING if by_card else awaits,
            created_at=self.clock,
            updated_at=self.clock,
        )
        charge.fingerprint = fingerprint({name: getattr(charge, name) for name in CHARGE_TERMS})
        self.charges.append(charge)
        return charge

    def ask_payer(self, attempt: Attempt) -> None:
        """The provider wants the payer to act: 3-D Secure, a log-in, a PIN on the phone, a transfer."""
        self.wait(0.4, 0.9)
        if attempt.charge.status == Charge.Status.PROCESSING:
            self._move_charge(attempt.charge, Charge.Status.REQUIRES_ACTION)
        self._record(attempt, TransactionStatus.REQUIRES_ACTION)
        attempt.payment.next_action = attempt.charge.as_dict()["next_action"]
        by_bank = attempt.charge.method == Charge.Method.BANK_TRANSFER
        self.move(attempt.payment, Status.PENDING if by_bank else Status.REQUIRES_ACTION)

    def approve(self, attempt: Attempt) -> None:
        self._move_charge(attempt.charge, Charge.Status.PROCESSING)
        attempt.charge.approved = True
        self.wait(0.2, 0.6)
        self._process(attempt.payment, attempt.txn)

    def refuse(self, attempt: Attempt) -> None:
        """The payer said no on the provider's page, and came back."""
        self._process(attempt.payment, attempt.txn)
        self.fail(attempt, "authentication_failed")

    def succeed(self, attempt: Attempt) -> None:
        payment, charge = attempt.payment, attempt.charge
        self.wait(0.4, 0.9)
        self._move_charge(charge, Charge.Status.SUCCEEDED if charge.capture else Charge.Status.AUTHORIZED)
        charge.amount_captured = payment.amount_captured = charge.amount if charge.capture else 0
        self._record(attempt, TransactionStatus.SUCCEEDED)
        if charge.capture:
            self.books.capture(attempt.txn, self.clock)
            self.paid.append(attempt)
        self.move(payment, Status.COMPLETED if charge.capture else Status.AUTHORIZED)

    def fail(self, attempt: Attempt, code: str, decline_code: str = "") -> None:
        self.wait(0.4, 0.9)
        self._move_charge(attempt.charge, Charge.Status.FAILED)
        attempt.charge.failure_code, attempt.charge.decline_code = code, decline_code
        attempt.txn.failure_code, attempt.txn.provider_code = code, decline_code or code
        self._record(attempt, TransactionStatus.FAILED)
        attempt.payment.failure_code = code
        self.move(attempt.payment, Status.FAILED if attempt.txn.is_last_attempt else Status.PENDING)

    def _move_charge(self, charge: Charge, status: str) -> None:
        move_to(charge, status)
        charge.updated_at = self.clock

    def _process(self, payment: Payment, txn: Transaction) -> None:
        if payment.order_id:
            payment.order_key = order_key(payment.merchant_id, payment.order_id)
        move_to(txn, TransactionStatus.PROCESSING)
        txn.updated_at = self.clock
        self.move(payment, Status.PROCESSING)

    def _record(self, attempt: Attempt, status: str) -> None:
        """The provider's answer, as payments/services/outcomes.py keeps it."""
        txn, charge = attempt.txn, attempt.charge
        move_to(txn, status)
        txn.provider_reference, txn.provider_answer = charge.pk, charge.as_dict()
        txn.open_for = txn.payment_id if status == TransactionStatus.REQUIRES_ACTION else None
        txn.updated_at = self.clock

    def move(self, payment: Payment, status: str) -> None:
        """As move_payment() in payments/services/status.py, without a database."""
        move_to(payment, status)
        payment.next_action = payment.next_action if status in (Status.REQUIRES_ACTION, Status.PENDING) else None
        payment.order_key = payment.order_key if status in HOLDS_ORDER else None
        if status == Status.COMPLETED:
            payment.completed_at = payment.completed_at or self.clock
        if status == Status.AUTHORIZED:
            payment.expires_at = self.clock + AUTHORIZATION_LIFETIME
        payment.due_at = payment.expires_at if status in EXPIRES else None
        self.tell(payment, status)

    def cancel(self, payment: Payment, reason: str) -> None:
        payment.cancellation_reason = reason
        self.move(payment, Status.CANCELLED)

    # --- Writing it down ----------------------------------------------------------------------
    def save(self) -> None:
        """One insert a table. `updated_at` is now by itself (auto_now) and is put back."""
        tables: list[list[Any]] = [
            self.customers,
            self.payments,
            self.transactions,
            self.charges,
            self.events,
            self.refunds,
            self.operations,
            *self.books.tables,
            self.payouts,
            self.payout_lines,
            self.transfers,
        ]
        for rows in tables:
            model: Any = type(rows[0])
            stamps = [getattr(row, "updated_at", None) for row in rows]
            model.objects.bulk_create(rows)
            if stamps[0]:
                for row, stamp in zip(rows, stamps, strict=True):
                    row.updated_at = stamp
                model.objects.bulk_update(rows, ["updated_at"])
