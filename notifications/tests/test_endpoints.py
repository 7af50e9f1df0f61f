"""Endpoints: what they may be, what becomes of them, and what they are told."""

import pytest
from django.db import IntegrityError

from accounts.services import create_merchant
from core.errors import NotFound, UrlForbidden
from core.idempotency import IdempotencyKeyReused
from core.mail import Email
from core.state import IllegalTransition
from notifications.models import EVENT_TYPES, PATTERNS, Event, WebhookDelivery, WebhookEndpoint, matches
from notifications.services import (
    EndpointDisabled,
    EventTypeUnknown,
    TooManyEndpoints,
    create_endpoint,
    delete_endpoint,
    disable_endpoint,
    enable_endpoint,
    rotate_secret,
    send_test_event,
    update_endpoint,
)
from notifications.services.endpoints import MAX_ENDPOINTS

URL = "https://hooks.shop.com/in"

pytestmark = pytest.mark.django_db


@pytest.fixture
def make(shop):
    def create(merchant=shop, url=URL, event_types=("*",), **fields):
        return create_endpoint(merchant, url=url, event_types=event_types, **fields)

    return create


class TestCreate:
    def test_shows_the_secret_once_and_keeps_it_encrypted(self, make, django_db_blocker):
        endpoint, secret = make(description="Shop")
        assert secret.startswith("whsec_")
        endpoint.refresh_from_db()
        assert endpoint.secret == secret
        raw = WebhookEndpoint.objects.extra(select={"raw": "secret"}).values_list("raw", flat=True).get()
        assert secret not in raw

    def test_gives_every_endpoint_a_secret_of_its_own(self, make):
        assert make()[1] != make()[1]

    @pytest.mark.parametrize("url", ["http://hooks.shop.com/", "https://127.0.0.1/", "https://user@shop.com/"])
    def test_refuses_a_url_that_may_not_be_called(self, make, url):
        with pytest.raises(UrlForbidden) as caught:
            make(url=url)
        assert caught.value.param == "url"
        assert not WebhookEndpoint.objects.exists()

    @pytest.mark.parametrize("patterns", [[], ["payment"], ["payment.paid"], ["*", "x.*"], [""], ["**"], ["pay*"]])
    def test_refuses_a_filter_for_what_never_happens(self, make, patterns):
        with pytest.raises(EventTypeUnknown) as caught:
            make(event_types=patterns)
        assert caught.value.param == "event_types"

    def test_keeps_each_pattern_once(self, make):
        endpoint, _secret = make(event_types=["payment.failed", "payment.*", "payment.failed"])
        assert endpoint.event_types == ["payment.*", "payment.failed"]

    def test_happens_once_for_a_key(self, make):
        endpoint, secret = make(key="a" * 64)
        again, hidden = make(key="a" * 64)
        assert (again, hidden) == (endpoint, None)
        assert secret is not None
        with pytest.raises(IdempotencyKeyReused):
            make(key="a" * 64, description="another body")
        assert WebhookEndpoint.objects.count() == 1

    def test_has_an_end_for_each_merchant(self, make):
        made = [make()[0] for _n in range(MAX_ENDPOINTS)]
        with pytest.raises(TooManyEndpoints):
            make()
        make(merchant=create_merchant(name="Rival"))
        delete_endpoint(made[0])
        make()

    def test_leaves_no_secret_in_what_is_shown(self, make):
        endpoint, secret = make()
        send_test_event(endpoint)
        assert secret not in Event.objects.get().payload
        assert secret not in repr(endpoint)


class TestFilter:
    @pytest.mark.parametrize(
        ("pattern", "event_type", "expected"),
        [
            ("*", "payment.created", True),
            ("payment.*", "payment.created", True),
            ("payment.created", "payment.created", True),
            ("payment.created", "payment.completed", False),
            ("payment.*", "payments.created", False),
            ("payment.*", "refund.created", False),
            ("webhook_endpoint.*", "webhook_endpoint.disabled", True),
        ],
    )
    def test_takes_what_it_names(self, pattern, event_type, expected):
        assert matches(pattern, event_type) is expected

    def test_has_a_pattern_for_every_type_that_one_can_listen_to(self):
        for event_type in EVENT_TYPES:
            assert {event_type.partition(".")[0] + ".*", "*"} <= set(PATTERNS)
            assert (event_type in PATTERNS) is (event_type != "webhook_endpoint.test")


class TestListening:
    def test_gives_each_event_one_delivery_for_each_endpoint_that_asked(self, endpoint, tell):
        disable_endpoint(endpoint("slow"))
        everything, failures, others = endpoint(), endpoint("204", ["payment.failed"]), endpoint("500", ["payment.*"])
        created, failed = tell("payment.created"), tell("payment.failed")
        assert set(WebhookDelivery.objects.values_list("event", "endpoint")) == {
            (created.pk, everything.pk),
            (created.pk, others.pk),
            (failed.pk, everything.pk),
            (failed.pk, others.pk),
            (failed.pk, failures.pk),
        }

    def test_hears_of_its_own_merchant_only(self, endpoint, tell):
        rival = create_merchant(name="Rival")
        mine, theirs = endpoint(), endpoint(merchant=rival)
        tell()
        assert WebhookDelivery.objects.get().endpoint == mine
        tell(merchant=rival, object_id="pay_2")
        assert WebhookDelivery.objects.get(merchant=rival).endpoint == theirs

    def test_costs_a_change_without_listeners_one_query(self, tell, django_assert_num_queries):
        with django_assert_num_queries(5):  # savepoint, sequence, event, endpoints, release
            tell()

    def test_is_kept_by_the_database_to_one_delivery_each(self, endpoint, tell):
        made = endpoint()
        event = tell()
        with pytest.raises(IntegrityError):
            WebhookDelivery.objects.create(merchant=event.merchant, event=event, endpoint=made, due_at=event.created_at)


class TestChanges:
    def test_are_all_or_nothing(self, make):
        endpoint, _secret = make()
        with pytest.raises(EventTypeUnknown):
            update_endpoint(endpoint, url="https://other.shop.com/", event_types=["x"])
        with pytest.raises(UrlForbidden):
            update_endpoint(endpoint, url="https://10.0.0.1/")
        endpoint.refresh_from_db()
        assert endpoint.url == URL

    def test_hold_for_what_is_on_its_way(self, endpoint, tell, send, sink):
        made = endpoint("500")
        tell()
        changed = update_endpoint(made, url=sink.url("200"), description="moved")
        assert changed.description == "moved"
        send()
        assert (len(sink.at("500")), len(sink.at("200"))) == (0, 1)

    def test_of_status_follow_the_table(self, make):
        endpoint, _secret = make()
        with pytest.raises(IllegalTransition):
            enable_endpoint(endpoint)
        assert disable_endpoint(endpoint).disabled_reason == "requested"
        with pytest.raises(IllegalTransition):
            disable_endpoint(endpoint)
        assert enable_endpoint(endpoint).disabled_reason == ""

    def test_that_disable_it_tell_the_others(self, endpoint, send, bodies):
        endpoint("200", ["webhook_endpoint.disabled"])
        made = endpoint("204")
        disable_endpoint(made)
        send()
        [told] = bodies("200")
        assert (told["object_id"], told["data"]["disabled_reason"]) == (made.pk, "requested")
        assert bodies("204") == []

    def test_that_disable_it_write_no_mail_to_those_who_did_it(self, owner, make):
        endpoint, _secret = make()
        disable_endpoint(endpoint)
        assert Event.objects.get().type == "webhook_endpoint.disabled"
        assert not Email.objects.exists()

    def test_begin_with_a_clean_slate_when_it_is_enabled(self, endpoint, tell, send):
        made = endpoint("500")
        tell()
        send()
        disable_endpoint(made)
        enabled = enable_endpoint(made)
        assert (enabled.failures, enabled.failing_since) == (0, None)

    def test_stop_what_was_on_its_way_when_it_is_disabled(self, endpoint, tell, only, send, sink):
        made = endpoint()
        tell()
        disable_endpoint(made)
        assert (only().status, only().due_at) == ("failed", None)
        assert send() == 0
        assert sink.received == []

    def test_forget_the_secrets_of_a_deleted_endpoint(self, make):
        endpoint, _secret = make(key="k" * 64)
        rotate_secret(endpoint), rotate_secret(endpoint)
        delete_endpoint(endpoint)
        endpoint.refresh_from_db()
        assert (endpoint.secret, endpoint.previous_secret, endpoint.older_secret) == ("", None, None)
        assert not WebhookEndpoint.objects.kept().exists()
        for change in (delete_endpoint, enable_endpoint, disable_endpoint, rotate_secret, send_test_event):
            with pytest.raises(NotFound):
                change(endpoint)


class TestTestEvent:
    def test_goes_to_this_endpoint_alone_whatever_it_listens_to(self, endpoint, send, bodies):
        made = endpoint(event_types=["payment.failed"])
        endpoint("204")
        delivery = send_test_event(made)
        send()
        delivery.refresh_from_db()
        assert delivery.status == "delivered"
        assert [(body["type"], body["data"]["id"]) for body in bodies("200")] == [("webhook_endpoint.test", made.pk)]
        assert bodies("204") == []

    def test_counts_up(self, endpoint):
        made = endpoint()
        assert [send_test_event(made).event.sequence for _n in range(2)] == [1, 2]

    def test_is_not_for_an_endpoint_that_is_disabled(self, endpoint):
        made = endpoint()
        disable_endpoint(made)
        with pytest.raises(EndpointDisabled):
            send_test_event(made)
