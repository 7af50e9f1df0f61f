import json
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.services import create_merchant
from core.http import Client
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.services import create_endpoint, dispatch, publish


PATIENCE_SECONDS = 5  # enough for a busy machine; a test of what hangs says less


@pytest.fixture
def endpoint(shop, sink, loopback_allowed):
    """`endpoint("500")`: an endpoint of the shop that leads to this path of the sink."""

    def make(path="200", event_types=("*",), merchant=None, **fields):
        made, _secret = create_endpoint(merchant or shop, url=sink.url(path), event_types=event_types, **fields)
        return made

    return make


@pytest.fixture
def tell(shop):
    """`tell("payment.completed")`: an event of the shop, as a change would publish it."""

    def publish_one(event_type="payment.created", object_id="pay_1", merchant=None, **data):
        with transaction.atomic():
            return publish(event_type, merchant_id=(merchant or shop).pk, object_id=object_id, data=data)

    return publish_one


@pytest.fixture
def send(monkeypatch):
    """Sends what is due, with less patience than the worker has."""

    def once(**options):
        monkeypatch.setattr(dispatch, "Client", partial(Client, **{"total_seconds": PATIENCE_SECONDS, **options}))
        return dispatch.send_due()

    return once


@pytest.fixture
def due():
    """When a delivery is due, in seconds from now."""

    def seconds(delivery):
        delivery.refresh_from_db()
        return (delivery.due_at - timezone.now()).total_seconds()

    return seconds


@pytest.fixture
def only():
    """The one delivery that there is."""
    return WebhookDelivery.objects.get


@pytest.fixture
def bodies(sink):
    return lambda path: [json.loads(request.body) for request in sink.at(path)]


@pytest.fixture
def wait_until_due(time_machine):
    """Moves the clock to where a delivery is due, and answers how long that was."""

    def wait(delivery):
        before = timezone.now()
        delivery.refresh_from_db()
        time_machine.move_to(delivery.due_at, tick=False)
        return delivery.due_at - before

    return wait


@pytest.fixture
def backlog(endpoint, tell):
    """`backlog(20, "hang")`: an endpoint of a merchant of its own, with so many deliveries due."""

    def make(count, path="200", **state):
        merchant = create_merchant(name=path)
        made = endpoint(path, merchant=merchant)
        WebhookEndpoint.objects.filter(pk=made.pk).update(**state)
        for _n in range(count):
            tell(object_id=made.pk, merchant=merchant)
        made.refresh_from_db()
        return made

    return make


@pytest.fixture
def failing():
    """The state of an endpoint that fails."""
    return {"failures": 3, "failing_since": timezone.now()}
