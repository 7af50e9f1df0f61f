"""Who carries payouts to bank accounts: the sandbox those of sandbox merchants. Those of live ones are carried out by
staff, by hand, until a provider of theirs does it (docs/decisions/0007).

As with payment providers a refusal is an answer, and silence is not: CarrierUnavailable leaves the outcome open.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from core.money import EXPONENTS, Money
from sandbox import transfers as sandbox
from sandbox.wire import SandboxDown, SandboxNotFound, SandboxRefused, SandboxTimeout

Answer = TypeVar("Answer")

BY_HAND = ""  # the carrier of payouts that staff carry out


class CarrierUnavailable(Exception):
    """No answer, or none that makes sense. It says nothing about the money."""


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """`key` is our payout's id: the same on every retry."""

    key: str
    account: str
    money: Money
    account_number: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """A carrier's answer. `status` is a payout's: in_transit, paid or failed."""

    status: str
    key: str
    reference: str
    account: str
    money: Money
    failure_code: str = ""


class Carrier(Protocol):
    def send(self, request: TransferRequest) -> Transfer:
        """Starts a transfer. Safe to repeat: the same key answers with the first one."""
        ...

    def lookup(self, key: str) -> Transfer | None:
        """The transfer of this key as it is now; None when the carrier never heard of it."""
        ...

    def statement(self, account: str) -> Iterator[Transfer]:
        """Every transfer of this account as it is now; read page by page, so CarrierUnavailable may come in the
        middle."""
        ...


class SandboxCarrier:
    def send(self, request: TransferRequest) -> Transfer:
        try:
            return _ask(
                lambda: sandbox.create_transfer(
                    key=request.key,
                    account=request.account,
                    amount=request.money.amount,
                    currency=request.money.currency,
                    account_number=request.account_number,
                ),
                _read,
            )
        except SandboxRefused as error:
            if error.code == "idempotency_error":
                raise CarrierUnavailable("the sandbox knows the key with another request") from error
            return Transfer("failed", request.key, "", request.account, request.money, error.code)

    def lookup(self, key: str) -> Transfer | None:
        try:
            return _ask(lambda: sandbox.retrieve_transfer(key=key), _read)
        except SandboxNotFound:
            return None

    def statement(self, account: str) -> Iterator[Transfer]:
        after, more = "", True
        while more:
            transfers, after = _ask(partial(sandbox.list_transfers, account=account, after=after), _read_page)
            yield from transfers
            more = bool(after)


def _ask(call: Callable[[], Any], read: Callable[[Any], Answer]) -> Answer:
    """Asks the sandbox; silence and nonsense are both CarrierUnavailable: neither tells the outcome."""
    try:
        return read(call())
    except (SandboxTimeout, SandboxDown) as error:
        raise CarrierUnavailable(f"the sandbox gave no answer ({type(error).__name__})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise CarrierUnavailable("the sandbox's answer makes no sense") from error


def _read(answer: Any) -> Transfer:
    """The transfer in an answer. Answers are not trusted: every field is looked at."""
    amount, currency, status = answer["amount"], answer["currency"], answer["status"]
    if type(amount) is not int or currency not in EXPONENTS or status not in ("in_transit", "paid", "failed"):
        raise ValueError("amount, currency or status")
    return Transfer(
        status=status,
        key=str(answer["key"]),
        reference=str(answer["id"]),
        account=str(answer["account"]),
        money=Money(amount, currency),
        failure_code=answer["failure_code"] or "",
    )


def _read_page(answer: Any) -> tuple[list[Transfer], str]:
    return [_read(transfer) for transfer in answer["transfers"]], str(answer["next"])


CARRIERS: dict[str, Carrier] = {"sandbox": SandboxCarrier()}
