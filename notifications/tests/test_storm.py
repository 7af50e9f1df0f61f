"""Two thousand events, fifteen kinds of receivers, most of them bad, and nine days: on a clock that is moved.

What can arrive arrives, the dead are disabled on time, and the healthy never notice.
"""

import time
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.services import create_merchant
from core.http import Client
from notifications.models import Event, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.services import dispatch
from notifications.services.outcomes import GIVE_UP_AFTER

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 21, tzinfo=UTC)
OUTAGE = timedelta(hours=60)  # shorter than all delays of a delivery at their shortest
DAYS = 9
EVENTS = 2000

# How many events each is told of, spread over five days.
WELL = {"200": 450, "204": 440, "in_chunks": 440, "flood": 200, "too_short": 200, "slow": 20}
RECOVERABLE = {"flap": 150, "down_for_days": 24, "busy_for_days": 24}
DEAD = {"500": 12, "401": 12, "redirect": 12, "close": 12, "hang": 3, "drip": 3}  # never two days without an attempt
KINDS = WELL | RECOVERABLE | DEAD
HOURS = 5 * 24
NEVER_ANSWER, SURE_SECONDS = ("hang", "drip"), 0.3


class Hasty(Client):
    """Knows who never answers, and is sure of it sooner; all others may take their time."""

    async def post(self, url, **message):
        waiting = replace(self, total_seconds=SURE_SECONDS) if url.endswith(NEVER_ANSWER) else self
        return await super(Hasty, waiting).post(url, **message)


@pytest.fixture
def receivers(endpoint, sink):
    """An endpoint of each kind, each of a merchant of its own."""

    def down(path, well):
        async def answer(connection):
            await sink.behaviours["/200" if timezone.now() > START + OUTAGE else path](connection)

        sink.behaviours[f"/{well}"] = answer

    down("/500", "down_for_days")
    down("/busy", "busy_for_days")
    return {kind: endpoint(kind, merchant=create_merchant(name=kind)) for kind in KINDS}


@pytest.fixture
def publish_at(receivers, tell):
    """Publishes the events of an hour."""
    plan = defaultdict(list)
    for kind, count in KINDS.items():
        for number in range(count):
            plan[number * HOURS // (count - 1)].append((kind, number))

    def publish(hour):
        for kind, number in plan[hour]:
            tell(object_id=f"{kind}-{number}", merchant=receivers[kind].merchant)

    return publish


class TestStorm:
    def test_is_weathered(self, receivers, publish_at, time_machine, sink, monkeypatch):
        monkeypatch.setattr(dispatch, "Client", Hasty)
        latencies: list[float] = []
        for hour in range(DAYS * 24):
            time_machine.move_to(START + timedelta(hours=hour), tick=False)
            publish_at(hour)
            arrived, begun = len(sink.received), time.monotonic()
            while dispatch.send_due():
                pass
            latencies += [one.at - begun for one in sink.received[arrived:] if one.path[1:] in WELL]

        assert Event.objects.exclude(type="webhook_endpoint.disabled").count() >= EVENTS
        outcomes = self.outcomes()
        for kind in WELL:
            assert set(outcomes[kind]) == {"delivered"}, kind
            deliveries = WebhookDelivery.objects.filter(endpoint=receivers[kind])
            assert set(deliveries.values_list("attempts", flat=True)) == {1}, kind
        for kind in RECOVERABLE:
            assert set(outcomes[kind]) == {"delivered"}, kind
        for kind in DEAD:
            endpoint = WebhookEndpoint.objects.get(pk=receivers[kind].pk)
            assert set(outcomes[kind]) == {"failed"}, kind
            assert endpoint.disabled_reason == "failing", kind
            first = Event.objects.filter(object_id=f"{kind}-0").get()
            told = Event.objects.get(type="webhook_endpoint.disabled", object_id=endpoint.pk)
            assert timedelta() <= told.created_at - first.created_at - GIVE_UP_AFTER <= timedelta(hours=1), kind
        assert not WebhookDelivery.objects.filter(due_at__isnull=False).exists()
        assert sorted(latencies)[int(len(latencies) * 0.99)] < 5.0
        assert WebhookAttempt.objects.count() <= len(sink.received)  # a closed connection costs a second request

    def outcomes(self):
        rows = WebhookDelivery.objects.values_list("endpoint__url", "status")
        found: dict[str, Counter[str]] = {}
        for url, status in rows:
            found.setdefault(url.rpartition("/")[2], Counter())[status] += 1
        return found
