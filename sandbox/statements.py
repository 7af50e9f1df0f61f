"""The emulated provider's statement of an account, of the same API as `sandbox.services`."""

from collections.abc import Iterator
from typing import Any

from sandbox.models import Charge, Operation
from sandbox.wire import over_the_wire

PAGE = 500  # charges
SIGNS: dict[str, int] = {Operation.Kind.CAPTURE: 1, Operation.Kind.REFUND: -1}


@over_the_wire
def list_movements(*, account: str, after: str = "") -> dict[str, Any]:
    """What the charges of an account have moved, `{"movements": […], "next"}`: a page of those that come after `after`.
    `next` is what the following page comes after, empty on the last one. An amount is in minor units, below zero
    when it was given back, zero when it came to nothing; `updated_at` (ISO 8601) is when this last changed."""
    charges = Charge.objects.filter(account=account, pk__gt=after).order_by("pk").prefetch_related("operations")[:PAGE]
    movements = [movement for charge in charges for movement in _movements(charge)]
    return {"movements": movements, "next": charges[PAGE - 1].pk if len(charges) == PAGE else ""}


def _movements(charge: Charge) -> Iterator[dict[str, Any]]:
    if charge.capture and charge.status == Charge.Status.SUCCEEDED:
        yield _movement(charge, charge.amount_captured)
    for operation in charge.operations.all():
        if operation.kind in SIGNS and operation.status != Operation.Status.PENDING:
            done = operation.status == Operation.Status.SUCCEEDED
            yield _movement(operation, SIGNS[operation.kind] * operation.amount if done else 0)


def _movement(row: Charge | Operation, amount: int) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "movement",
        "key": row.key,
        "amount": amount,
        "currency": row.currency,
        "updated_at": row.updated_at.isoformat(),
    }
