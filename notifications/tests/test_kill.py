"""A worker that is killed while it sends loses no webhook, and doubles none that was recorded.

As in tests/test_kill.py: killed before its first database statement, then before its second, and so on to the last.
"""

import pytest
from django.utils import timezone

from notifications.models import Event, WebhookDelivery
from notifications.services import send_due
from tests.test_kill import work_until_killed_before

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"),  # the child runs this thread alone
]

MOST_STATEMENTS = 100


def restart_worker_after_the_leases():
    WebhookDelivery.objects.filter(due_at__isnull=False).update(due_at=timezone.now())
    send_due()


def kill_at_every_step(prepare):
    """Prepares a delivery, kills its worker one step later each time, starts another; yields the delivery."""
    for point in range(1, MOST_STATEMENTS):
        delivery = prepare(point)
        killed = work_until_killed_before(point, send_due)
        restart_worker_after_the_leases()
        delivery.refresh_from_db()
        yield delivery
        if not killed:
            assert point > 10, "the worker did too little to be killed at"
            return
    pytest.fail("the worker never came to an end")


class TestKilledWorker:
    def test_delivers_everything_and_records_no_more_than_it_sent(self, endpoint, tell, sink):
        endpoint()

        def prepare(point):
            return tell(object_id=f"pay_{point}").deliveries.get()

        for delivery in kill_at_every_step(prepare):
            arrived = [one for one in sink.received if one.headers["webhook-id"] == delivery.event_id]
            assert delivery.status == "delivered"
            assert 1 <= delivery.log.count() <= len(arrived) <= 2
            assert len({one.body for one in arrived}) == 1

    def test_disables_an_endpoint_once(self, endpoint, tell, shop):
        watcher = endpoint("200", ["webhook_endpoint.disabled"])

        def prepare(point):
            shop.webhook_endpoints.exclude(pk=watcher.pk).update(status="deleted")
            return tell(object_id=endpoint("410", ["payment.created"]).pk).deliveries.get()

        for delivery in kill_at_every_step(prepare):
            delivery.endpoint.refresh_from_db()
            assert (delivery.status, delivery.endpoint.disabled_reason) == ("failed", "gone")
            events = Event.objects.filter(type="webhook_endpoint.disabled", object_id=delivery.endpoint_id)
            assert events.get().deliveries.get().endpoint == watcher
            assert events.get().deliveries.get().status == "delivered"
