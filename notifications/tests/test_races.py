"""Changes publish, workers record and people press buttons at the same moment; most telling with row locks."""

from itertools import count

import pytest

from core.transactions import with_retries
from notifications.models import Event, WebhookDelivery, WebhookEndpoint
from notifications.services import (
    TooManyEndpoints,
    create_endpoint,
    deliveries,
    disable_endpoint,
    enable_endpoint,
    endpoints,
    send_due,
)
from tests.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 4
ROUNDS = 10
URL = "https://hooks.shop.com/"


class TestRaces:
    def test_between_changes_and_workers_lose_nothing(self, endpoint, tell):
        well, bad = endpoint("200"), endpoint("500")

        def publish(name):
            for n in range(10):
                with_retries(lambda n=n: tell(object_id=f"{name}_{n}"))

        def work():
            for _turn in range(10):
                send_due()

        at_once([work, work, *(lambda name=f"pay{n}": publish(name) for n in range(THREADS))])
        work()

        assert Event.objects.count() == THREADS * 10
        assert set(well.deliveries.values_list("status", "attempts")) == {("delivered", 1)}
        assert well.deliveries.count() == bad.deliveries.count() == THREADS * 10
        bad.refresh_from_db()
        assert bad.failures == sum(len(delivery.log.all()) for delivery in bad.deliveries.all())

    def test_between_a_worker_and_a_button_leave_nothing_due_to_a_disabled_endpoint(self, endpoint, tell):
        made = endpoint("500")
        for turn in range(ROUNDS):
            for n in range(8):
                tell(object_id=f"pay_{turn}_{n}")
            at_once([send_due, lambda: with_retries(lambda: disable_endpoint(made))])
            assert not WebhookDelivery.objects.filter(due_at__isnull=False).exists()
            enable_endpoint(made)

    def test_for_the_last_endpoint_have_one_winner(self, shop, monkeypatch):
        monkeypatch.setattr(endpoints, "MAX_ENDPOINTS", 1)

        def create():
            try:
                return create_endpoint(shop, url=URL, event_types=["*"])
            except TooManyEndpoints:
                return None

        assert at_once([create] * THREADS).count(None) == THREADS - 1
        assert WebhookEndpoint.objects.count() == 1

    def test_for_one_idempotency_key_make_one_endpoint(self, shop):
        answers = at_once([lambda: create_endpoint(shop, url=URL, event_types=["*"], key="k" * 64)] * THREADS)
        assert len({endpoint.pk for endpoint, _secret in answers}) == 1
        assert sum(secret is not None for _endpoint, secret in answers) == 1

    def test_between_a_replay_and_the_pruning_send_what_is_left(self, api, owner, endpoint, tell, monkeypatch):
        old, young = tell(object_id="pay_old"), tell(object_id="pay_young")
        made = endpoint()
        original, calls = deliveries.locked_endpoint, count(1)

        def prune_after_the_look(endpoint_id):
            if next(calls) == 2:
                Event.objects.filter(pk=old.pk).delete()
            return original(endpoint_id)

        monkeypatch.setattr(deliveries, "locked_endpoint", prune_after_the_look)
        answer = api.post(f"/api/v1/webhook-endpoints/{made.pk}/replay", {}, "application/json", headers=owner)
        assert (answer.status_code, answer.json()["replay"]) == (200, {"events": 1})
        assert made.deliveries.get().event == young
