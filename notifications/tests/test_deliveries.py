"""Deliveries: what is sent, again and again, and what can be sent once more."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from core.ids import new_id
from notifications.models import Event, WebhookDelivery
from notifications.services import (
    EndpointDisabled,
    ReplayTooLarge,
    delete_endpoint,
    deliveries,
    disable_endpoint,
    enable_endpoint,
    preview,
    prune_events,
    replay,
    resend,
    send_test_event,
)
from notifications.services.events import MAX_SNAPSHOT_BYTES

pytestmark = pytest.mark.django_db

EVER = {"since": datetime(1, 1, 1, tzinfo=UTC), "until": datetime(9999, 1, 1, tzinfo=UTC)}


class TestMessage:
    def test_says_what_happened_as_it_was(self, endpoint, tell, send, sink):
        endpoint()
        event = tell("payment.completed", amount=5, name="é")
        send()
        request = sink.received[0]
        assert json.loads(request.body) == {
            "id": event.pk,
            "type": "payment.completed",
            "timestamp": f"{event.created_at:%Y-%m-%dT%H:%M:%SZ}",
            "merchant_id": event.merchant_id,
            "object_id": "pay_1",
            "sequence": 1,
            "data": {"amount": 5, "name": "é"},
        }
        assert request.headers["content-type"] == "application/json"
        assert request.headers["webhook-id"] == event.pk

    def test_writes_amounts_with_their_decimals(self, endpoint, pay, sink, work):
        endpoint(event_types=["payment.created"])
        pay(amount=50)
        work()
        assert b'"amount":50.00' in sink.received[0].body

    def test_has_its_id_and_body_for_ever_and_its_time_for_once(self, endpoint, tell, send, sink, time_machine):
        endpoint("500")
        tell()
        start = timezone.now()
        for hours in (0, 1, 2):
            time_machine.move_to(start + timedelta(hours=hours))
            send()
        first, *others = sink.received
        assert len(others) == 2
        for other in others:
            assert other.body == first.body
            assert other.headers["webhook-id"] == first.headers["webhook-id"]
            assert other.headers["webhook-timestamp"] != first.headers["webhook-timestamp"]
            assert other.headers["webhook-signature"] != first.headers["webhook-signature"]

    def test_stays_below_twenty_kilobytes(self, endpoint, tell, only):
        endpoint()
        event = tell(id="pay_1", metadata={str(n): "é" * 500 for n in range(50)}, description="x" * 500)
        assert json.loads(event.payload) == {"id": "pay_1", "description": "x" * 500, "omitted": ["metadata"]}
        assert len(preview(only()).body) < 20_000

    def test_leaves_out_no_more_than_it_must(self, endpoint, tell):
        event = tell(a="x" * 9000, b="y" * (MAX_SNAPSHOT_BYTES - 9000), c="z" * 8000, d=1)
        assert set(json.loads(event.payload)) == {"a", "c", "d", "omitted"}

    def test_is_shown_by_a_dry_run_which_sends_nothing(self, endpoint, tell, only, send, sink, time_machine):
        time_machine.move_to(timezone.now(), tick=False)
        made = endpoint()
        tell()
        message = preview(only())
        assert sink.received == []
        send()
        request = sink.received[0]
        assert (message.url, message.body) == (made.url, request.body)
        sent = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
        assert sent == {name.lower(): value for name, value in message.headers.items()}


class TestResend:
    @pytest.mark.parametrize("path", ["200", "400"])
    def test_starts_over_whatever_became_of_it(self, endpoint, tell, only, send, sink, path):
        endpoint(path)
        tell()
        send()
        resend(only())
        assert (only().status, only().attempts) == ("pending", 0)
        send()
        assert len(sink.at(path)) == 2
        assert only().log.count() == 2

    def test_is_not_for_an_endpoint_that_is_disabled(self, endpoint, tell, only):
        made = endpoint()
        tell()
        disable_endpoint(made)
        with pytest.raises(EndpointDisabled):
            resend(only())


class TestReplay:
    @pytest.fixture
    def missed(self, endpoint, tell, send):
        """An endpoint that got one event, and missed one while it was disabled."""
        made = endpoint(event_types=["payment.*"])
        got = tell()
        send()
        disable_endpoint(made)
        missed = tell()
        enable_endpoint(made)
        return made, got, missed

    def test_sends_what_was_missed(self, missed, send, bodies):
        endpoint, got, lost = missed
        assert replay(endpoint, **EVER) == 1
        send()
        assert [body["id"] for body in bodies("200")] == [got.pk, lost.pk]
        assert replay(endpoint, **EVER) == 0

    def test_sends_everything_when_asked(self, missed, send, bodies):
        endpoint, got, lost = missed
        assert replay(endpoint, **EVER, delivered=True) == 2
        send()
        assert sorted(body["id"] for body in bodies("200")) == sorted([got.pk, got.pk, lost.pk])

    def test_sends_what_failed(self, endpoint, tell, only, send):
        made = endpoint()
        tell()
        WebhookDelivery.objects.update(status="failed", due_at=None, attempts=10, last_error="x")
        assert replay(made, **EVER) == 1
        assert (only().status, only().attempts, only().last_error) == ("pending", 0, "")

    def test_leaves_alone_what_is_on_its_way(self, endpoint, tell, send, only, due):
        made = endpoint("500")
        tell()
        send()
        before = only().due_at
        assert replay(made, **EVER, delivered=True) == 0
        assert only().due_at == before

    def test_keeps_to_the_time_that_is_asked_for(self, endpoint, tell, time_machine):
        made = endpoint()
        disable_endpoint(made)
        start = timezone.now()
        for hour in range(4):
            time_machine.move_to(start + timedelta(hours=hour))
            tell()
        enable_endpoint(made)
        assert replay(made, since=start + timedelta(hours=1), until=start + timedelta(hours=3)) == 2
        events = Event.objects.filter(deliveries__isnull=False).values_list("sequence", flat=True)
        assert sorted(events) == [2, 3]

    def test_keeps_to_what_the_endpoint_listens_to(self, endpoint, tell):
        endpoint("500")
        tell("payment.created"), tell("payment.failed")
        late = endpoint(event_types=["payment.failed"])
        assert replay(late, **EVER) == 1
        assert late.deliveries.get().event.type == "payment.failed"

    def test_leaves_out_the_tests_of_other_endpoints(self, endpoint):
        send_test_event(endpoint("500"))
        assert replay(endpoint(), **EVER) == 0

    def test_goes_through_many_in_batches(self, endpoint, tell, monkeypatch):
        monkeypatch.setattr(deliveries, "REPLAY_BATCH", 3)
        made = endpoint(event_types=["payment.*"])
        disable_endpoint(made)
        for _n in range(8):
            tell()
        enable_endpoint(made)
        assert replay(made, **EVER) == 8
        assert replay(made, **EVER) == 0

    def test_needs_no_time(self, missed):
        endpoint, _got, lost = missed
        assert replay(endpoint, since=lost.created_at + timedelta(hours=1)) == 0
        assert replay(endpoint, until=lost.created_at - timedelta(hours=1)) == 0
        assert replay(endpoint) == 1

    def test_has_a_limit_for_what_it_sends(self, endpoint, tell, send, monkeypatch):
        monkeypatch.setattr(deliveries, "MAX_REPLAY", 2)
        made = endpoint(event_types=["payment.created"])
        for _n in range(3):
            tell()
        for _n in range(3):
            tell("payment.failed")
        assert replay(made) == replay(made, delivered=True) == 0  # the three are on their way
        send()
        assert replay(made) == 0
        with pytest.raises(ReplayTooLarge):
            replay(made, delivered=True)
        disable_endpoint(made)
        tell(), tell()
        enable_endpoint(made)
        assert replay(made) == 2
        disable_endpoint(made)
        tell()
        enable_endpoint(made)
        with pytest.raises(ReplayTooLarge):
            replay(made)

    def test_is_not_for_an_endpoint_that_is_disabled(self, endpoint):
        made = endpoint()
        disable_endpoint(made)
        with pytest.raises(EndpointDisabled):
            replay(made, **EVER)


class TestPrune:
    @pytest.fixture
    def after(self, time_machine):
        return lambda days: time_machine.move_to(timezone.now() + timedelta(days=days))

    def test_forgets_events_with_their_deliveries_and_log(self, endpoint, tell, send, after, settings):
        settings.EVENT_RETENTION_DAYS = 30
        endpoint()
        tell()
        send()
        after(29)
        tell()
        send()
        assert prune_events() == 0
        after(2)
        assert prune_events() == 3
        assert Event.objects.get().sequence == 2
        assert WebhookDelivery.objects.get().log.count() == 1

    def test_lets_no_number_come_again(self, tell, after, settings):
        settings.EVENT_RETENTION_DAYS = 30
        payment = new_id("pay")
        numbers = [tell(object_id=payment).sequence for _n in range(3)]
        for days in (29, 31, 31, 400):
            after(days)
            prune_events()
            numbers += [tell(object_id=payment).sequence for _n in range(2)]
        assert numbers == sorted(set(numbers))
        assert numbers[:5] == [1, 2, 3, 4, 5]
        assert numbers[5] > 1000

    def test_changes_nothing_for_what_is_young_or_of_a_fast_clock(self, tell, settings):
        settings.EVENT_RETENTION_DAYS = 30
        for days in (-1, 29):
            payment = new_id("pay", at=timezone.now() - timedelta(days=days))
            assert [tell(object_id=payment).sequence for _n in range(2)] == [1, 2]

    def test_keeps_what_is_still_to_be_delivered(self, endpoint, tell, after):
        endpoint()
        tell()
        after(1000)
        assert prune_events() == 0

    def test_goes_through_many_in_batches(self, tell, after, monkeypatch):
        monkeypatch.setattr("notifications.services.events.PRUNE_BATCH", 3)
        for n in range(8):
            tell(object_id=f"pay_{n}")
        after(1000)
        assert prune_events() == 8
        assert not Event.objects.exists()

    def test_keeps_a_deleted_endpoint_for_its_log(self, endpoint, tell, send, only):
        made = endpoint()
        tell()
        send()
        delete_endpoint(made)
        assert only().status == "delivered"
        assert only().log.get().status == 200
