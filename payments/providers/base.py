"""What an adapter is: money verbs that return values. Adapters change no rows; services do."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from core.money import Money


class ProviderUnavailable(Exception):
    """No answer, or none that makes sense. It says nothing about the money: the outcome is unknown."""


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """`key` is our transaction's id: the provider's idempotency key or reference, the same on every retry."""

    key: str
    account: str
    account_name: str
    money: Money
    method: str
    source: str
    phone: str
    capture: bool
    description: str
    return_url: str


@dataclass(frozen=True, slots=True)
class Result:
    """A provider's answer. `status` is a transaction's: processing, requires_action, succeeded, failed, cancelled."""

    status: str
    key: str
    reference: str
    account: str
    money: Money  # what the charge is over
    captured: int = 0  # minor units of it that have been taken
    failure_code: str = ""  # one of payments.failures.MESSAGES
    provider_code: str = ""  # the exact reason, for the merchant's log only
    next_action: dict[str, Any] | None = None
    answer: dict[str, Any] = field(default_factory=dict)  # scrubbed: no card number, no secret


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """A capture, void or refund. `key` is our transaction's id, `charge_reference` the provider's id of the charge."""

    key: str
    charge_reference: str
    money: Money


@dataclass(frozen=True, slots=True)
class OperationResult:
    """A provider's answer about something done to a charge. `status`: processing, succeeded or failed."""

    status: str
    key: str
    reference: str
    charge_reference: str
    money: Money
    failure_code: str = ""
    answer: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Movement:
    """A line of a provider's statement, as it stands now: above zero what a sale or capture took, below zero what was
    given out again, zero what came to nothing. `key` is our transaction's id, or not ours when it was made at the
    provider; `at` is when the line last changed."""

    key: str
    reference: str
    money: Money
    at: datetime


class Provider(Protocol):
    """A decline is a Result; silence is ProviderUnavailable."""

    name: str

    def charge(self, request: ChargeRequest) -> Result:
        """Starts a sale or an authorization. Safe to repeat: the same key answers with the first charge."""
        ...

    def lookup(self, key: str) -> Result | None:
        """The charge of this key as it is now; None when the provider never heard of it."""
        ...

    def capture(self, request: OperationRequest) -> OperationResult:
        """Takes an authorized charge, or part of it, and releases the rest. Safe to repeat, as all operations are:
        the same key answers with the first one."""
        ...

    def void(self, request: OperationRequest) -> OperationResult:
        """Releases an authorized charge, all of it."""
        ...

    def refund(self, request: OperationRequest) -> OperationResult:
        """Gives back part of a charge, or all of it."""
        ...

    def lookup_operation(self, key: str) -> OperationResult | None:
        """The capture, void or refund of this key as it is now; None when the provider never heard of it."""
        ...

    def statement(self, account: str) -> Iterator[Movement]:
        """All that has moved money of this account, a line for each sale, capture and refund, in any order; read page
        by page, so ProviderUnavailable may come in the middle."""
        ...
