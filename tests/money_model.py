"""What becomes of money, once more and in plain Python: integers and dictionaries, none of the product's code.

The first half says what an answer to somebody's request is, the second what follows from what a provider did. The
product chooses when it takes a provider's answer in; `money_watch` sees that it has, and tells the model.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

UNPAID = {"pending", "requires_action", "processing"}
HOLDS_ORDER = {"processing", "authorized", "completed", "refunded"}
RESERVED = {"requires_approval", "pending", "processing"}
LIFETIME, AUTHORIZATION_LIFETIME = timedelta(hours=24), timedelta(days=7)
MAX_ATTEMPTS = 5
CHARGES = {"sale", "authorization"}


class Disagreement(AssertionError):
    """The product and the model differ."""


def check(holds: bool, text: str) -> None:
    if not holds:
        raise Disagreement(text)


@dataclass(eq=False)
class Fee:
    payee: str
    method: str
    currency: str
    basis_points: int
    fixed: int

    def of(self, amount: int) -> int:
        """Half a unit is a whole one."""
        return (2 * amount * self.basis_points + 10_000) // 20_000 + self.fixed


@dataclass(eq=False)
class Shop:
    id: str
    currency: str
    delay: timedelta = timedelta(0)
    limit: int | None = None
    fees: list[Fee] = field(default_factory=list)

    def fee(self, method: str, currency: str, amount: int) -> int:
        """All fees of a capture. The rule of a method goes before the rule of all methods."""
        total = 0
        for payee in ("provider", "platform"):
            rules = {fee.method: fee for fee in self.fees if (fee.payee, fee.currency) == (payee, currency)}
            rule = rules.get(method) or rules.get("")
            total += rule.of(amount) if rule else 0
        return min(total, amount)


@dataclass(eq=False)
class Payment:
    id: str
    shop: Shop
    amount: int
    currency: str
    manual: bool
    order: str | None
    expires: tuple[datetime, datetime]  # not before the one, surely after the other
    method: str = ""
    status: str = "pending"
    attempts: int = 0
    captured: int = 0
    refunded: int = 0
    aside: int = 0
    before: str = ""  # it was refunded
    surplus_due: bool = False
    hold: "Txn | None" = None  # what reserves its money

    @property
    def left(self) -> int:
        return self.captured - self.refunded - self.aside


@dataclass(eq=False)
class Txn:
    id: str
    payment: Payment
    kind: str
    amount: int
    method: str
    last_try: bool = False
    status: str = "pending"
    taken: int = 0
    surplus: bool = False  # it took what may not stay
    decides: bool = True  # a void that releases what came too late decides nothing

    @property
    def is_open(self) -> bool:
        return self.status in UNPAID


@dataclass(eq=False)
class Refund:
    id: str
    payment: Payment
    charge: Txn
    amount: int
    status: str
    surplus: bool = False
    key: str = ""  # of its transaction
    reference: str = ""
    by: str = ""  # who made the key that asked


@dataclass(eq=False)
class Settlement:
    payment: Payment
    amount: int
    due: tuple[datetime, datetime]
    done: bool = False


@dataclass(eq=False)
class Elsewhere:
    """A refund made in the provider's dashboard. One that waits for room may not fit yet; one for which there was too
    little at some time, whatever became of the refunds that were on their way, may be left to a person."""

    charge: Txn
    amount: int
    always_fitted: bool = True
    fits: bool = True


class Model:
    def __init__(self, shops: list[Shop]) -> None:
        self.shops = shops
        self.payments: dict[str, Payment] = {}
        self.txns: dict[str, Txn] = {}
        self.refunds: dict[str, Refund] = {}
        self.settlements: dict[str, Settlement] = {}
        self.orders: dict[tuple[str, str], Payment] = {}
        self.elsewhere: dict[str, Elsewhere] = {}
        self.accounts: Counter[tuple[str, str, str]] = Counter()  # (shop, currency, account): debit above zero
        self.new_txns: list[Txn] = []  # predicted; their rows are not seen yet
        self.new_refunds: list[Refund] = []
        self.window = (datetime.min, datetime.min)  # noqa: DTZ901 when the last step began and ended

    # --- What people ask for: an error code, or "" and what it leads to ---------------------------
    def order_is_paid(self, shop: Shop, order: str | None) -> bool:
        holder = self.orders.get((shop.id, order or ""))
        return order is not None and holder is not None and holder.status != "processing"

    def create(self, payment: Payment, *, by_card: bool) -> None:
        self.payments[payment.id] = payment
        payment.expires = self.until(LIFETIME)
        if by_card:
            payment.attempts = 1
            self.open_charge(payment, last_try=True)

    def open_charge(self, payment: Payment, *, last_try: bool) -> None:
        kind = "authorization" if payment.manual else "sale"
        self.new_txns.append(Txn("", payment, kind, payment.amount, payment.method, last_try))

    def attempt(self, payment: Payment, seen: int, method: str, now: datetime) -> str:
        txn = self.open_txn(payment)
        if seen != payment.attempts or (txn and txn.status != "requires_action"):
            return ""
        if payment.status != "pending" or now >= payment.expires[0]:
            return "not_payable"
        self._drop(txn)
        payment.attempts += 1
        payment.method = method
        self.open_charge(payment, last_try=payment.attempts >= MAX_ATTEMPTS)
        return ""

    def cancel(self, payment: Payment) -> str:
        txn = self.open_txn(payment)
        if payment.status == "authorized":
            if txn:
                return "payment_in_flight"
            self.new_txns.append(Txn("", payment, "void", payment.amount, ""))
            return ""
        if txn and txn.status == "processing":
            return "payment_in_flight"
        if payment.status not in UNPAID:
            return "illegal_transition"
        self._drop(txn)
        self._move(payment, "cancelled")
        return ""

    def capture(self, payment: Payment, amount: int) -> str:
        if payment.status != "authorized":
            return "payment_not_authorized"
        if self.open_txn(payment):
            return "payment_in_flight"
        if amount > payment.amount:
            return "capture_too_large"
        self.new_txns.append(Txn("", payment, "capture", amount, payment.hold.method if payment.hold else ""))
        return ""

    def refund(self, payment: Payment, amount: int | None, by: str) -> str:
        theirs = [(txn, left) for txn, left in self.charges(payment) if not (txn.surplus and payment.surplus_due)]
        if payment.status != "completed" and not theirs:
            return "payment_not_refundable"
        amount = theirs[0][1] if amount is None and theirs else amount
        charge = next((txn for txn, left in theirs if amount and left >= amount), None)
        if charge is None or not amount:
            return "refund_too_large"
        shop = payment.shop
        back = payment.refunded + payment.aside + amount
        asks = shop.limit is not None and (payment.currency != shop.currency or back > shop.limit)
        self.new_refunds.append(Refund("", payment, charge, amount, "requires_approval" if asks else "pending", by=by))
        return ""

    def approve(self, refund: Refund, by: str) -> str:
        if refund.by == by:
            return "approval_not_yours"
        if refund.status != "requires_approval":
            return "illegal_transition"
        refund.status = "pending"
        return ""

    def cancel_refund(self, refund: Refund) -> str:
        if refund.surplus:
            return "refund_of_surplus"
        if refund.status == "processing":
            return "refund_under_way"
        if refund.status not in RESERVED:
            return "illegal_transition"
        self.undo(refund)
        refund.status = "cancelled"
        return ""

    # --- What there is ------------------------------------------------------------------------
    def open_txn(self, payment: Payment) -> Txn | None:
        """What is in flight, or waits for the payer: one at most."""
        rows = [txn for txn in self.txns.values() if txn.payment is payment and txn.is_open and txn.decides]
        return rows[-1] if rows else None

    def charges(self, payment: Payment) -> list[tuple[Txn, int]]:
        """What took the payment's money, with what is left on each: what may stay, then surplus, the newest first."""
        rows = [txn for txn in reversed(self.txns.values()) if txn.payment is payment and txn.taken]
        rows.sort(key=lambda txn: txn.surplus)
        return [(txn, left) for txn in rows if (left := txn.taken - self._back(txn)) > 0]

    def _back(self, charge: Txn) -> int:
        """What was given back of it, or is on its way."""
        return self.refunded(charge, RESERVED | {"succeeded"})

    def refunded(self, charge: Txn, statuses: set[str]) -> int:
        rows = [it for it in self.refunds.values() if it.charge is charge and it.status in statuses]
        return sum(it.amount for it in rows)

    # --- What follows from what a provider did ------------------------------------------------------
    def begin(self, txn: Txn) -> None:
        check(self.is_free(txn.payment), f"{txn.id} was begun, and another payment holds the order")
        self._move(txn.payment, "processing")

    def payer_acted(self, payment: Payment) -> None:
        """When another payment holds the order, the outcome decides."""
        if payment.status in ("pending", "requires_action") and self.is_free(payment):
            self._move(payment, "processing")

    def wait_for_payer(self, txn: Txn) -> None:
        self._move(txn.payment, "pending" if txn.method == "bank_transfer" else "requires_action")

    def refuse_order(self, payment: Payment) -> None:
        check(self.order_is_paid(payment.shop, payment.order), f"{payment.id} was refused, its order is not paid")
        self._move(payment, "failed")

    def decline(self, txn: Txn) -> None:
        if txn.payment.status in UNPAID:
            self._move(txn.payment, "failed" if txn.last_try else "pending")

    def charge(self, txn: Txn) -> None:
        """The provider has taken the money, or reserved it; it stays where it may."""
        payment, sale = txn.payment, txn.kind == "sale"
        if sale:
            self.take(txn, txn)
        stays = payment.status in UNPAID or (sale and payment.status == "failed")
        if stays and self.is_free(payment):
            self._move(payment, "completed" if sale else "authorized")
            payment.hold = None if sale else txn
            beside = self.open_txn(payment)
            self._drop(beside if beside and beside.status != "processing" else None)
            payment.expires = self.until(AUTHORIZATION_LIFETIME)
            return
        if payment.status in UNPAID:
            self._move(payment, "failed")
        txn.surplus, payment.surplus_due = sale, payment.surplus_due or sale
        if not sale:
            self.new_txns.append(Txn("", payment, "void", txn.amount, txn.method, decides=False))

    def capture_of(self, txn: Txn) -> None:
        payment = txn.payment
        check(payment.hold is not None, f"{txn.id} captured what nothing held")
        if payment.hold is not None:
            self.take(txn, payment.hold)
        self._move(payment, "completed")

    def take(self, txn: Txn, charge: Txn) -> None:
        """Into the books: the money, its fees, and when the rest is to become available."""
        payment = txn.payment
        fee = payment.shop.fee(charge.method, payment.currency, txn.amount)
        charge.taken += txn.amount
        payment.captured += txn.amount
        self.post(payment, txn.amount, "provider_receivable", "merchant_pending")
        self.post(payment, fee, "merchant_pending", "fees")
        if txn.amount > fee:
            self.settlements[txn.id] = Settlement(payment, txn.amount - fee, self.until(payment.shop.delay))

    def release(self, txn: Txn) -> None:
        if txn.decides:
            self._move(txn.payment, "cancelled")

    def settle(self, settlement: Settlement) -> None:
        settlement.done = True
        self.post(settlement.payment, settlement.amount, "merchant_pending", "merchant_available")

    def set_aside(self, refund: Refund) -> None:
        self.refunds[refund.id] = refund
        refund.payment.aside += refund.amount
        self.post(refund.payment, refund.amount, "merchant_available", "refund_clearing")

    def give_back(self, refund: Refund) -> None:
        payment = refund.payment
        payment.aside -= refund.amount
        payment.refunded += refund.amount
        self.post(payment, refund.amount, "refund_clearing", "provider_receivable")
        if self.is_given_back(payment) and payment.status in ("completed", "failed", "cancelled"):
            payment.before = payment.status
            self._move(payment, "refunded")

    def is_given_back(self, payment: Payment) -> bool:
        """The charge that completed it, or all there is when none ever did."""
        charges = [txn for txn in self.txns.values() if txn.payment is payment and txn.taken]
        own = [txn for txn in charges if not txn.surplus]
        return all(self.refunded(txn, {"succeeded"}) == txn.taken for txn in own or charges)

    def comes_back(self, refund: Refund) -> None:
        """A refund that had succeeded failed: its payment may be what it was before."""
        payment = refund.payment
        payment.refunded -= refund.amount
        self.post(payment, refund.amount, "provider_receivable", "merchant_available")
        self.again(refund)
        if payment.status == "refunded" and not self.is_given_back(payment):
            self._move(payment, payment.before)

    def undo(self, refund: Refund) -> None:
        refund.payment.aside -= refund.amount
        self.post(refund.payment, refund.amount, "refund_clearing", "merchant_available")
        self.again(refund)

    def again(self, refund: Refund) -> None:
        """What may not stay goes back by itself, once more only when somebody had asked for this refund."""
        payment = refund.payment
        payment.surplus_due = payment.surplus_due or (refund.charge.surplus and not refund.surplus)

    # --- The small steps ------------------------------------------------------------------------
    def is_free(self, payment: Payment) -> bool:
        return payment.order is None or self.orders.get((payment.shop.id, payment.order)) in (None, payment)

    def _move(self, payment: Payment, status: str) -> None:
        """Keeps in step who holds the order: one payment, while it is in flight, and for ever when it has paid."""
        if payment.order is not None and (status in HOLDS_ORDER - {"refunded"}):
            self.orders[payment.shop.id, payment.order] = payment
        elif status not in HOLDS_ORDER and self.orders.get((payment.shop.id, payment.order or "")) is payment:
            del self.orders[payment.shop.id, payment.order or ""]
        payment.status = status

    def _drop(self, txn: Txn | None) -> None:
        if txn is not None:
            txn.status = "cancelled"

    def post(self, payment: Payment, amount: int, debit: str, credit: str) -> None:
        self.accounts[payment.shop.id, payment.currency, debit] += amount
        self.accounts[payment.shop.id, payment.currency, credit] -= amount

    def until(self, wait: timedelta) -> tuple[datetime, datetime]:
        """A wait that began somewhere in the step."""
        return self.window[0] + wait, self.window[1] + wait
