"""Refunds of the sample history: some of what was paid goes back, hours or days later, as refunds/services would have
done it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from accounts.models import User
from config.demo_catalogue import FULL_REFUNDS, MARKET_OF, PARTIAL_REFUNDS, PERCENT, REFUNDED
from config.demo_history import Attempt, History
from core.idempotency import fingerprint
from core.state import can_move, move_to
from payments.models import Status as PaymentStatus
from payments.models import Transaction, TransactionKind, TransactionStatus
from refunds.models import RESERVED, Refund, Status
from refunds.serializers import RefundDetails
from sandbox.models import Charge, Operation
from sandbox.services import REFUND_FAILS_SECONDS

SOONEST, LATEST = timedelta(hours=2), timedelta(days=9)  # from the payment to its refund
LONGEST = timedelta(minutes=1)  # from the request to the outcome


def tell_refunds(history: History, team: Sequence[User]) -> None:
    """Gives some payments back, and all whose card takes no money back; for every end the same, but for the time."""
    refunds = Refunds(history, team)
    for attempt in history.paid:
        history.clock = attempt.txn.updated_at
        history.wait(SOONEST.total_seconds(), LATEST.total_seconds())
        chosen = history.random.randrange(100) < REFUNDED or _behaviour(attempt.charge) == "fails_later"
        if chosen and history.clock < history.end - LONGEST:
            refunds.give_back(attempt)


def _behaviour(charge: Charge) -> str:
    """What becomes of a refund, in the words of sandbox/cards.py: banks and phones are slow."""
    return charge.card.refund if charge.card else "pending"


class Refunds:
    """Those who refund, at work."""

    def __init__(self, history: History, team: Sequence[User]) -> None:
        self.history, self.team = history, team

    def give_back(self, attempt: Attempt) -> None:
        """All of it or a part, from the request to the outcome."""
        payment, percent = attempt.payment, self.history.pick(PERCENT)
        if percent == 100:
            refund, txn = self._ask_for(attempt, None, *self.history.pick(FULL_REFUNDS))
        else:
            part = MARKET_OF[payment.currency].share_of(payment.amount, percent)
            refund, txn = self._ask_for(attempt, part, *self.history.pick(PARTIAL_REFUNDS))
        self.history.wait(0.05, 0.25)
        self._begin(refund, txn)
        self.history.wait(0.02, 0.1)
        self._carry_out(refund, txn, attempt.charge)

    def _carry_out(self, refund: Refund, txn: Transaction, charge: Charge) -> None:
        operation = self._operate(charge, txn)
        if operation.status == Operation.Status.PENDING:
            self._conclude(operation, Operation.Status.SUCCEEDED)
            self._record(refund, txn, operation)
            return
        self._record(refund, txn, operation)
        self.history.wait(0.2, 0.8)
        txn.updated_at = self.history.clock  # the provider was asked once more, for it had told of the success
        if _behaviour(charge) == "fails_later":
            self.history.wait(REFUND_FAILS_SECONDS - 0.2, REFUND_FAILS_SECONDS)
            self._conclude(operation, Operation.Status.FAILED)
            txn.attempts += 1
            self._record(refund, txn, operation)

    # --- Its steps ----------------------------------------------------------------------------
    def _ask_for(self, attempt: Attempt, part: int | None, reason: str, note: str) -> tuple[Refund, Transaction]:
        """As create_refund() sets `part`, minor units, or all that was paid aside."""
        payment, now = attempt.payment, self.history.clock
        fields = {"reason": str(reason), **({"note": note} if note else {})}
        refund = Refund(
            id=self.history.new_id("re"),
            merchant=self.history.merchant,
            payment=payment,
            charge=attempt.txn,
            amount=part or payment.amount,
            currency=payment.currency,
            requested_by=self.history.random.choice(self.team),
            fingerprint=fingerprint({"payment": payment.pk, "amount": part, **fields}),
            created_at=now,
            updated_at=now,
            **fields,
        )
        refund.transaction = txn = self._transaction(attempt.txn, refund.amount)
        self._reserve(refund)
        return refund, txn

    def _reserve(self, refund: Refund) -> None:
        """As reserve() in refunds/services/status.py."""
        refund.payment.amount_refund_pending += refund.amount
        refund.payment.updated_at = self.history.clock
        self.history.refunds.append(refund)
        self.history.books.refund_reserved(refund, self.history.clock)
        self._tell(refund, "created", actor=str(refund.requested_by_id))

    def _transaction(self, charge: Transaction, amount: int) -> Transaction:
        txn = Transaction(
            id=self.history.new_id("txn"),
            charge=charge,
            kind=TransactionKind.REFUND,
            amount=amount,
            payment=charge.payment,
            merchant_id=charge.merchant_id,
            currency=charge.currency,
            method=charge.method,
            provider=charge.provider,
            attempts=2,  # asked for, then asked about when the provider told that it is done
            created_at=self.history.clock,
        )
        self.history.transactions.append(txn)
        return txn

    def _begin(self, refund: Refund, txn: Transaction) -> None:
        move_to(txn, TransactionStatus.PROCESSING)
        txn.updated_at = self.history.clock
        self._move(refund, Status.PROCESSING)

    def _operate(self, charge: Charge, txn: Transaction) -> Operation:
        """As the sandbox takes a refund in (sandbox/services.py)."""
        slow = _behaviour(charge) == "pending"
        terms: dict[str, Any] = {"kind": Operation.Kind.REFUND, "charge": charge.pk, "amount": txn.amount}
        operation = Operation(
            id=self.history.new_id("sre"),
            key=txn.pk,
            fingerprint=fingerprint(terms),
            charge=charge,
            kind=Operation.Kind.REFUND,
            amount=txn.amount,
            currency=txn.currency,
            status=Operation.Status.PENDING if slow else Operation.Status.SUCCEEDED,
            created_at=self.history.clock,
            updated_at=self.history.clock,
        )
        charge.amount_refunded += operation.amount
        self.history.operations.append(operation)
        return operation

    def _conclude(self, operation: Operation, status: Operation.Status) -> None:
        """What the sandbox does later, which we hear of a moment after that."""
        self.history.wait(0.4, 0.5)
        move_to(operation, status)
        operation.attempts, operation.updated_at = 1, self.history.clock
        if status == Operation.Status.FAILED:
            operation.failure_code = "refund_failed"
            operation.charge.amount_refunded -= operation.amount
        self.history.wait(0.2, 0.8)

    def _record(self, refund: Refund, txn: Transaction, operation: Operation) -> None:
        """The provider's answer, as settle() in refunds/services/outcomes.py keeps it."""
        txn.provider_reference, txn.provider_answer = operation.pk, operation.as_dict()
        txn.failure_code = txn.provider_code = refund.failure_code = operation.failure_code
        txn.status = operation.status  # past the table of transactions: only a refund may fail after its success
        txn.updated_at = self.history.clock
        self._move(refund, operation.status)

    def _move(self, refund: Refund, status: str) -> None:
        """As move_refund() in refunds/services/status.py, without a database."""
        payment, books, now = refund.payment, self.history.books, self.history.clock
        was_reserved, had_succeeded = refund.status in RESERVED, refund.status == Status.SUCCEEDED
        move_to(refund, status)
        refund.updated_at = payment.updated_at = now
        if was_reserved and status not in RESERVED:
            payment.amount_refund_pending -= refund.amount
        if status == Status.SUCCEEDED:
            payment.amount_refunded += refund.amount
            books.refund_succeeded(refund, now)
        elif had_succeeded:
            payment.amount_refunded -= refund.amount
            books.refund_undone(refund, now)
        self._tell(refund, status)
        in_full = payment.amount_captured == payment.amount_refunded
        target = PaymentStatus.REFUNDED if in_full else PaymentStatus.COMPLETED
        if can_move(payment, target):
            self.history.wait(0.001, 0.004)  # so that its event sorts behind that of the refund
            self.history.move(payment, target)

    def _tell(self, refund: Refund, name: str, *, actor: str = "") -> None:
        self.history.publish(f"refund.{name}", refund.pk, RefundDetails(refund).data, actor=actor)
