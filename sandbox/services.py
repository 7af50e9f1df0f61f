"""The emulated provider's API. Each function is one HTTP call: plain values in, a JSON object out.

It commits for itself, so none of it may run inside a caller's transaction (`durable=True` sees to that).
What can go wrong on the way is in `sandbox.wire`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from core.idempotency import fingerprint
from core.ids import is_id
from core.money import EXPONENTS
from core.state import can_move, move_to
from sandbox.cards import DISPUTES, FRAUD_WARNING
from sandbox.checks import check_amount, check_key, check_same_request, refuse
from sandbox.models import Charge, Dispute, Notice, Operation
from sandbox.wire import SandboxDown as SandboxDown
from sandbox.wire import SandboxError as SandboxError
from sandbox.wire import SandboxNotFound, SandboxRefused, over_the_wire
from sandbox.wire import SandboxTimeout as SandboxTimeout

DISPUTE_SECONDS = 5.0  # from capture to dispute; real banks take weeks
REFUND_FAILS_SECONDS = 5.0  # from a refund's success to its failure
DISPUTE_ANSWER = timedelta(days=7)
NOTICES_LIMIT = 100


# --- Charges ----------------------------------------------------------------------------------
@over_the_wire
def create_charge(
    *,
    key: str,
    account: str,
    account_name: str,
    amount: int,
    currency: str,
    method: str,
    token: str = "",
    phone: str = "",
    capture: bool,
    description: str,
    return_url: str,
) -> dict[str, Any]:
    """Starts a charge of `amount` minor units. The same key answers with the same charge, as it is now.

    Raises SandboxRefused: idempotency_error, key_invalid, invalid_token, amount_invalid, currency_invalid,
    parameter_invalid.
    """
    charge = Charge(
        key=key,
        account=account,
        account_name=account_name,
        amount=amount,
        currency=currency,
        method=method,
        token=token,
        phone=phone,
        capture=capture,
        description=description,
        return_url=return_url,
    )
    _check_charge(charge)
    # What decides about money; a name or text that was edited between two tries is no other request.
    terms = ("account", "amount", "currency", "method", "token", "phone", "capture")
    charge.fingerprint = fingerprint({name: getattr(charge, name) for name in terms})
    return _insert_once(charge).as_dict()


@over_the_wire
def retrieve_charge(*, key: str) -> dict[str, Any]:
    """Raises SandboxNotFound when no charge was ever made under the key."""
    charge = Charge.objects.filter(key=key).first()
    if charge is None:
        raise SandboxNotFound(f"No charge has the key {key}.")
    return charge.as_dict()


def _check_charge(charge: Charge) -> None:
    check_key(charge.key)
    check_amount(charge.amount)
    if charge.currency not in EXPONENTS:
        refuse("currency_invalid", "The currency is not an ISO 4217 code.")
    if charge.method == Charge.Method.CARD and charge.card is None:
        refuse("invalid_token", "There is no such card token.")
    if charge.method != Charge.Method.CARD and charge.token:
        refuse("parameter_invalid", "Only card charges have a token.")
    try:
        charge.clean_fields(exclude=["fingerprint"])
    except ValidationError as error:
        fields = ", ".join(error.message_dict)
        raise SandboxRefused("parameter_invalid", f"Not valid: {fields}.") from error


def _insert_once(charge: Charge) -> Charge:
    """The one charge of its key: the unique column decides between callers that come at once."""
    if charge.method == Charge.Method.CARD:
        charge.due_at = _after(settings.SANDBOX_SETTLE_SECONDS)
    elif charge.method == Charge.Method.BANK_TRANSFER:
        charge.status = Charge.Status.AWAITING_TRANSFER
    else:
        charge.status = Charge.Status.REQUIRES_ACTION
    existing = Charge.objects.filter(key=charge.key).first()
    if existing is None:
        try:
            with transaction.atomic(durable=True):
                charge.save(force_insert=True)
            return charge
        except IntegrityError:
            existing = Charge.objects.filter(key=charge.key).first()
            if existing is None:
                raise
    check_same_request(existing, charge.fingerprint)
    return existing


# --- Captures, voids and refunds --------------------------------------------------------------
@over_the_wire
def capture_charge(*, key: str, charge_id: str, amount: int) -> dict[str, Any]:
    """Takes `amount` minor units of an authorized charge and releases the rest. Fails with
    charge_not_authorized or amount_too_large; raises SandboxRefused."""
    check_amount(amount)
    return _operate(Operation.Kind.CAPTURE, key, charge_id, amount)


@over_the_wire
def void_charge(*, key: str, charge_id: str) -> dict[str, Any]:
    """Releases an authorized charge. Fails with charge_not_authorized; raises SandboxRefused."""
    return _operate(Operation.Kind.VOID, key, charge_id, None)


@over_the_wire
def create_refund(*, key: str, charge_id: str, amount: int) -> dict[str, Any]:
    """Gives back `amount` minor units of what was captured. Fails with charge_not_captured or
    amount_too_large; raises SandboxRefused."""
    check_amount(amount)
    return _operate(Operation.Kind.REFUND, key, charge_id, amount)


@over_the_wire
def retrieve_operation(*, key: str) -> dict[str, Any]:
    """A capture, void or refund. Raises SandboxNotFound when none was ever made under the key."""
    operation = Operation.objects.filter(key=key).first()
    if operation is None:
        raise SandboxNotFound(f"No operation has the key {key}.")
    return operation.as_dict()


def _operate(kind: Operation.Kind, key: str, charge_id: str, amount: int | None) -> dict[str, Any]:
    """Carries an operation out once per key. `amount` None is the whole charge."""
    check_key(key)
    if not is_id(charge_id, "ch"):
        refuse("charge_not_found", "There is no such charge.")
    body = fingerprint({"kind": kind, "charge": charge_id, "amount": amount})
    try:
        with transaction.atomic(durable=True):
            charge = Charge.objects.select_for_update().filter(pk=charge_id).first()
            if charge is None:
                refuse("charge_not_found", "There is no such charge.")
            operation = Operation.objects.filter(key=key).first()
            if operation is None:
                operation = Operation(key=key, fingerprint=body, charge=charge, kind=kind)
                operation.amount = charge.amount if amount is None else amount
                _carry_out(charge, operation)
    except IntegrityError:  # the same key, at the same moment, on another charge
        operation = Operation.objects.filter(key=key).first()
        if operation is None:
            raise
    check_same_request(operation, body)
    return operation.as_dict()


def _carry_out(charge: Charge, operation: Operation) -> None:
    """Does the work or notes why not, and writes the operation. The caller holds the charge's lock."""
    operation.currency = charge.currency
    operation.status = Operation.Status.SUCCEEDED
    operation.failure_code = WORK[operation.kind](charge, operation)
    if operation.failure_code:
        operation.status = Operation.Status.FAILED
    operation.save(force_insert=True)
    if operation.kind == Operation.Kind.REFUND and operation.status == Operation.Status.SUCCEEDED:
        _tell_refund(operation)


def _capture(charge: Charge, operation: Operation) -> str:
    if charge.status != Charge.Status.AUTHORIZED:
        return "charge_not_authorized"
    if operation.amount > charge.amount:
        return "amount_too_large"
    _succeed(charge, operation.amount)
    return ""


def _void(charge: Charge, operation: Operation) -> str:
    if charge.status != Charge.Status.AUTHORIZED:
        return "charge_not_authorized"
    _move(charge, Charge.Status.CANCELLED)
    return ""


def _refund(charge: Charge, operation: Operation) -> str:
    """Banks and phones are slow to give back; a card does as its token says."""
    if charge.status != Charge.Status.SUCCEEDED:
        return "charge_not_captured"
    if operation.amount > charge.amount_captured - charge.amount_refunded:
        return "amount_too_large"
    charge.amount_refunded += operation.amount
    charge.save(update_fields=["amount_refunded"])
    behaviour = charge.card.refund if charge.card else "pending"
    if behaviour == "pending":
        operation.status = Operation.Status.PENDING
        operation.due_at = _after(settings.SANDBOX_SETTLE_SECONDS)
    elif behaviour == "fails_later":
        operation.due_at = _after(REFUND_FAILS_SECONDS)
    return ""


# Each answers with a failure code, or "" when it was done.
WORK: dict[str, Callable[[Charge, Operation], str]] = {
    Operation.Kind.CAPTURE: _capture,
    Operation.Kind.VOID: _void,
    Operation.Kind.REFUND: _refund,
}


# --- What happens later -----------------------------------------------------------------------
def decide(*, charge_id: str, approve: bool) -> bool:
    """The payer's answer on our page. Says whether it counted: a second answer changes nothing."""
    with transaction.atomic(durable=True):
        charge = Charge.objects.select_for_update().filter(pk=charge_id).first()
        if charge is None or not charge.awaits_payer:
            return False
        if approve:
            due_at = _after(settings.SANDBOX_SETTLE_SECONDS)
            _move(charge, Charge.Status.PROCESSING, approved=True, due_at=due_at)
        else:
            is_transfer = charge.method == Charge.Method.BANK_TRANSFER
            _fail(charge, "processing_error" if is_transfer else "authentication_failed")
    return True


def instruct(*, key: str, outcome: str) -> None:
    """A tester's word decides at once, whatever the token or the payer would: `outcome` is succeeded, authorized,
    failed or requires_action. A charge that is over, or that was to be captured otherwise, is left as it is."""
    with transaction.atomic(durable=True):
        charge = Charge.objects.select_for_update().filter(key=key).first()
        if charge is None or charge.status not in {Charge.Status.PROCESSING, *Charge.AWAITS_PAYER}:
            return
        if charge.awaits_payer and outcome != Charge.Status.REQUIRES_ACTION:
            _move(charge, Charge.Status.PROCESSING, approved=True)
        charge.due_at = None
        if outcome == Charge.Status.FAILED:
            _fail(charge, "card_declined", "generic_decline")
        elif outcome == Charge.Status.SUCCEEDED and charge.capture:
            _succeed(charge, charge.amount)
        elif can_move(charge, outcome) and not (outcome == Charge.Status.AUTHORIZED and charge.capture):
            _move(charge, Charge.Status(outcome))


def settle_charge(claimed: Charge) -> None:
    """The job of a due charge: its outcome, or the dispute that follows. Safe to run twice."""
    with transaction.atomic(durable=True):
        charge = Charge.objects.select_for_update().get(pk=claimed.pk)
        if charge.due_at != claimed.due_at:  # another worker was faster
            return
        charge.due_at = None
        if charge.status == Charge.Status.PROCESSING:
            _conclude(charge)
        else:
            charge.save(update_fields=["due_at"])
            _open_disputes(charge)


def settle_operation(claimed: Operation) -> None:
    """The job of a due refund: a pending one succeeds, one that had succeeded fails. Safe to run twice."""
    with transaction.atomic(durable=True):
        charge = Charge.objects.select_for_update().get(pk=claimed.charge_id)
        operation = Operation.objects.select_for_update().get(pk=claimed.pk)
        if operation.due_at != claimed.due_at:
            return
        operation.due_at = None
        if operation.status == Operation.Status.PENDING:
            move_to(operation, Operation.Status.SUCCEEDED)
        else:
            move_to(operation, Operation.Status.FAILED)
            operation.failure_code = "refund_failed"
            charge.amount_refunded -= operation.amount
            charge.save(update_fields=["amount_refunded"])
        operation.save()
        _tell_refund(operation)


def _conclude(charge: Charge) -> None:
    """The outcome: it depends on the token, the method and the payer's decision alone."""
    card = charge.card
    if card and card.three_d_secure and not charge.approved:
        _move(charge, Charge.Status.REQUIRES_ACTION)
    elif card and card.failure_code:
        _fail(charge, card.failure_code, card.decline_code)
    elif charge.capture:
        _succeed(charge, charge.amount)
    else:
        _move(charge, Charge.Status.AUTHORIZED)


def _succeed(charge: Charge, amount: int) -> None:
    disputed = charge.card is not None and charge.card.dispute
    due_at = _after(DISPUTE_SECONDS) if disputed else None
    _move(charge, Charge.Status.SUCCEEDED, amount_captured=amount, due_at=due_at)


def _fail(charge: Charge, failure_code: str, decline_code: str = "") -> None:
    _move(charge, Charge.Status.FAILED, failure_code=failure_code, decline_code=decline_code)


def _open_disputes(charge: Charge) -> None:
    """Disputes what is left of the charge, in equal shares; the last takes the odd unit."""
    left = charge.amount_captured - charge.amount_refunded
    scenario = charge.card.dispute if charge.card else ""
    if scenario == FRAUD_WARNING:
        warning = {"object": FRAUD_WARNING, "charge": charge.id, "key": charge.key, "account": charge.account}
        _tell(Notice.Kind.DISPUTE, f"{FRAUD_WARNING}.created", charge.key, warning)
    opened = DISPUTES.get(scenario, [])
    for number, (stage, reason) in enumerate(opened, start=1):
        share = left // len(opened) if number < len(opened) else left
        left -= share
        if share:
            _open_dispute(charge, share, stage, reason)


def _open_dispute(charge: Charge, amount: int, stage: str, reason: str) -> None:
    dispute = Dispute.objects.create(
        charge=charge,
        amount=amount,
        currency=charge.currency,
        stage=stage,
        reason=reason,
        due_by=timezone.now() + DISPUTE_ANSWER,
    )
    _tell(Notice.Kind.DISPUTE, "dispute.created", charge.key, dispute.as_dict())


# --- Notices ----------------------------------------------------------------------------------
def pending_notices(limit: int = NOTICES_LIMIT) -> list[dict[str, Any]]:
    """The oldest notices that were not acknowledged: what a real provider would post to a webhook."""
    rows = Notice.objects.filter(delivered_at__isnull=True).order_by("id")
    return [notice.as_dict() for notice in rows[:limit]]


def acknowledge(*, notice_id: str) -> None:
    """Ends the delivery of a notice, as a 2xx does. Twice is once; an unknown id is ignored."""
    with transaction.atomic(durable=True):
        Notice.objects.filter(pk=notice_id, delivered_at__isnull=True).update(delivered_at=timezone.now())


def _move(charge: Charge, status: Charge.Status, **changes: Any) -> None:
    """The one door of a charge's status: moves, saves and tells in one commit. The caller holds the lock."""
    move_to(charge, status)
    for name, value in changes.items():
        setattr(charge, name, value)
    charge.save()
    _tell(Notice.Kind.PAYMENT, f"charge.{charge.status}", charge.key, charge.as_dict())


def _tell_refund(refund: Operation) -> None:
    _tell(Notice.Kind.REFUND, f"refund.{refund.status}", refund.key, refund.as_dict())


def _tell(kind: Notice.Kind, notice_type: str, key: str, payload: dict[str, Any]) -> None:
    Notice.objects.create(kind=kind, type=notice_type, key=key, payload=payload)


# --- Small things -----------------------------------------------------------------------------
def _after(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)
