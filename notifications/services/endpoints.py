"""A merchant's webhook endpoints: where to, of what, signed with which secret."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Merchant
from core.encryption import DecryptionError
from core.errors import ApiError, NotFound
from core.idempotency import create_once, fingerprint
from core.state import move_to
from core.targets import check_url
from core.transactions import unit_of_work, with_retries
from notifications.models import (
    ENDPOINT_DISABLED,
    ENDPOINT_TEST,
    OLD_SECRETS,
    PATTERNS,
    WebhookDelivery,
    WebhookEndpoint,
)
from notifications.serializers import MAX_OVERLAP_HOURS, EndpointDetails
from notifications.services.events import deliver_to, publish, record_event
from notifications.signatures import new_secret

MAX_ENDPOINTS = 16  # of a merchant, deleted ones apart
SECRET_OVERLAP = timedelta(hours=MAX_OVERLAP_HOURS)  # for which secrets that were replaced still sign

Status, Reason = WebhookEndpoint.Status, WebhookEndpoint.Reason


class EventTypeUnknown(ApiError):
    code = "event_type_unknown"
    message = "Ask for event types that exist, such as payment.completed, payment.* or *."


class TooManyEndpoints(ApiError):
    status, type, code = 409, "conflict", "too_many_webhook_endpoints"
    message = f"A merchant has at most {MAX_ENDPOINTS} webhook endpoints. Delete those that are not needed."


class EndpointDisabled(ApiError):
    status, type, code = 409, "conflict", "webhook_endpoint_disabled"
    message = "The webhook endpoint is disabled. Enable it first."


def create_endpoint(
    merchant: Merchant, *, url: str, event_types: Iterable[str], description: str = "", key: str | None = None
) -> tuple[WebhookEndpoint, str | None]:
    """A new endpoint and its secret, which is never shown again: a replay of the idempotency `key` gets None.

    Raises UrlForbidden, EventTypeUnknown, TooManyEndpoints, IdempotencyKeyReused.
    """
    check_url(url)
    patterns = check_patterns(event_types)
    body = fingerprint({"url": url, "event_types": patterns, "description": description})
    secret = new_secret()

    def create() -> WebhookEndpoint:
        _refuse_too_many(merchant)
        return WebhookEndpoint.objects.create(
            merchant=merchant,
            url=url,
            event_types=patterns,
            description=description,
            secret=secret,
            idempotency_key=key,
            fingerprint=body,
        )

    row, replayed = with_retries(
        lambda: create_once(WebhookEndpoint.objects.sealed().filter(merchant=merchant), key, body, create)
    )
    return row, None if replayed else secret


def _refuse_too_many(merchant: Merchant) -> None:
    """The merchant's row is locked, so that two at once cannot both be the last."""
    Merchant.objects.select_for_update().get(pk=merchant.pk)
    if WebhookEndpoint.objects.kept().filter(merchant=merchant).count() >= MAX_ENDPOINTS:
        raise TooManyEndpoints


def check_patterns(event_types: Iterable[str]) -> list[str]:
    """The filter, each pattern once, in the order of PATTERNS. Raises EventTypeUnknown."""
    asked = set(event_types)
    if not asked or asked - set(PATTERNS):
        raise EventTypeUnknown(param="event_types")
    return [pattern for pattern in PATTERNS if pattern in asked]


@unit_of_work
def update_endpoint(
    endpoint: WebhookEndpoint,
    *,
    url: str | None = None,
    event_types: Iterable[str] | None = None,
    description: str | None = None,
) -> WebhookEndpoint:
    """Changes what is given; from now on it holds for what is still to be delivered, too. A new URL has a clean slate.

    Raises UrlForbidden, EventTypeUnknown.
    """
    locked = locked_endpoint(endpoint.pk)
    if url is not None:
        check_url(url)
        if url != locked.url:
            locked.start_anew()
        locked.url = url
    if event_types is not None:
        locked.event_types = check_patterns(event_types)
    if description is not None:
        locked.description = description
    locked.save(update_fields=["url", "event_types", "description", *WebhookEndpoint.HEALTH])
    return locked


@unit_of_work
def rotate_secret(endpoint: WebhookEndpoint, *, overlap: timedelta = SECRET_OVERLAP) -> tuple[WebhookEndpoint, str]:
    """A new secret, shown this once; for `overlap` messages are signed with those before it as well: the last one,
    and the oldest that still signs. Whoever rotates again, for the answer was lost, has only that one in use."""
    locked, now = locked_endpoint(endpoint.pk), timezone.now()
    end = now + overlap
    try:
        known = [(locked.secret, end), *locked.old_secrets_at(now)] if overlap else []
    except DecryptionError:  # nothing is signed with them any more
        known = []
    _set_secrets(locked, new_secret(), [(secret, min(until, end)) for secret, until in known])
    return locked, locked.secret


def _set_secrets(endpoint: WebhookEndpoint, secret: str, old: Sequence[tuple[str, datetime]] = ()) -> None:
    """Of the old ones, the newest first, it keeps the first and the last."""
    nothing = (None, None)
    endpoint.secret = secret
    endpoint.previous_secret, endpoint.previous_secret_until = old[0] if old else nothing
    endpoint.older_secret, endpoint.older_secret_until = old[-1] if old[1:] else nothing
    endpoint.save(update_fields=["secret", *OLD_SECRETS, *(f"{name}_until" for name in OLD_SECRETS)])


def forget_old_secrets() -> int:
    """Erases secrets that sign no more, and answers how many. One row after another: nobody waits in a circle."""
    now, forgotten = timezone.now(), 0
    for name in OLD_SECRETS:
        over = WebhookEndpoint.objects.filter(**{f"{name}_until__lte": now})
        for pk in list(over.values_list("pk", flat=True)):
            forgotten += over.filter(pk=pk).update(**{name: None, f"{name}_until": None})
    return forgotten


@unit_of_work
def enable_endpoint(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Has it told of what happens from now on, with a clean slate; replay() sends what it missed.

    Raises IllegalTransition when it is enabled.
    """
    locked = locked_endpoint(endpoint.pk)
    move_to(locked, Status.ENABLED)
    locked.disabled_reason = ""
    locked.start_anew()
    locked.save(update_fields=["status", "disabled_reason", *WebhookEndpoint.HEALTH])
    return locked


@unit_of_work
def disable_endpoint(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Has it told of nothing until it is enabled, and tells the merchant's other endpoints. Raises IllegalTransition
    when it is disabled."""
    locked = locked_endpoint(endpoint.pk)
    _disable(locked, Reason.REQUESTED)
    return locked


@unit_of_work
def delete_endpoint(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Takes it out of every list and forgets its secrets. Its row stays for its log and its idempotency key."""
    locked = locked_endpoint(endpoint.pk)
    stop(locked, Status.DELETED)
    _set_secrets(locked, "")
    return locked


@unit_of_work
def send_test_event(endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Delivers a `webhook_endpoint.test` to this endpoint alone. Raises EndpointDisabled."""
    locked = locked_endpoint(endpoint.pk)
    refuse_disabled(locked)
    data = EndpointDetails(locked).data
    event = record_event(ENDPOINT_TEST, merchant_id=locked.merchant_id, object_id=locked.pk, data=data)
    return deliver_to([locked], event)[0]


def locked_endpoint(endpoint_id: str) -> WebhookEndpoint:
    """The endpoint as it is now, its row locked until the commit. Whoever changes it, or its deliveries because of
    it, locks it by this first. Raises NotFound when it was deleted."""
    locked = WebhookEndpoint.objects.kept().sealed().select_for_update().filter(pk=endpoint_id).first()
    if locked is None:
        raise NotFound
    return locked


def refuse_disabled(endpoint: WebhookEndpoint) -> None:
    """Raises EndpointDisabled."""
    if not endpoint.is_enabled:
        raise EndpointDisabled


def give_up_on(endpoint: WebhookEndpoint, reason: str) -> None:
    """Disables an endpoint that answers no more, and tells the merchant's people and other endpoints. The endpoint
    is locked by the caller's transaction."""
    _disable(endpoint, reason)


def _disable(endpoint: WebhookEndpoint, reason: str) -> None:
    """The merchant's other endpoints hear of it; its people, unless it is one of them who asked for it."""
    stop(endpoint, Status.DISABLED, reason)
    publish(
        ENDPOINT_DISABLED,
        merchant_id=endpoint.merchant_id,
        object_id=endpoint.pk,
        data=EndpointDetails(endpoint).data,
        mails=reason != Reason.REQUESTED,
    )


def stop(endpoint: WebhookEndpoint, status: str, reason: str = "") -> None:
    """Takes an endpoint out of service, with all that was on its way to it. The endpoint is locked."""
    move_to(endpoint, status)
    endpoint.disabled_reason = reason
    endpoint.save(update_fields=["status", "disabled_reason"])
    drop(WebhookDelivery.objects.filter(endpoint=endpoint, due_at__isnull=False))


def drop(deliveries: QuerySet[WebhookDelivery]) -> None:
    """Ends deliveries whose endpoint is out of service; they can be replayed."""
    deliveries.update(status=WebhookDelivery.Status.FAILED, due_at=None, last_error="The endpoint was disabled.")
