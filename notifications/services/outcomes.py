"""What becomes of attempts: the log, the next attempt, and the end of an endpoint that answers no more."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from django.db.models import F

from core.http import Answer
from core.transactions import unit_of_work
from notifications.models import SLOW_SECONDS, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.services.endpoints import give_up_on

# After each failed attempt; the first is made at once, the last at 75.6 hours (Standard Webhooks 1.0).
RETRY_DELAYS = [
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
]
JITTER = 0.2  # of a delay, either way
LONGEST_RETRY_AFTER = 2  # times the delay
GONE = 410

FAILING_WINDOW = timedelta(hours=24)  # in which FAILING_AFTER failures in a row must fall
LONGEST_PAUSE = RETRY_DELAYS[-1] * LONGEST_RETRY_AFTER + timedelta(hours=1)  # of one delivery, if workers are busy
GIVE_UP_AFTER = timedelta(days=5)  # of failures only, without a longer pause

Status, Reason = WebhookDelivery.Status, WebhookEndpoint.Reason


@dataclass(frozen=True)
class Outcome:
    """One attempt at a delivery that was claimed: the answer, or the reason why there was none. `endpoint` is as it
    was when it was called."""

    delivery: WebhookDelivery
    endpoint: WebhookEndpoint
    at: datetime
    milliseconds: int
    answer: Answer
    error: str = ""

    @property
    def number(self) -> int:
        """Of the attempt, from 1."""
        return self.delivery.attempts + 1

    @property
    def is_success(self) -> bool:
        return 200 <= self.answer.status < 300

    @property
    def is_slow(self) -> bool:
        return self.milliseconds > SLOW_SECONDS * 1000

    @property
    def is_news(self) -> bool:
        """Whether the endpoint's row may have to say something else of how it answers."""
        return not self.is_success or self.endpoint.failures > 0 or self.is_slow is not self.endpoint.is_slow

    @property
    def text(self) -> str:
        """The start of the answer, as every database can keep it."""
        return self.answer.body.decode(errors="replace").replace("\0", "\ufffd")

    @property
    def fault(self) -> str:
        return self.error or f"The endpoint answered {self.answer.status}."


@unit_of_work
def record(outcomes: Sequence[Outcome]) -> None:
    """Takes attempts into the books in one commit."""
    news = {outcome.endpoint.pk for outcome in outcomes if outcome.is_news}
    endpoints = _lock_endpoints(news) if news else {}
    leases = _lock_deliveries(outcomes)
    known = [outcome for outcome in outcomes if outcome.delivery.pk in leases]
    _log(known)
    _mark_delivered([outcome for outcome in known if _may_deliver(outcome, leases[outcome.delivery.pk])])
    held = [outcome for outcome in known if leases[outcome.delivery.pk] == outcome.delivery.due_at]
    for outcome in held:
        if not outcome.is_success:
            _mark_failed(outcome)
    for outcome in sorted(held, key=lambda outcome: outcome.at):
        if _is_about(outcome, endpoints.get(outcome.endpoint.pk)):
            _judge(endpoints[outcome.endpoint.pk], outcome)


def _lock_endpoints(ids: Iterable[str]) -> dict[str, WebhookEndpoint]:
    """Endpoints first, in the order of their ids, then deliveries: nobody waits in a circle."""
    rows = WebhookEndpoint.objects.sealed().select_for_update().filter(pk__in=list(ids)).order_by("pk")
    return {row.pk: row for row in rows}


def _lock_deliveries(outcomes: Sequence[Outcome]) -> dict[str, datetime | None]:
    """When each is due now; those that were pruned are missing."""
    ids = [outcome.delivery.pk for outcome in outcomes]
    rows = WebhookDelivery.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    return dict(rows.values_list("pk", "due_at"))


def _may_deliver(outcome: Outcome, due_at: datetime | None) -> bool:
    """Not when somebody has asked for it to be sent again meanwhile, or another worker has it."""
    return outcome.is_success and due_at in (outcome.delivery.due_at, None)


def _log(outcomes: Sequence[Outcome]) -> None:
    WebhookAttempt.objects.bulk_create(
        WebhookAttempt(
            delivery_id=outcome.delivery.pk,
            status=outcome.answer.status or None,
            milliseconds=outcome.milliseconds,
            answer=outcome.text,
            error=outcome.error,
            created_at=outcome.at,
        )
        for outcome in outcomes
    )


def _mark_delivered(outcomes: Sequence[Outcome]) -> None:
    rows = WebhookDelivery.objects.filter(pk__in=[outcome.delivery.pk for outcome in outcomes])
    rows.update(status=Status.DELIVERED, due_at=None, attempts=F("attempts") + 1, last_error="")


def _mark_failed(outcome: Outcome) -> None:
    due_at = next_attempt(outcome)
    status = Status.FAILED if due_at is None else Status.PENDING
    rows = WebhookDelivery.objects.filter(pk=outcome.delivery.pk)
    rows.update(status=status, due_at=due_at, attempts=outcome.number, last_error=outcome.fault)


def next_attempt(outcome: Outcome) -> datetime | None:
    """When to try again, or None after the last attempt. A Retry-After is heard, within one and two delays."""
    if outcome.number > len(RETRY_DELAYS):
        return None
    delay = RETRY_DELAYS[outcome.number - 1]
    asked = retry_after(outcome.answer.retry_after, outcome.at)
    if asked is not None:
        return outcome.at + min(max(asked, delay), delay * LONGEST_RETRY_AFTER)
    return outcome.at + delay * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 jitter


def retry_after(header: str, now: datetime) -> timedelta | None:
    """What a Retry-After asks for: seconds, or a date (RFC 9110 §10.2.3). None for anything else."""
    if header.isascii() and header.isdigit():
        return timedelta(seconds=int(header[:9]))
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)) - now


def _is_about(outcome: Outcome, endpoint: WebhookEndpoint | None) -> bool:
    """Whether an attempt says something of the endpoint as it is now: not when it went to another URL. One that was
    disabled in between has dropped its deliveries, so nothing of before is held."""
    return endpoint is not None and endpoint.is_enabled and endpoint.url == outcome.endpoint.url


def _judge(endpoint: WebhookEndpoint, outcome: Outcome) -> None:
    """Says how an endpoint answers, and gives up on one that is gone or has failed for days."""
    endpoint.is_slow = outcome.is_slow
    if outcome.is_success:
        endpoint.failures, endpoint.failing_since, endpoint.last_failure_at = 0, None, None
    else:
        if _is_first_failure(endpoint, outcome.at):
            endpoint.failures, endpoint.failing_since = 0, outcome.at
        endpoint.failures += 1
        endpoint.last_failure_at = outcome.at
    endpoint.save(update_fields=WebhookEndpoint.HEALTH)
    if outcome.answer.status == GONE:
        give_up_on(endpoint, Reason.GONE)
    elif endpoint.is_failing and endpoint.failing_since and outcome.at - endpoint.failing_since >= GIVE_UP_AFTER:
        give_up_on(endpoint, Reason.FAILING)


def _is_first_failure(endpoint: WebhookEndpoint, at: datetime) -> bool:
    """Starts the clock. It starts anew unless FAILING_AFTER failures fall into FAILING_WINDOW, and after a pause in
    which nothing was tried: nobody knows how the endpoint was then."""
    if endpoint.failing_since is None or endpoint.last_failure_at is None:
        return True
    if not endpoint.is_failing and at - endpoint.failing_since > FAILING_WINDOW:
        return True
    return at - endpoint.last_failure_at > LONGEST_PAUSE
