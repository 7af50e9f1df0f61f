"""Telling people: an event is written in the commit of the change that it tells of."""

from typing import Any

from django.db import connection
from django.db.models import Max

from core.renderers import to_json
from core.request_id import current_request_id
from notifications.models import EVENT_TYPES, Event


def publish(event_type: str, *, merchant_id: str, object_id: str, data: dict[str, Any]) -> Event:
    """Writes the event of a change. Must run in the transaction of the change, which holds the object's lock
    (the lock makes the sequence gap-free)."""
    if not connection.in_atomic_block:
        raise RuntimeError("publish() belongs in the transaction of the change that it tells of.")
    if event_type not in EVENT_TYPES:
        raise ValueError(f"{event_type} is not in EVENT_TYPES.")
    last = Event.objects.filter(object_id=object_id).aggregate(last=Max("sequence"))["last"] or 0
    return Event.objects.create(
        merchant_id=merchant_id,
        type=event_type,
        object_id=object_id,
        sequence=last + 1,
        payload=to_json(data).decode(),
        request_id=current_request_id(),
    )
