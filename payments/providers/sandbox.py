"""The adapter of the built-in sandbox, which is asked and answers like a provider over the network."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from core.money import EXPONENTS, Money
from payments.providers.base import (
    ChargeRequest,
    Movement,
    OperationRequest,
    OperationResult,
    ProviderUnavailable,
    Result,
)
from sandbox import services as sandbox
from sandbox.statements import list_movements

METHODS = {
    "credit_card": "card",
    "debit_card": "card",
    "paypal": "paypal",
    "bank_transfer": "bank_transfer",
    "mobile_money": "mobile_money",
}
STATUSES = {
    "processing": "processing",
    "requires_action": "requires_action",
    "awaiting_transfer": "requires_action",
    "authorized": "succeeded",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}


OPERATION_STATUSES = {"pending": "processing", "succeeded": "succeeded", "failed": "failed"}


class SandboxProvider:
    name = "sandbox"

    def charge(self, request: ChargeRequest) -> Result:
        try:
            return _ask(lambda: self._create(request))
        except sandbox.SandboxRefused as error:
            return _refused(request, error)

    def _create(self, request: ChargeRequest) -> Any:
        return sandbox.create_charge(
            key=request.key,
            account=request.account,
            account_name=request.account_name,
            amount=request.money.amount,
            currency=request.money.currency,
            method=METHODS[request.method],
            token=request.source,
            phone=request.phone,
            capture=request.capture,
            description=request.description,
            return_url=request.return_url,
        )

    def lookup(self, key: str) -> Result | None:
        try:
            return _ask(lambda: sandbox.retrieve_charge(key=key))
        except sandbox.SandboxNotFound:
            return None

    def capture(self, request: OperationRequest) -> OperationResult:
        return _operate(request, sandbox.capture_charge, amount=request.money.amount)

    def void(self, request: OperationRequest) -> OperationResult:
        return _operate(request, sandbox.void_charge)

    def refund(self, request: OperationRequest) -> OperationResult:
        return _operate(request, sandbox.create_refund, amount=request.money.amount)

    def lookup_operation(self, key: str) -> OperationResult | None:
        try:
            return _ask_operation(lambda: sandbox.retrieve_operation(key=key))
        except sandbox.SandboxNotFound:
            return None

    def statement(self, account: str) -> Iterator[Movement]:
        after = None
        while after != "":
            movements, after = _ask_statement(account, after or "")
            yield from movements


def _ask_statement(account: str, after: str) -> tuple[list[Movement], str]:
    """A page of the statement, and what the next one comes after; empty on the last."""
    try:
        answer = list_movements(account=account, after=after)
        return [_read_movement(line) for line in answer["movements"]], str(answer["next"])
    except (sandbox.SandboxTimeout, sandbox.SandboxDown) as error:
        raise ProviderUnavailable(f"the sandbox gave no answer ({type(error).__name__})") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProviderUnavailable("the sandbox's answer makes no sense") from error


def _read_movement(line: Any) -> Movement:
    if type(line["amount"]) is not int or line["currency"] not in EXPONENTS:
        raise ValueError("amount")
    money = Money(line["amount"], line["currency"])
    return Movement(str(line["key"]), str(line["id"]), money, datetime.fromisoformat(line["updated_at"]))


def _operate(request: OperationRequest, call: Callable[..., Any], **terms: int) -> OperationResult:
    try:
        return _ask_operation(lambda: call(key=request.key, charge_id=request.charge_reference, **terms))
    except sandbox.SandboxRefused as error:
        return _refused_operation(request, error)


def _refused_operation(request: OperationRequest, error: sandbox.SandboxRefused) -> OperationResult:
    if error.code == "idempotency_error":
        raise ProviderUnavailable("the sandbox knows the key with another request") from error
    return OperationResult("failed", request.key, "", request.charge_reference, request.money, error.code)


def _ask_operation(call: Callable[[], Any]) -> OperationResult:
    try:
        return _read_operation(call())
    except (sandbox.SandboxTimeout, sandbox.SandboxDown) as error:
        raise ProviderUnavailable(f"the sandbox gave no answer ({type(error).__name__})") from error


def _read_operation(answer: Any) -> OperationResult:
    """The capture, void or refund in an answer; as little trusted as a charge."""
    try:
        amount, currency = answer["amount"], answer["currency"]
        if type(amount) is not int or currency not in EXPONENTS:
            raise ValueError("amount")
        return OperationResult(
            status=OPERATION_STATUSES[answer["status"]],
            key=str(answer["key"]),
            reference=str(answer["id"]),
            charge_reference=str(answer["charge"]),
            money=Money(amount, currency),
            failure_code=answer["failure_code"] or "",
            answer=answer,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProviderUnavailable("the sandbox's answer makes no sense") from error


def _refused(request: ChargeRequest, error: sandbox.SandboxRefused) -> Result:
    """A 4xx is an answer: nothing was charged. Only a reused key says that something was, so it stays unknown."""
    if error.code == "idempotency_error":
        raise ProviderUnavailable("the sandbox knows the key with another request") from error
    return Result(
        status="failed",
        key=request.key,
        reference="",
        account=request.account,
        money=request.money,
        failure_code="processing_error",
        provider_code=error.code,
    )


def _ask(call: Callable[[], Any]) -> Result:
    """Asks the sandbox; silence and nonsense are both ProviderUnavailable: neither tells the outcome."""
    try:
        return _read(call())
    except (sandbox.SandboxTimeout, sandbox.SandboxDown) as error:
        raise ProviderUnavailable(f"the sandbox gave no answer ({type(error).__name__})") from error


def _read(answer: Any) -> Result:
    """The charge in an answer. Answers are not trusted: every field is looked at."""
    try:
        amount, currency, captured = answer["amount"], answer["currency"], answer["amount_captured"]
        if type(amount) is not int or type(captured) is not int or currency not in EXPONENTS:
            raise ValueError("amount")
        return Result(
            status=STATUSES[answer["status"]],
            key=str(answer["key"]),
            reference=str(answer["id"]),
            account=str(answer["account"]),
            money=Money(amount, currency),
            captured=captured,
            failure_code=answer["failure_code"] or "",
            provider_code=answer.get("decline_code") or answer["failure_code"] or "",
            next_action=answer["next_action"],
            answer=answer,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProviderUnavailable("the sandbox's answer makes no sense") from error


def new_notices() -> list[dict[str, Any]]:
    """The sandbox's webhooks that were not taken in yet: `{"id", "kind", "type", "key", "payload"}`."""
    return sandbox.pending_notices()


def acknowledge(notice_id: str) -> None:
    sandbox.acknowledge(notice_id=notice_id)


def instruct(key: str, outcome: str) -> None:
    """Decides a charge by a tester's word: succeeded, authorized, failed or requires_action."""
    sandbox.instruct(key=key, outcome=outcome)
