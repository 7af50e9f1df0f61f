"""What becomes of attempts: retries on a schedule, and what they say of their endpoint."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from core.http import Answer
from core.queue import LEASE, claim_batch
from notifications.models import SLOW_SECONDS, Event, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.services import disable_endpoint, enable_endpoint, outcomes, replay, resend, update_endpoint
from notifications.services.outcomes import (
    RETRY_DELAYS,
    Outcome,
    record,
    retry_after,
)
from tests.sinks import answering

pytestmark = pytest.mark.django_db

LONGEST_MS = 10_000  # of an attempt that was given seconds, on a busy machine
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _still(time_machine):
    time_machine.move_to(NOW, tick=False)


class TestSuccess:
    @pytest.mark.parametrize("path", ["200", "204", "slow", "flood", "in_chunks", "too_short", "drip_body"])
    def test_is_any_2xx_whatever_becomes_of_the_body(self, endpoint, tell, send, only, path):
        endpoint(path)
        tell()
        assert send(total_seconds=1) == 1
        assert (only().status, only().due_at, only().attempts, only().last_error) == ("delivered", None, 1, "")

    def test_is_logged(self, endpoint, tell, send, only):
        endpoint("slow")
        tell()
        send()
        attempt = only().log.get()
        assert (attempt.status, attempt.answer, attempt.error) == (200, "thanks", "")
        assert 200 <= attempt.milliseconds < 5000


class TestFailure:
    @pytest.mark.parametrize(
        ("path", "status", "error"),
        [
            ("400", 400, ""),
            ("401", 401, ""),
            ("404", 404, ""),
            ("500", 500, ""),
            ("redirect", 301, ""),
            ("hang", None, "timeout"),
            ("drip", None, "timeout"),
            ("close", None, "connection_failed"),
            ("garbage", None, "invalid_answer"),
            ("two_lengths", None, "invalid_answer"),
        ],
    )
    def test_costs_one_attempt_which_is_logged(self, endpoint, tell, send, only, path, status, error, due):
        endpoint(path)
        tell()
        assert send(total_seconds=0.3 if error == "timeout" else 5) == 1
        attempt = only().log.get()
        assert (attempt.status, attempt.error) == (status, error)
        assert attempt.milliseconds < LONGEST_MS
        assert only().last_error == (error or f"The endpoint answered {status}.")
        assert only().status == "pending"
        assert 4 <= due(only()) <= 6

    def test_keeps_a_kilobyte_of_any_answer(self, endpoint, tell, send, only, sink):
        async def babble(connection):
            connection.writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 3000\r\n\r\n" + b"\x00\xff\xc3\xa9<" * 600)

        sink.behaviours["/babble"] = babble
        endpoint("babble")
        tell()
        send()
        answer = only().log.get().answer
        assert answer.startswith("\ufffd\ufffdé<")
        assert 700 < len(answer) <= 1024
        assert "\0" not in answer

    def test_is_tried_again_on_schedule_and_then_no_more(self, endpoint, tell, send, only, wait_until_due):
        endpoint("500")
        tell()
        waits = []
        while True:
            assert send() == 1
            if only().due_at is None:
                break
            waits.append(wait_until_due(only()))
        for wait, delay in zip(waits, RETRY_DELAYS, strict=True):
            assert delay * 0.8 <= wait <= delay * 1.2
        assert (only().status, only().attempts, only().log.count()) == ("failed", 10, 10)
        assert sum(RETRY_DELAYS, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)

    def test_spreads_what_failed_together(self, endpoint, tell, send):
        endpoint("500")
        for n in range(20):
            tell(object_id=f"pay_{n}")
        send()
        assert WebhookDelivery.objects.values("due_at").distinct().count() == 20

    def test_that_never_was_costs_no_attempt(self, endpoint, tell, send, only, due, time_machine):
        """Ten workers died with the delivery in their hands: nothing was sent, so nothing is used up."""
        endpoint("500")
        tell()
        for _n in range(len(RETRY_DELAYS) + 1):
            assert len(claim_batch(WebhookDelivery.objects.all(), 1)) == 1
            time_machine.shift(LEASE)
        assert send() == 1
        assert (only().status, only().attempts, only().log.count()) == ("pending", 1, 1)
        assert 4 <= due(only()) <= 6

    def test_of_one_that_was_resent_starts_the_schedule_anew(self, endpoint, tell, send, only, due, wait_until_due):
        endpoint("500")
        tell()
        for _n in range(3):
            send()
            wait_until_due(only())
        resend(only())
        send()
        assert 4 <= due(only()) <= 6
        assert only().log.count() == 4


class TestRetryAfter:
    @pytest.mark.parametrize(("asked", "expected"), [("1", 5), ("7", 7), ("600", 10), ("0", 5), ("9" * 40, 10)])
    def test_is_heard_within_one_and_two_delays(self, endpoint, tell, send, only, due, sink, asked, expected):
        sink.behaviours["/later"] = answering(503, Retry_After=asked)
        endpoint("later")
        tell()
        send()
        assert due(only()) == expected

    def test_may_be_a_date(self):
        later = NOW + timedelta(seconds=90)
        assert retry_after(format_datetime(later, usegmt=True), NOW) == timedelta(seconds=90)

    @pytest.mark.parametrize("header", ["", "soon", "-5", "1.5", "²", "Mon", "Fri, 99 Foo 2026 00:00:00 GMT"])
    def test_may_be_nonsense(self, header):
        assert retry_after(header, NOW) is None

    @given(st.text(max_size=60))
    def test_never_raises(self, header):
        retry_after(header, NOW)


class TestSlowness:
    """Is that of the last attempt, whatever was answered."""

    @pytest.fixture
    def answer_after(self, endpoint, tell):
        """Records an answer that has taken so many seconds, and says how the endpoint is then."""
        made = endpoint()

        def answer(seconds, status=200):
            delivery = tell().deliveries.get()
            endpoint = WebhookEndpoint.objects.get(pk=made.pk)
            record([Outcome(delivery, endpoint, timezone.now(), round(seconds * 1000), Answer(status))])
            made.refresh_from_db()
            return made

        return answer

    def test_ends_with_a_quick_answer(self, answer_after):
        assert not answer_after(SLOW_SECONDS).is_slow
        assert answer_after(SLOW_SECONDS + 0.001).is_slow
        assert answer_after(14).is_troubled
        assert not answer_after(0.1).is_slow

    @pytest.mark.parametrize("status", [0, 500])
    def test_is_that_of_a_failure_too(self, answer_after, status):
        made = answer_after(15, status)
        assert (made.is_slow, made.failures) == (True, 1)
        made = answer_after(0.1, status)
        assert (made.is_slow, made.failures) == (False, 2)

    def test_that_stays_as_it_is_locks_nothing(self, answer_after, monkeypatch):
        answer_after(14)
        locked = []
        monkeypatch.setattr(outcomes, "_lock_endpoints", lambda ids: locked.extend(ids) or {})
        assert answer_after(14).is_slow
        assert locked == []

    def test_is_forgotten_when_the_endpoint_is_enabled_again(self, answer_after):
        made = answer_after(14)
        disable_endpoint(made)
        assert not enable_endpoint(made).is_slow


class TestNewUrl:
    def test_has_a_clean_slate(self, endpoint, tell, send, sink):
        made = endpoint("500")
        tell()
        send()
        WebhookEndpoint.objects.update(is_slow=True)
        same = update_endpoint(made, url=made.url, description="Still the same")
        assert (same.failures, same.failing_since, same.is_slow) == (1, NOW, True)
        update_endpoint(made, url=sink.url("200"))
        made.refresh_from_db()
        assert (made.failures, made.failing_since, made.is_slow) == (0, None, False)


class TestLateNews:
    """An answer that comes when somebody else has decided meanwhile."""

    @pytest.fixture
    def claimed(self, endpoint, tell):
        """A delivery as a worker holds it: claimed, and sent."""
        endpoint()
        tell()
        return claim_batch(WebhookDelivery.objects.all(), 1)[0]

    def answer(self, delivery, status, milliseconds=5):
        record([Outcome(delivery, delivery.endpoint, timezone.now(), milliseconds, Answer(status))])

    @pytest.mark.parametrize("status", [200, 500])
    def test_does_not_take_back_a_resend(self, claimed, only, status):
        resend(claimed)
        self.answer(claimed, status)
        assert (only().status, only().due_at) == ("pending", NOW)
        assert only().log.get().status == status

    def test_counts_as_delivered_after_the_endpoint_was_disabled(self, claimed, only):
        disable_endpoint(claimed.endpoint)
        self.answer(claimed, 200)
        assert (only().status, only().due_at) == ("delivered", None)

    def test_does_not_revive_a_delivery_of_a_disabled_endpoint(self, claimed, only):
        disable_endpoint(claimed.endpoint)
        self.answer(claimed, 500)
        assert (only().status, only().due_at) == ("failed", None)

    def test_does_not_disable_an_endpoint_twice(self, claimed):
        disable_endpoint(claimed.endpoint)
        self.answer(claimed, 410)
        claimed.endpoint.refresh_from_db()
        assert (claimed.endpoint.disabled_reason, claimed.endpoint.failures) == ("requested", 0)
        assert Event.objects.filter(type="webhook_endpoint.disabled").count() == 1

    @pytest.mark.parametrize("status", [200, 410, 500])
    def test_of_an_old_url_says_nothing_of_the_new_one(self, claimed, only, api, owner, status):
        """A PATCH while the delivery is under way."""
        path = f"/api/v1/webhook-endpoints/{claimed.endpoint_id}"
        old = WebhookEndpoint.objects.get()
        body = {"url": "https://new.shop.com/hooks"}
        assert api.patch(path, body, content_type="application/json", headers=owner).status_code == 200
        claimed.endpoint = old
        self.answer(claimed, status, 14_000)
        made = WebhookEndpoint.objects.get()
        assert (made.status, made.failures, made.failing_since, made.is_slow) == ("enabled", 0, None, False)
        assert only().status == ("delivered" if status == 200 else "pending")

    @pytest.mark.parametrize("status", [200, 410, 500])
    def test_from_before_a_pause_says_nothing_of_the_endpoint_after_it(self, claimed, status):
        disable_endpoint(claimed.endpoint)
        made = enable_endpoint(claimed.endpoint)
        replay(made, since=NOW - timedelta(hours=1), until=NOW + timedelta(hours=1))
        self.answer(claimed, status, 14_000)
        made.refresh_from_db()
        assert (made.status, made.failures, made.is_slow) == ("enabled", 0, False)

    def test_leaves_a_row_to_the_worker_that_has_it_now(self, claimed, only, time_machine):
        time_machine.move_to(NOW + LEASE * 2, tick=False)
        theirs = claim_batch(WebhookDelivery.objects.all(), 1)[0]
        self.answer(claimed, 500)
        assert only().due_at == theirs.due_at
        self.answer(theirs, 200)
        assert only().status == "delivered"
        assert only().log.count() == 2

    def test_about_what_was_pruned_is_dropped(self, claimed):
        Event.objects.all().delete()
        self.answer(claimed, 500)
        assert not WebhookAttempt.objects.exists()
