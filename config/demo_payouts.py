"""Payouts of the sample history: on each day of its schedule the store's bank account got all that was available, as
ledger/services/schedules.py and payouts.py would have paid it."""

from collections.abc import Sequence
from datetime import timedelta

from config.demo_books import REST
from config.demo_history import History
from core.idempotency import fingerprint
from core.state import move_to
from ledger.balances import MARGIN, first_entry
from ledger.models import BankAccount, Entry, Payout, PayoutLine, PayoutStatus
from ledger.serializers import PayoutDetails
from ledger.services.bank_accounts import next_time
from ledger.services.payouts import CANCELLABLE_FOR, IN_TRANSIT_DELAYS, RETURN_DELAYS
from sandbox.models import Transfer

SCHEDULE_TURN = 30  # seconds between the looks at what is to be paid out (ledger/tasks.py)


def tell_payouts(history: History, account: BankAccount) -> None:
    """The last part of a history, for here weekdays count: it is the same for every end on the same one."""
    payouts = Payouts(history, account)
    entries = history.books.available(account.currency)
    due_at = next_time(account, account.created_at)
    while due_at is not None and due_at < history.end:
        history.clock = due_at
        history.wait(0.5, SCHEDULE_TURN)
        opened = [entry for entry in entries if entry.created_at <= history.clock]
        if -sum(entry.amount for entry in opened) >= max(account.minimum, 1):
            payouts.pay_out(opened)
            entries = entries[len(opened) :]
        due_at = next_time(account, due_at)


class Payouts:
    """The bank account's schedule and the sandbox's bank, at work."""

    def __init__(self, history: History, account: BankAccount) -> None:
        self.history, self.account = history, account

    def pay_out(self, entries: Sequence[Entry]) -> None:
        """Pays these entries out, all of each, and watches for a return for some days."""
        payout = self._create(entries)
        self._wait_a_turn(CANCELLABLE_FOR)
        self._move(payout, PayoutStatus.IN_TRANSIT)
        self.history.wait(0.02, 0.1)
        transfer = self._transfer(payout)
        self._wait_a_turn(IN_TRANSIT_DELAYS[0])
        move_to(transfer, Transfer.Status.PAID)
        transfer.attempts = 1
        self._move(payout, PayoutStatus.PAID)
        self._watch(payout)

    def _wait_a_turn(self, delay: timedelta) -> None:
        """The worker looks once a second."""
        self.history.wait(delay.total_seconds(), delay.total_seconds() + 1)

    # --- Its steps ----------------------------------------------------------------------------
    def _create(self, entries: Sequence[Entry]) -> Payout:
        """As create_payout() sets all that is available aside."""
        currency, now = self.account.currency, self.history.clock
        payout = Payout(
            id=self.history.new_id("po"),
            merchant=self.history.merchant,
            bank_account=self.account,
            amount=-sum(entry.amount for entry in entries),
            currency=currency,
            carrier="sandbox",
            settled_up_to=first_entry(now - MARGIN),
            is_scheduled=True,
            fingerprint=fingerprint({"payout": currency, "amount": None}),
            created_at=now,
            updated_at=now,
        )
        self.history.payouts.append(payout)
        self.history.payout_lines += [
            PayoutLine(id=self.history.new_id("pol"), payout=payout, entry=entry, amount=-entry.amount)
            for entry in entries
        ]
        self.history.books.payout_created(payout, now)
        self._tell(payout, "created")
        return payout

    def _transfer(self, payout: Payout) -> Transfer:
        """As the sandbox takes a transfer in (sandbox/transfers.py)."""
        terms = {"account": payout.merchant_id, "amount": payout.amount, "currency": payout.currency}
        last4 = self.account.last4
        transfer = Transfer(
            id=self.history.new_id("str"),
            key=payout.pk,
            last4=last4,
            fingerprint=fingerprint({**terms, "to": last4}),
            created_at=self.history.clock,
            **terms,
        )
        self.history.transfers.append(transfer)
        payout.carrier_reference = transfer.pk
        return transfer

    def _move(self, payout: Payout, status: str) -> None:
        """As move_payout() in ledger/services/payouts.py, without a database."""
        move_to(payout, status)
        now = payout.updated_at = self.history.clock
        if status == PayoutStatus.IN_TRANSIT:
            payout.sent_at = now
        else:
            payout.paid_at = now
            self.history.books.payout_paid(payout, now)
        self._tell(payout, status)

    def _watch(self, payout: Payout) -> None:
        """Whether the bank sends it back is asked a few times; the next one not before the day of seeding is over."""
        for delay in RETURN_DELAYS:
            if self.history.clock + delay >= self.history.end:
                payout.due_at = max(self.history.clock + delay, self.history.end + REST)
                return
            self._wait_a_turn(delay)
            payout.attempts += 1
            payout.updated_at = self.history.clock

    def _tell(self, payout: Payout, name: str) -> None:
        self.history.publish(f"payout.{name}", payout.pk, PayoutDetails(payout).data)
