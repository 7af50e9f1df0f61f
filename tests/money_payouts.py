"""The machine pays out as well: what is available goes to the merchants' banks, and now and then comes back."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.test.client import Client
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from accounts.models import Merchant, User
from ledger.models import BankAccount, Payout
from ledger.services import payouts as services
from sandbox.models import Transfer
from tests import money_model as model
from tests.money_choices import EXPONENTS, deaths, major, numbers, parts, share
from tests.money_machine import MoneyMachine
from tests.money_model import check
from tests.money_tools import code_of, pick

# By number of the merchant and currency: the account and its schedule. The numbers decide (sandbox/transfers.py).
BANKS = {
    (0, "USD"): ("12345678", "manual"),
    (0, "KWD"): ("000555555559", "daily"),  # sends it back
    (1, "USD"): ("000555555559", "manual"),
    (1, "JPY"): ("000111111116", "manual"),  # there is no such account
}
MOVES = {
    "pending": {"in_transit", "paid", "failed"},
    "in_transit": {"paid", "failed"},
    "paid": {"failed"},
}
AVAILABLE, CLEARING, RECEIVABLE = "merchant_available", "payout_clearing", "provider_receivable"


@dataclass(eq=False)
class PaidOut:
    shop: model.Shop
    currency: str
    amount: int
    status: str = "pending"
    id: str = ""


class Payouts:
    """The model of payouts, on the accounts of the model of payments."""

    def __init__(self, books: model.Model) -> None:
        self.books = books
        self.rows: dict[str, PaidOut] = {}

    def available(self, shop: model.Shop, currency: str) -> int:
        return -self.books.accounts[shop.id, currency, AVAILABLE]

    def create(self, shop: model.Shop, currency: str, amount: int | None) -> str:
        available = self.available(shop, currency)
        if (self.books.shops.index(shop), currency) not in BANKS:
            return "bank_account_missing"
        return "" if 0 < (available if amount is None else amount) <= available else "payout_too_large"

    def change(self, payout: PaidOut, to: str, by_staff: bool) -> str:
        may = {"held": {"pending"}, "pending": {"held"}, "cancelled": {"pending", "held"} if by_staff else {"pending"}}
        if payout.status == "in_transit" and to != "pending":
            return "payout_under_way"
        if payout.status == "held" and to == "cancelled" and not by_staff:
            return "payout_held"
        if payout.status not in may[to]:
            return "illegal_transition"
        payout.status = to
        if to == "cancelled":
            self._post(payout, CLEARING, AVAILABLE)
        return ""

    def take_in(self) -> None:
        transfers = {
            key: (amount, status) for key, amount, status in Transfer.objects.values_list("key", "amount", "status")
        }
        columns = ("pk", "merchant_id", "currency", "amount", "status", "is_scheduled")
        for key, shop, currency, amount, status, scheduled in Payout.objects.order_by("pk").values_list(*columns):
            payout = self.rows.get(key)
            if payout is None:
                check(scheduled, f"nobody asked for the payout {key}")
                payout = self.add(key, next(it for it in self.books.shops if it.id == shop), currency, None)
            check(amount == payout.amount, f"the payout {key} is of {amount}, not of {payout.amount}")
            if status != payout.status:
                self._moved(payout, status, transfers.get(key))

    def add(self, key: str, shop: model.Shop, currency: str, amount: int | None) -> PaidOut:
        """Set aside; all that is available when there is no amount."""
        amount = self.available(shop, currency) if amount is None else amount
        check(amount > 0, f"the payout {key} pays what is not there")
        payout = self.rows[key] = PaidOut(shop, currency, amount, id=key)
        self._post(payout, AVAILABLE, CLEARING)
        return payout

    def _moved(self, payout: PaidOut, status: str, theirs: tuple[int, str] | None) -> None:
        was = payout.status
        check(status in MOVES.get(was, ()), f"{payout.id} went from {was} to {status}")
        payout.status = status
        if status == "in_transit":
            return
        check(theirs == (payout.amount, status), f"{payout.id} is {status}, the bank says {theirs}")
        if status == "paid":
            self._post(payout, CLEARING, RECEIVABLE)
        else:
            self._post(payout, RECEIVABLE if was == "paid" else CLEARING, AVAILABLE)

    def check_rest(self) -> None:
        transfers = dict(Transfer.objects.values_list("key", "status"))
        check(transfers.keys() <= self.rows.keys(), "the bank has a transfer that is none of ours")
        for key, payout in self.rows.items():
            known = transfers.get(key, payout.status)
            check(payout.status == known, f"{key} is {payout.status} at rest, the bank says {known}")
            check(payout.status not in ("pending", "in_transit"), f"{key} is {payout.status} at rest")

    def _post(self, payout: PaidOut, debit: str, credit: str) -> None:
        self.books.accounts[payout.shop.id, payout.currency, debit] += payout.amount
        self.books.accounts[payout.shop.id, payout.currency, credit] -= payout.amount


class PayoutMachine(MoneyMachine):
    """Everything that MoneyMachine does, and payouts."""

    def __init__(self, client: Client, keys: dict[str, str], staff: list[User]) -> None:
        super().__init__(client, keys, staff)
        self.payouts: Payouts | None = None

    def look(self) -> None:
        written = self.statements.written
        super().look()
        if self.payouts is None:
            self.payouts = Payouts(self.model)
        if written & {"ledger_payout", "sandbox_transfer"}:
            self.payouts.take_in()

    def check_rest(self) -> None:
        super().check_rest()
        self.payouts.check_rest()

    def under_way(self) -> Iterator[QuerySet[Any]]:
        yield from super().under_way()
        yield Transfer.objects.all()
        yield Payout.objects.filter(status__in=["pending", "in_transit"])
        yield Payout.objects.filter(status="paid", pk__in=Transfer.objects.filter(status="failed").values("key"))

    def ask_again(self) -> int:
        parked = list(Payout.objects.filter(status="in_transit", due_at=None))
        for payout in parked:
            services.ask_again(payout)
        return super().ask_again() + len(parked)

    @precondition(lambda self: self.payouts and any(account[2] == AVAILABLE for account in self.model.accounts))
    @rule(number=numbers, part=parts, death=deaths, anywhere=st.integers(0, 9))
    def pay_out(self, number: int, part: str, death: int | None, anywhere: int) -> None:
        places = [(shop, currency) for shop in self.model.shops for currency in sorted(EXPONENTS)]
        full = [place for place in places if self.payouts.available(*place) > 0]
        places = full if full and anywhere else places
        shop, currency = places[number % len(places)]
        amount = share(part, max(self.payouts.available(shop, currency), 1))
        body = {"currency": currency} | ({} if amount is None else {"amount": major(amount, currency)})
        error = self.payouts.create(shop, currency, amount)
        answer = self.post("payouts", body, shop, error, death=death, noun="payout")
        if not error:
            self.payouts.add(answer["id"], shop, currency, amount)

    @precondition(lambda self: self.payouts and self.payouts.rows)
    @rule(number=numbers, verb=st.sampled_from(["cancel", "cancel", "hold", "release", "call off"]))
    def change_payout(self, number: int, verb: str) -> None:
        payout = pick(self.payouts.rows, number, ("pending", "held"))
        if verb == "cancel":
            error = self.payouts.change(payout, "cancelled", by_staff=False)
            self.post(f"payouts/{payout.id}/cancel", {}, payout.shop, error, status=200)
            return
        call, to = {
            "hold": (services.hold_payout, "held"),
            "release": (services.release_payout, "pending"),
            "call off": (services.call_off_payout, "cancelled"),
        }[verb]
        row = Payout.objects.get(pk=payout.id)
        assert code_of(lambda: call(row)) == self.payouts.change(payout, to, by_staff=True)


def open_banks(merchants: list[Merchant], now: datetime) -> None:
    for (number, currency), (account, schedule) in BANKS.items():
        shop = merchants[number]
        BankAccount.objects.create(
            merchant=shop,
            currency=currency,
            in_use_for=f"{shop.pk} {currency}",
            country="US",
            holder=shop.name,
            account_number=account,
            last4=account[-4:],
            schedule=schedule,
            due_at=None if schedule == "manual" else now,
        )
