"""An event is written in the commit of the change that it tells of, with a delivery to every endpoint that listens and
the mails that its type sends."""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Max, QuerySet
from django.utils import timezone

from accounts.models import Merchant
from core.actor import current_actor
from core.ids import first_id, is_id, made_at
from core.renderers import to_json
from core.request_id import current_request_id
from notifications.mails import Payer
from notifications.models import EVENT_TYPES, Event, WebhookDelivery, WebhookEndpoint
from notifications.services.mails import queue_mails

# Who may read what a noun's events show of it.
READ_PERMISSIONS = {
    "payment": "payments:read",
    "refund": "refunds:read",
    "dispute": "refunds:read",
    "payout": "payouts:read",
    "webhook_endpoint": "webhooks:read",
}
MAX_SNAPSHOT_BYTES = 19_000  # a webhook is this and some 300 bytes; Standard Webhooks 1.0 asks for 20 kB at most
SEQUENCE_STEP = 1_000_000  # more events than an object has within EVENT_RETENTION_DAYS
COMMIT_SECONDS = 10  # longer than a change takes from its event to its commit
PRUNE_BATCH = 500
PRUNE_BATCHES = 20  # in one turn


def publish(
    event_type: str,
    *,
    merchant_id: str,
    object_id: str,
    data: Mapping[str, Any],
    payer: Payer | None = None,
    mails: bool = True,
) -> Event:
    """Writes the event of a change, with its deliveries and mails. Must run in the transaction of the change, which
    holds the object's lock (the lock makes the sequence gap-free). Whoever acts in the request caused it. `payer` gets
    the mails to customers; without `mails` only programs are told."""
    event = record_event(event_type, merchant_id=merchant_id, object_id=object_id, data=data)
    enabled = WebhookEndpoint.objects.filter(merchant_id=merchant_id, status=WebhookEndpoint.Status.ENABLED)
    listening = enabled.only("id", "event_types").order_by("pk")  # the secrets stay encrypted
    deliver_to([endpoint for endpoint in listening if endpoint.listens_to(event_type)], event)
    if mails:
        queue_mails(event, data, payer)
    return event


def record_event(event_type: str, *, merchant_id: str, object_id: str, data: Mapping[str, Any]) -> Event:
    """The event alone, for publish() and for whoever chooses the endpoints himself."""
    if not connection.in_atomic_block:
        raise RuntimeError("publish() belongs in the transaction of the change that it tells of.")
    if event_type not in EVENT_TYPES:
        raise ValueError(f"{event_type} is not in EVENT_TYPES.")
    return Event.objects.create(
        merchant_id=merchant_id,
        type=event_type,
        object_id=object_id,
        sequence=_next_sequence(object_id),
        payload=_snapshot(data),
        actor=current_actor(),
        request_id=current_request_id(),
    )


def _next_sequence(object_id: str) -> int:
    """The number after that of the object's last event. Where all were pruned, or none ever was, the object's age says
    where to begin, above whatever it can have given before: numbers only grow."""
    last = Event.objects.filter(object_id=object_id).aggregate(last=Max("sequence"))["last"]
    if last is None:
        age = timezone.now() - made_at(object_id) if is_id(object_id) else timedelta()
        last = max(age // timedelta(days=settings.EVENT_RETENTION_DAYS), 0) * SEQUENCE_STEP
    return last + 1


def deliver_to(endpoints: Iterable[WebhookEndpoint], event: Event) -> list[WebhookDelivery]:
    """Deliveries of an event, due at once."""
    now = timezone.now()
    return WebhookDelivery.objects.bulk_create(
        WebhookDelivery(merchant_id=event.merchant_id, event=event, endpoint=endpoint, due_at=now)
        for endpoint in endpoints
    )


def _snapshot(data: Mapping[str, Any]) -> str:
    """The object as JSON. One that is too large for a webhook leaves out its largest fields, and names them in
    `omitted`: the API still shows them."""
    kept, omitted = dict(data), list[str]()
    text = to_json(kept)
    while len(text) > MAX_SNAPSHOT_BYTES:
        largest = max(kept, key=lambda name: len(to_json(kept[name])))
        del kept[largest]
        omitted.append(largest)
        text = to_json(kept | {"omitted": omitted})
    return text.decode()


def visible_events(merchant: Merchant, permissions: Collection[str]) -> QuerySet[Event]:
    """The merchant's events of what these permissions let somebody read."""
    types = [name for name in EVENT_TYPES if READ_PERMISSIONS[name.partition(".")[0]] in permissions]
    events = Event.objects.filter(merchant=merchant)
    return events if types == EVENT_TYPES else events.filter(type__in=types)


def settled(events: QuerySet[Event]) -> QuerySet[Event]:
    """Those before which none can appear any more: an event has the id of its moment, and is seen from its commit on.
    Whoever follows the list with a cursor would pass by one whose commit took longer than the next one's."""
    return events.filter(pk__lt=first_id("evt", timezone.now() - timedelta(seconds=COMMIT_SECONDS)))


def prune_events() -> int:
    """Forgets events older than EVENT_RETENTION_DAYS, with their deliveries and the log of those, unless one is
    still to be delivered. Answers how many rows went."""
    limit = first_id("evt", timezone.now() - timedelta(days=settings.EVENT_RETENTION_DAYS))
    old = Event.objects.filter(pk__lt=limit).exclude(deliveries__due_at__isnull=False).order_by("pk")
    total = 0
    for _batch in range(PRUNE_BATCHES):
        ids = list(old.values_list("pk", flat=True)[:PRUNE_BATCH])
        total += Event.objects.filter(pk__in=ids).delete()[0]
        if len(ids) < PRUNE_BATCH:
            break
    return total
