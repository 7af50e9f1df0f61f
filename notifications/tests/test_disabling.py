"""The end of endpoints that are gone, or have done nothing but fail for days."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from django.utils import timezone

from accounts.models import Membership, User
from accounts.services import create_merchant
from core.mail import Email
from notifications.models import Event, WebhookDelivery
from notifications.services.outcomes import GIVE_UP_AFTER, LONGEST_RETRY_AFTER, RETRY_DELAYS

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _still(time_machine):
    time_machine.move_to(NOW, tick=False)


class TestGone:
    def test_disables_at_once(self, endpoint, tell, send, only):
        made = endpoint("410")
        tell()
        assert send() == 1
        made.refresh_from_db()
        assert (made.status, made.disabled_reason) == ("disabled", "gone")
        assert (only().status, only().due_at) == ("failed", None)
        assert only().log.get().status == 410


class TestFailingForDays:
    @pytest.fixture
    def fail_for(self, tell, send, time_machine):
        """An event every twelve hours, for so many days from where the last call has ended."""
        hours = iter(range(0, 24 * 30, 12))

        def run(days):
            for hour in islice(hours, int(days * 2)):
                time_machine.move_to(NOW + timedelta(hours=hour), tick=False)
                tell(object_id=f"pay_{hour}")
                send()

        return run

    def test_disables_it(self, endpoint, fail_for):
        made = endpoint("500")
        fail_for(5)
        made.refresh_from_db()
        assert (made.status, made.failing_since) == ("enabled", NOW)
        fail_for(0.5)
        made.refresh_from_db()
        assert (made.status, made.disabled_reason) == ("disabled", "failing")
        assert not made.deliveries.filter(status="pending").exists()

    def test_tells_the_merchants_other_endpoints_and_people(self, endpoint, fail_for, send, bodies, shop):
        roles = ("owner", "developer", "viewer")
        for role in roles:
            user = User.objects.create_user(f"{role}@example.com")
            Membership.objects.create(merchant=shop, user=user, email=user.email, role=role)
        outsider = User.objects.create_user("rival@example.com")
        Membership.objects.create(merchant=create_merchant(name="Rival"), user=outsider, role="owner")
        dead, _watcher = endpoint("500"), endpoint("200", ["webhook_endpoint.*"])
        fail_for(5.5)
        send()
        assert [(body["type"], body["object_id"]) for body in bodies("200")] == [("webhook_endpoint.disabled", dead.pk)]
        told = bodies("200")[0]["data"]
        assert (told["status"], told["disabled_reason"]) == ("disabled", "failing")
        mails = Email.objects.filter(template="endpoint_disabled")
        assert set(mails.values_list("to", flat=True)) == {"owner@example.com", "developer@example.com"}
        assert dead.url in mails[0].context

    def test_is_only_failures(self, endpoint, fail_for, sink, time_machine, tell, send):
        made = endpoint("500")
        fail_for(4)
        sink.behaviours["/500"] = sink.behaviours["/200"]
        tell()
        send()
        made.refresh_from_db()
        assert (made.failures, made.failing_since) == (0, None)
        assert made.is_enabled

    def test_begins_with_several_failures_in_a_day(self, endpoint, tell, send, time_machine, only):
        """Two failures long apart are no outage: the clock begins anew."""
        made = endpoint("500")
        for day in (0, 6, 12):
            time_machine.move_to(NOW + timedelta(days=day), tick=False)
            tell(object_id=f"pay_{day}")
            send()
            WebhookDelivery.objects.update(due_at=None, status="failed")
            made.refresh_from_db()
            assert (made.failures, made.failing_since) == (1, timezone.now())
        assert made.is_enabled

    @pytest.mark.parametrize(
        ("pause", "is_disabled"), [(RETRY_DELAYS[-1] * LONGEST_RETRY_AFTER, True), (timedelta(weeks=3), False)]
    )
    def test_begins_anew_after_a_pause(self, endpoint, fail_for, tell, send, time_machine, pause, is_disabled):
        """In weeks without an attempt it has done nothing at all. As long as Retry-After may ask for is no pause."""
        made = endpoint("500")
        fail_for(4)
        WebhookDelivery.objects.update(due_at=None, status="failed")
        made.refresh_from_db()
        assert (made.failing_since, made.last_failure_at) == (NOW, timezone.now())
        time_machine.shift(pause + timedelta(minutes=1))
        tell(object_id="pay_after_a_pause")
        send()
        made.refresh_from_db()
        assert (made.disabled_reason == "failing") is is_disabled
        if not is_disabled:
            assert (made.failures, made.failing_since) == (1, timezone.now())

    def test_is_counted_from_the_first_failure(self, endpoint, tell, send, only, wait_until_due):
        made = endpoint("500")
        tell()
        send()
        while only().due_at:
            wait_until_due(only())
            send()
        made.refresh_from_db()
        assert (made.failures, made.failing_since, made.is_enabled) == (10, NOW, True)
        assert sum(RETRY_DELAYS, timedelta()) < GIVE_UP_AFTER

    def test_writes_one_event_of_it(self, endpoint, fail_for):
        endpoint("410")
        fail_for(2)
        assert Event.objects.filter(type="webhook_endpoint.disabled").count() == 1
