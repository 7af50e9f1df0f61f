"""What is sent to an endpoint, and sending it again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from core.encryption import DecryptionError
from core.errors import ApiError, NotFound
from core.ids import first_id, is_id
from core.indexes import along_index
from core.renderers import to_json
from core.transactions import unit_of_work
from notifications.diagnosis import Step, diagnose
from notifications.models import EVENT_TYPES, Event, WebhookDelivery, WebhookEndpoint
from notifications.services.endpoints import locked_endpoint, refuse_disabled
from notifications.signatures import signed_headers

USER_AGENT = "Tillgate-Webhooks/1"
MAX_REPLAY = 10_000  # events that one replay sends
REPLAY_BATCH = 500

Status = WebhookDelivery.Status


class ReplayTooLarge(ApiError):
    status, code = 422, "replay_too_large"
    message = f"That would be more than {MAX_REPLAY} events. Replay those of a shorter time, and then of the next."


class SecretUnreadable(ApiError):
    status, type, code = 409, "conflict", "webhook_secret_unreadable"
    message = "The secret of this webhook endpoint cannot be read any more, and nothing is sent. Rotate it."


@dataclass(frozen=True)
class Message:
    """A webhook as it goes over the wire."""

    url: str
    headers: dict[str, str]
    body: bytes


def compose(event: Event, endpoint: WebhookEndpoint, at: datetime) -> Message:
    """What the endpoint is sent at that moment. The id and the body are the same in every attempt, time and signature
    are not (Standard Webhooks 1.0)."""
    body = _body_of(event)
    signed = signed_headers(endpoint.secrets_at(at), message_id=event.pk, timestamp=int(at.timestamp()), body=body)
    return Message(endpoint.url, {"Content-Type": "application/json", "User-Agent": USER_AGENT, **signed}, body)


def _body_of(event: Event) -> bytes:
    return to_json(
        {
            "id": event.pk,
            "type": event.type,
            "timestamp": event.created_at,
            "merchant_id": event.merchant_id,
            "object_id": event.object_id,
            "sequence": event.sequence,
            "data": orjson.Fragment(event.payload),
        }
    )


def preview(delivery: WebhookDelivery) -> Message:
    """A dry run: exactly what would be sent now. Nothing is. Raises NotFound when the endpoint was deleted, and
    SecretUnreadable."""
    return compose(delivery.event, _with_secrets(delivery.endpoint_id), timezone.now())


def _with_secrets(endpoint_id: str) -> WebhookEndpoint:
    try:
        endpoint = WebhookEndpoint.objects.kept().filter(pk=endpoint_id).first()
    except DecryptionError as error:
        raise SecretUnreadable from error
    if endpoint is None:
        raise NotFound
    return endpoint


def diagnose_message(endpoint: WebhookEndpoint, *, body: str, headers: Mapping[str, str]) -> list[Step]:
    """Why a message that came to an endpoint does not verify, held against its secrets and what was sent. Raises
    SecretUnreadable."""
    now = timezone.now()
    secrets = _with_secrets(endpoint.pk).secrets_at(now)
    sent = _sent_body(endpoint, {name.lower(): value.strip() for name, value in headers.items()})
    return diagnose(body.encode(), headers, secrets, now=now, sent=sent)


def _sent_body(endpoint: WebhookEndpoint, headers: Mapping[str, str]) -> bytes | None:
    """By the id in the headers; None for one that is not this merchant's, or no longer kept."""
    event_id = headers.get("webhook-id", "")
    events = Event.objects.filter(merchant=endpoint.merchant_id)
    event = events.filter(pk=event_id).first() if is_id(event_id, "evt") else None
    return _body_of(event) if event else None


@unit_of_work
def resend(delivery: WebhookDelivery) -> None:
    """Makes a delivery due now, with all its attempts before it, whatever became of it. Raises EndpointDisabled."""
    refuse_disabled(locked_endpoint(delivery.endpoint_id))
    _restart([delivery.pk])


def replay(
    endpoint: WebhookEndpoint, *, since: datetime | None = None, until: datetime | None = None, delivered: bool = False
) -> int:
    """Sends an endpoint what it listens to and has missed, of a time or ever: what failed, and what happened while it
    was disabled or did not exist yet. With `delivered` also what it has got before. Answers how many events.

    Raises EndpointDisabled, ReplayTooLarge. Doing it twice is harmless: what is on its way stays so.
    """
    with transaction.atomic():
        endpoint = locked_endpoint(endpoint.pk)
        refuse_disabled(endpoint)
    again = [Status.FAILED, Status.DELIVERED] if delivered else [Status.FAILED]
    events = _between(_to_send(endpoint, again), since, until)
    ids = list(events.values_list("pk", flat=True)[: MAX_REPLAY + 1])
    if len(ids) > MAX_REPLAY:
        raise ReplayTooLarge
    batches = [ids[start : start + REPLAY_BATCH] for start in range(0, len(ids), REPLAY_BATCH)]
    return sum(_replay(endpoint, batch, again) for batch in batches)


def _to_send(endpoint: WebhookEndpoint, again: Iterable[str]) -> QuerySet[Event]:
    """What the endpoint listens to and was not sent, or was with one of these outcomes; the oldest first."""
    types = [event_type for event_type in EVENT_TYPES if endpoint.listens_to(event_type)]
    events = Event.objects.filter(merchant=endpoint.merchant_id, type__in=types)
    sent = WebhookDelivery.objects.filter(event=OuterRef("pk"), endpoint=endpoint).exclude(status__in=again)
    return along_index(events).filter(~Exists(sent)).order_by("pk")


def _between(events: QuerySet[Event], since: datetime | None, until: datetime | None) -> QuerySet[Event]:
    if since is not None:
        events = events.filter(pk__gte=first_id("evt", since))
    if until is not None:
        events = events.filter(pk__lt=first_id("evt", until))
    return events


@unit_of_work
def _replay(endpoint: WebhookEndpoint, event_ids: Sequence[str], again: Iterable[str]) -> int:
    locked = locked_endpoint(endpoint.pk)  # one replay after another
    refuse_disabled(locked)
    # Those that are still kept, and stay so until the commit: the oldest may be pruned at this moment.
    kept = Event.objects.select_for_update().filter(pk__in=event_ids).order_by("pk").values_list("pk", flat=True)
    event_ids = list(kept)
    known = dict(locked.deliveries.filter(event__in=event_ids).values_list("event", "pk"))
    restarted = _restart(known.values(), was=again)
    now = timezone.now()
    missing = [
        WebhookDelivery(merchant_id=locked.merchant_id, event_id=event_id, endpoint=locked, due_at=now)
        for event_id in event_ids
        if event_id not in known
    ]
    return restarted + len(WebhookDelivery.objects.bulk_create(missing))


def _restart(ids: Iterable[str], was: Iterable[str] = Status.values) -> int:
    rows = WebhookDelivery.objects.filter(pk__in=list(ids), status__in=was)
    return rows.update(status=Status.PENDING, due_at=timezone.now(), attempts=0, last_error="")
