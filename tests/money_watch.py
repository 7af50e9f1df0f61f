"""Holds the product's rows against the model (`money_model`), and the model against the provider's books.

`take_in()` sees which rows have moved on since it last looked. It refuses a move that the provider's books do not bear
out, tells the model of all others, and then everything must be equal: payments, refunds and every account. At rest
there may be nothing left to take in.
"""

from collections import Counter
from datetime import datetime
from typing import Any

from django.db.models import Model as Table
from django.db.models import Sum

from accounts.models import Merchant
from core.queue import late_rows
from ledger.balances import balances
from ledger.models import Entry, Settlement
from payments.models import Payment, Transaction
from refunds.models import Refund
from sandbox.models import Charge, Operation
from tests import money_model as model
from tests.books import disagreements
from tests.money_model import CHARGES, UNPAID, Model, Txn, check

# What a transaction may say while the provider's charge stands like that.
SAYS = {
    Charge.Status.REQUIRES_ACTION: "requires_action",
    Charge.Status.AWAITING_TRANSFER: "requires_action",
    Charge.Status.AUTHORIZED: "succeeded",
    Charge.Status.SUCCEEDED: "succeeded",
    Charge.Status.FAILED: "failed",
    Charge.Status.CANCELLED: "succeeded",  # an authorization that was released
}
IN_FLIGHT = {"pending", "processing"}
Rows = dict[str, Any]
MOVES = {
    "pending": {"processing", "requires_action", "succeeded", "failed"},
    "processing": {"requires_action", "succeeded", "failed", "cancelled"},
    "requires_action": {"processing", "succeeded", "failed"},
    "failed": {"succeeded"},
    "cancelled": {"succeeded"},
}
REFUND_MOVES = {
    "pending": {"processing", "succeeded", "failed"},
    "processing": {"succeeded", "failed"},
    "succeeded": {"failed"},
}
BALANCE = {
    "pending": ["merchant_pending"],
    "available": ["merchant_available"],
    "reserved": ["refund_clearing", "payout_clearing"],
}


class Seen:
    """Everybody's rows as they were when last looked at, by their ids; only tables that were written to are read."""

    COLUMNS: dict[str, tuple[type[Table], tuple[str, ...]]] = {
        "payments": (
            Payment,
            ("pk", "status", "amount_captured", "amount_refunded", "amount_refund_pending", "surplus_due_at"),
        ),
        "txns": (Transaction, ("pk", "status", "payment_id", "kind", "amount")),
        "refunds": (
            Refund,
            (
                "pk",
                "status",
                "payment_id",
                "charge_id",
                "amount",
                "is_surplus",
                "transaction_id",
                "transaction__status",
                "transaction__provider_reference",
            ),
        ),
        "settlements": (Settlement, ("capture__source_id", "due_at")),
        "charges": (Charge, ("key", "pk", "status", "amount_captured")),
        "operations": (Operation, ("pk", "key", "kind", "amount", "status")),
    }
    payments: Rows
    txns: Rows
    refunds: Rows
    settlements: Rows
    charges: Rows
    operations: Rows

    def __init__(self) -> None:
        self.look(None)

    def look(self, written: set[str] | None) -> bool:
        """Reads what was written to, all of it when `written` is None. Answers whether anything is new."""
        new = False
        for name, (table, columns) in self.COLUMNS.items():
            tables = {table._meta.db_table} | ({"payments_transaction"} if table is Refund else set())
            if written is None or written & tables:
                rows = table.objects.order_by("pk").values_list(*columns)
                found = {key: tuple(row) for key, *row in rows if name != "txns" or row[2] != "refund"}
                new = new or found != getattr(self, name, None)
                setattr(self, name, found)
        self.done = {key: row for key, *row in self.operations.values()}
        return new


class Watch:
    def __init__(self, ours: Model) -> None:
        self.model = ours
        self.seen = Seen()
        self.unverified = True  # something that the ledger or the model speaks of has changed

    def take_in(self, begun: datetime, now: datetime, written: set[str]) -> None:
        """Between the two times the rows of the tables that were `written` to moved on."""
        self.model.window = (begun, now)
        booked = any(table.startswith("ledger_") for table in written)
        new = self.seen.look(written) or bool(self.model.new_txns or self.model.new_refunds)
        self.unverified = self.unverified or booked or new
        if new:
            self._bring_in(now)

    def _bring_in(self, now: datetime) -> None:
        self._expiries(now)
        for key, row in self.seen.txns.items():
            self._transaction(key, *row)
        check(not self.model.new_txns, f"no row was made for {self.model.new_txns}")
        for key, row in self.seen.refunds.items():
            self._refund(key, *row)
        check(not self.model.new_refunds, f"no row was made for {self.model.new_refunds}")
        self._settlements(now)
        self._surpluses()
        self._elsewhere()
        self._compare()

    # --- What has moved on --------------------------------------------------------------------------
    def _expiries(self, now: datetime) -> None:
        """Nobody paid in time. What was reserved is released by a void of its own."""
        for key, payment in self.model.payments.items():
            late = now >= payment.expires[0]
            if late and payment.status in UNPAID and self.seen.payments[key][0] == "cancelled":
                check(self.model.cancel(payment) == "", f"{key} expired while it was in flight")
            asked = [txn for txn in self.model.new_txns if txn.payment is payment]
            if late and payment.status == "authorized" and not asked and not self.model.open_txn(payment):
                new = [row for pk, row in self.seen.txns.items() if pk not in self.model.txns]
                if any(row[1:3] == (key, "void") for row in new):
                    self.model.cancel(payment)

    def _transaction(self, key: str, status: str, payment_id: str, kind: str, amount: int) -> None:
        txn = self.model.txns.get(key)
        if txn is None:
            txn = self._new_transaction(key, payment_id, kind, amount)
        if status != txn.status:
            check(status in MOVES.get(txn.status, ()), f"{kind} {key} went from {txn.status} to {status}")
            move = self._charge_moved if kind in CHARGES else self._operation_moved
            move(txn, status)

    def _new_transaction(self, key: str, payment_id: str, kind: str, amount: int) -> Txn:
        found = [it for it in self.model.new_txns if (it.payment.id, it.kind, it.amount) == (payment_id, kind, amount)]
        check(bool(found), f"nobody asked for {kind} {key} of {amount} of {payment_id}")
        self.model.new_txns.remove(found[0])
        found[0].id = key
        self.model.txns[key] = found[0]
        return found[0]

    def _charge_moved(self, txn: Txn, status: str) -> None:
        was, payment = txn.status, txn.payment
        txn.status = status
        if was == "pending" and status == "failed" and txn.id not in self.seen.charges:
            self.model.refuse_order(payment)
            return
        if status == "cancelled":
            self._given_up(txn, was)
            return
        self._borne_out(txn, status)
        if was == "pending":
            self.model.begin(txn)
        elif status == "processing":
            self.model.payer_acted(payment)
        if status == "requires_action":
            self.model.wait_for_payer(txn)
        elif status == "succeeded":
            self.model.charge(txn)
        elif status == "failed":
            self.model.decline(txn)

    def _given_up(self, txn: Txn, was: str) -> None:
        """Its payer would have to act, and the payment has been decided meanwhile."""
        theirs = SAYS.get(self.seen.charges[txn.id][1]) if txn.id in self.seen.charges else None
        decided = txn.payment.status not in UNPAID
        check((was, theirs) == ("processing", "requires_action") and decided, f"{txn.id} was given up")

    def _borne_out(self, txn: Txn, status: str) -> None:
        """We may not know yet; what we say that we know is what the provider says."""
        if status == "processing":
            return
        check(txn.id in self.seen.charges, f"{txn.id} is {status}, the provider knows nothing of it")
        _pk, theirs, captured = self.seen.charges[txn.id]
        check(SAYS.get(theirs) == status, f"{txn.id} is {status}, the provider says {theirs}")
        if status == "succeeded" and txn.kind == "sale":
            check(captured == txn.amount, f"{txn.id} took {txn.amount}, the provider {captured}")

    def _operation_moved(self, txn: Txn, status: str) -> None:
        txn.status = status
        if status == "processing":
            return
        theirs = self.seen.done.get(txn.id)
        check(theirs == [txn.kind, txn.amount, status], f"{txn.id} is {status}, the provider says {theirs}")
        if status == "succeeded":
            follow = self.model.capture_of if txn.kind == "capture" else self.model.release
            follow(txn)

    def _refund(
        self, key: str, status: str, payment_id: str, charge: str, amount: int, surplus: bool, txn: str, *theirs: str
    ) -> None:
        refund = self.model.refunds.get(key)
        if refund is None:
            refund = self._new_refund(payment_id, charge, amount, surplus, reference=theirs[1])
            refund.id = key
            self.model.set_aside(refund)
        check(refund.charge.id == charge, f"{key} is of charge {charge}, not of {refund.charge.id}")
        refund.key, refund.reference = txn or "", theirs[1] or ""
        check(theirs[0] in (None, status), f"{key} is {status}, its transaction {theirs[0]}")
        if status != refund.status:
            check(status in REFUND_MOVES.get(refund.status, ()), f"{key} went from {refund.status} to {status}")
            self._refund_moved(refund, status)

    def _new_refund(self, payment_id: str, charge: str, amount: int, surplus: bool, reference: str) -> model.Refund:
        payment = self.model.payments[payment_id]
        for asked in self.model.new_refunds:
            if (asked.payment, asked.amount, surplus) == (payment, amount, False):
                self.model.new_refunds.remove(asked)
                return asked
        if surplus:
            return self._surplus_refund(payment, charge, amount)
        elsewhere = self.model.elsewhere.get(reference)
        check(elsewhere is not None and elsewhere.amount == amount, f"nobody gave {amount} of {payment_id} back")
        return model.Refund("", payment, self.model.txns[charge], amount, "pending")

    def _surplus_refund(self, payment: model.Payment, charge: str, amount: int) -> model.Refund:
        surplus = {txn.id: (txn, left) for txn, left in self.model.charges(payment) if txn.surplus}
        check(payment.surplus_due and charge in surplus, f"{payment.id} gives {amount} back, it has no surplus")
        txn, left = surplus[charge]
        check(amount == left, f"{payment.id} gives {amount} back, its surplus is {left}")
        return model.Refund("", payment, txn, amount, "pending", surplus=True)

    def _refund_moved(self, refund: model.Refund, status: str) -> None:
        was = refund.status
        refund.status = status
        if status == "processing":
            return
        theirs = self._of_refund(refund)
        check(theirs == ["refund", refund.amount, status], f"{refund.id} is {status}, the provider says {theirs}")
        if status == "succeeded":
            self.model.give_back(refund)
        elif was == "succeeded":
            self.model.comes_back(refund)
        else:
            self.model.undo(refund)

    def _of_refund(self, refund: model.Refund) -> list[Any] | None:
        """The operation with our key, or the one made elsewhere that became this refund."""
        if refund.key in self.seen.done:
            return self.seen.done[refund.key]
        row = self.seen.operations.get(refund.reference)
        return list(row[1:]) if row else None

    def _settlements(self, now: datetime) -> None:
        check(self.seen.settlements.keys() == self.model.settlements.keys(), "other money settles than was captured")
        for key, (due_at,) in self.seen.settlements.items():
            settlement = self.model.settlements[key]
            if due_at is None and not settlement.done:
                check(now >= settlement.due[0], f"the money of {key} settled too early")
                self.model.settle(settlement)

    def _surpluses(self) -> None:
        for key, row in self.seen.payments.items():
            payment = self.model.payments[key]
            if payment.surplus_due and row[4] is None:
                left = [txn.id for txn, _left in self.model.charges(payment) if txn.surplus]
                check(not left, f"{key} is done with its surplus, there is some left of {left}")
                payment.surplus_due = False
            check(payment.surplus_due == (row[4] is not None), f"{key} has a surplus that it should not have")

    def _elsewhere(self) -> None:
        for it in self.model.elsewhere.values():
            left = dict(self.model.charges(it.charge.payment)).get(it.charge, 0)
            it.fits = left >= it.amount
            on_their_way = self.model.refunded(it.charge, model.RESERVED)
            it.always_fitted = it.always_fitted and left + on_their_way >= it.amount

    # --- What must be equal -------------------------------------------------------------------------
    def _compare(self) -> None:
        ours = {it.id: (it.status, it.captured, it.refunded, it.aside) for it in self.model.payments.values()}
        rows = {key: row[:4] for key, row in self.seen.payments.items()}
        check(ours == rows, f"payments: {[(ours.get(key), row) for key, row in rows.items() if ours.get(key) != row]}")
        # Refunds and transactions have been brought in step one by one; none may be missing.
        check(self.model.refunds.keys() == self.seen.refunds.keys(), "there are other refunds than the model's")
        check(self.model.txns.keys() == self.seen.txns.keys(), "there are other transactions than the model's")

    def compare_books(self) -> None:
        """Every account, and the balances as their merchants read them."""
        sums = Entry.objects.order_by().values_list("merchant_id", "currency", "account").annotate(Sum("amount"))
        booked = {(shop, currency, account): amount for shop, currency, account, amount in sums if amount}
        ours = {account: amount for account, amount in self.model.accounts.items() if amount}
        check(booked == ours, f"the books say {booked}, the model {ours}")
        for shop in self.model.shops:
            for currency, balance in balances(Merchant(pk=shop.id)).items():
                told = {name: getattr(balance, name).amount for name in BALANCE}
                held = {name: -sum(ours.get((shop.id, currency, it), 0) for it in BALANCE[name]) for name in BALANCE}
                check(told == held, f"the balance of {shop.id} is {told}, the model's {held}")

    # --- At rest ----------------------------------------------------------------------------------
    def check_rest(self, now: datetime) -> None:
        """All jobs are done and the provider answers: what there is to know, we know."""
        for txn in self.model.txns.values():
            self._check_known(txn)
        for refund in self.model.refunds.values():
            self._check_refunded(refund)
        for key, settlement in self.model.settlements.items():
            check(settlement.done or now < settlement.due[1], f"the money of {key} has not settled")
        for payment in self.model.payments.values():
            self._check_over(payment, now)
        left = Counter(text for text in disagreements() if not any(key in text for key in self.unexplained()))
        check(not left, f"our rows and the provider's books: {list(left)}")
        stuck = {name: rows for name, rows in late_rows(now).items() if rows and name != "Email"}
        check(not stuck, f"stuck: {stuck}")

    def _check_known(self, txn: Txn) -> None:
        if txn.kind not in CHARGES:
            check(txn.status in ("succeeded", "failed"), f"{txn.kind} {txn.id} is {txn.status} at rest")
            return
        _pk, theirs, _captured = self.seen.charges.get(txn.id, ("", "", 0))
        known = SAYS.get(theirs, theirs or "failed")
        given_up = txn.status == "cancelled" and known != "succeeded"
        check(txn.status == known or given_up, f"{txn.id} is {txn.status} at rest, the provider says {theirs}")

    def _check_refunded(self, refund: model.Refund) -> None:
        theirs = self._of_refund(refund)
        known = theirs[2] if theirs else refund.status
        check(refund.status == known, f"{refund.id} is {refund.status} at rest, the provider says {theirs}")
        check(refund.status not in IN_FLIGHT, f"{refund.id} is {refund.status} at rest")

    def _check_over(self, payment: model.Payment, now: datetime) -> None:
        expired = now >= payment.expires[1] and payment.status in {*UNPAID, "authorized"}
        check(not expired, f"{payment.id} is {payment.status} and has expired")
        check(payment.status != "processing", f"{payment.id} is processing at rest")
        check(not payment.surplus_due, f"{payment.id} has a surplus at rest")

    def unexplained(self) -> set[str]:
        """Refunds made elsewhere that are left to a person, or wait for room, by id and key."""
        known = {refund.reference for refund in self.model.refunds.values()}
        unknown = {key: it for key, it in self.model.elsewhere.items() if key not in known}
        for key, it in unknown.items():
            missed = it.always_fitted and it.fits and self.seen.operations[key][3] == "succeeded"
            check(not missed, f"the refund {key} that was made elsewhere did not come to us")
        return set(unknown) | {self.seen.operations[key][0] for key in unknown}
