"""Events and webhooks by API."""

from datetime import timedelta
from functools import partial

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from accounts.policy import POLICY
from accounts.services import create_key
from core.ids import new_id
from notifications.models import EVENT_TYPES, Event, WebhookDelivery, WebhookEndpoint
from notifications.services import COMMIT_SECONDS
from notifications.services.events import READ_PERMISSIONS

JSON = "application/json"
URL = "https://shop.example.com/hooks"


@pytest.fixture
def send(api, owner):
    """`send("post", "webhook-endpoints", url=…)` as the shop's owner."""

    def request(method, path, headers=None, **body):
        headers = {**owner, **(headers or {})}
        options = {} if method == "get" else {"content_type": JSON}
        return getattr(api, method)(f"/api/v1/{path}", body or None, headers=headers, **options)

    return request


@pytest.fixture
def endpoint(send):
    return send("post", "webhook-endpoints", url=URL, event_types=["payment.*"]).json()["webhook_endpoint"]


def error_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


class TestEvents:
    def test_are_listed_with_the_object_as_it_was(self, send, pay):
        payment = pay(amount="50.00").json()["payment"]
        answer = send("get", "events?type=payment.created")
        event = answer.json()["events"][0]
        assert (event["type"], event["object_id"], event["sequence"]) == ("payment.created", payment["id"], 1)
        assert event["data"]["status"] == "pending"
        assert b'"amount":50.00,' in answer.content
        assert send("get", f"events/{event['id']}").json()["event"] == event

    def test_of_one_object_are_found(self, send, pay):
        payment = pay().json()["payment"]
        pay()
        events = send("get", f"events?object_id={payment['id']}").json()["events"]
        assert [event["object_id"] for event in events] == [payment["id"]]

    @pytest.mark.parametrize("query", ["type=payment.exploded", "object=x", "created_after=yesterday"])
    def test_refuse_parameters_that_make_no_sense(self, send, query):
        assert send("get", f"events?{query}").status_code == 400


class TestFollowing:
    """A program that goes along the events, the oldest first, two at a time."""

    @pytest.fixture
    def follow(self, api, owner):
        """The events that the program has not seen yet; where there is no next page it asks the last one again."""
        at, seen = ["/api/v1/events?ordering=created&page_size=2"], []

        def new():
            found, url = [], at[0]
            while url:
                at[0] = url
                page = api.get(url, headers=owner).json()
                found += [event["object_id"] for event in page["events"] if event["id"] not in seen]
                seen.extend(event["id"] for event in page["events"])
                url = page["next"]
            return found

        return new

    def test_misses_none_whose_commit_came_late(self, shop, follow, tell, time_machine):
        start = timezone.now()
        for number in range(3):
            time_machine.move_to(start + timedelta(seconds=number))
            tell(object_id=f"old {number}")
        time_machine.move_to(start + timedelta(seconds=60))
        assert follow() == ["old 0", "old 1", "old 2"]
        tell(object_id="quick")
        assert follow() == []
        begun = timezone.now() - timedelta(seconds=COMMIT_SECONDS - 5)
        common = {"type": "payment.created", "sequence": 1, "payload": "{}"}
        Event.objects.create(id=new_id("evt", at=begun), merchant=shop, object_id="slow", **common)
        time_machine.move_to(start + timedelta(seconds=60 + COMMIT_SECONDS + 1))
        assert follow() == ["slow", "quick"]

    def test_is_for_programs_people_see_the_newest_at_once(self, send, tell):
        tell()
        assert len(send("get", "events").json()["events"]) == 1


class TestEndpoints:
    def test_are_made_with_a_secret_that_is_shown_once(self, send, endpoint):
        assert endpoint["secret"].startswith("whsec_")
        assert (endpoint["url"], endpoint["event_types"], endpoint["status"]) == (URL, ["payment.*"], "enabled")
        seen = send("get", f"webhook-endpoints/{endpoint['id']}").json()["webhook_endpoint"]
        assert "secret" not in seen
        assert endpoint["secret"] not in send("get", "webhook-endpoints").content.decode()

    def test_a_repeated_request_makes_one(self, send):
        fields = {"url": URL, "event_types": ["*"]}
        first = send("post", "webhook-endpoints", {"Idempotency-Key": "k"}, **fields)
        again = send("post", "webhook-endpoints", {"Idempotency-Key": "k"}, **fields)
        assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
        assert again.json()["webhook_endpoint"] == {**first.json()["webhook_endpoint"], "secret": None}
        assert again.json()["message"] == "Endpoint was made before, and is enabled."
        send("delete", f"webhook-endpoints/{first.json()['webhook_endpoint']['id']}")
        gone = send("post", "webhook-endpoints", {"Idempotency-Key": "k"}, **fields)
        assert gone.json()["webhook_endpoint"]["status"] == "deleted"
        assert gone.json()["message"] == "Endpoint was made before, and is deleted."

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"url": "http://127.0.0.1/"}, "url_forbidden"),
            ({"url": "https://169.254.169.254/latest"}, "url_forbidden"),
            ({"url": "https://user@shop.example.com/"}, "url_forbidden"),
            ({"url": "javascript:alert(1)"}, "url_forbidden"),
            ({"url": ""}, "parameter_missing"),
            ({"event_types": []}, "parameter_invalid"),
            ({"event_types": ["payment.exploded"]}, "parameter_invalid"),
            ({"event_types": "payment.*"}, "parameter_invalid"),
            ({"secret": "whsec_mine"}, "parameter_unknown"),
        ],
    )
    def test_refuse_nonsense(self, send, fields, code):
        answer = send("post", "webhook-endpoints", **{"url": URL, "event_types": ["*"], **fields})
        assert error_of(answer) == (400, code)
        assert not WebhookEndpoint.objects.exists()

    def test_change_and_are_deleted(self, send, endpoint):
        path = f"webhook-endpoints/{endpoint['id']}"
        changed = send("patch", path, description="Orders", event_types=["refund.*"]).json()["webhook_endpoint"]
        assert (changed["description"], changed["event_types"], changed["url"]) == ("Orders", ["refund.*"], URL)
        answer = send("delete", path)
        assert (answer.status_code, answer.json()["webhook_endpoint"]["status"]) == (200, "deleted")
        assert send("get", path).status_code == 404
        assert send("get", "webhook-endpoints").json()["webhook_endpoints"] == []

    def test_get_another_secret(self, send, endpoint):
        rotated = send("post", f"webhook-endpoints/{endpoint['id']}/rotate-secret").json()["webhook_endpoint"]
        assert rotated["secret"].startswith("whsec_")
        assert rotated["secret"] != endpoint["secret"]

    def test_end_an_old_secret_when_asked(self, send, endpoint):
        path = f"webhook-endpoints/{endpoint['id']}/rotate-secret"
        for hours, left in ((24, True), (0, False)):
            assert send("post", path, overlap_hours=hours).status_code == 200
            assert bool(WebhookEndpoint.objects.get().previous_secret) is left
        for hours in (-1, 25, "x"):
            assert error_of(send("post", path, overlap_hours=hours)) == (400, "parameter_invalid")

    def test_are_disabled_and_enabled(self, send, endpoint, pay):
        path = f"webhook-endpoints/{endpoint['id']}"
        assert send("post", f"{path}/disable").json()["webhook_endpoint"]["disabled_reason"] == "requested"
        assert error_of(send("post", f"{path}/disable")) == (409, "illegal_transition")
        assert error_of(send("post", f"{path}/test")) == (409, "webhook_endpoint_disabled")
        pay()
        assert not WebhookDelivery.objects.exists()
        assert send("post", f"{path}/enable").json()["webhook_endpoint"]["status"] == "enabled"
        time = {"since": "2000-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
        assert send("post", f"{path}/replay", **time).json()["replay"] == {"events": 1}
        assert WebhookDelivery.objects.get().event.type == "payment.created"


class TestReplay:
    def test_may_be_of_all_that_was_missed(self, send, endpoint, pay):
        pay()
        WebhookDelivery.objects.update(status="failed", due_at=None)
        assert send("post", f"webhook-endpoints/{endpoint['id']}/replay").json()["replay"] == {"events": 1}

    def test_of_a_time_that_ends_before_it_begins_is_refused(self, send, endpoint):
        time = {"since": "2026-11-21T00:00:00Z", "until": "2026-11-20T00:00:00Z"}
        answer = send("post", f"webhook-endpoints/{endpoint['id']}/replay", **time)
        assert error_of(answer) == (400, "parameter_invalid")
        assert answer.json()["error"]["param"] == "until"


class TestDeliveries:
    def test_are_listed_and_told_in_full(self, send, endpoint, pay):
        pay()
        delivery = send("get", f"webhook-deliveries?endpoint_id={endpoint['id']}").json()["webhook_deliveries"][0]
        assert (delivery["event_type"], delivery["status"], delivery["attempts"]) == ("payment.created", "pending", 0)
        seen = send("get", f"webhook-deliveries/{delivery['id']}").json()["webhook_delivery"]
        assert seen == {**delivery, "log": []}

    def test_show_exactly_what_would_be_sent(self, send, endpoint, pay):
        pay()
        delivery = WebhookDelivery.objects.get()
        message = send("get", f"webhook-deliveries/{delivery.pk}/preview").json()["webhook"]
        assert message["url"] == URL
        assert message["headers"]["webhook-id"] == Event.objects.get().pk
        assert message["headers"]["webhook-signature"].startswith("v1,")
        assert '"type":"payment.created"' in message["body"]

    def test_show_what_would_be_sent_to_nobody_who_may_only_look(self, api, send, endpoint, pay, shop, owner_user):
        """The key may not read payments, and has no use for a message of ours with a signature of this moment."""
        pay()
        delivery = WebhookDelivery.objects.get()
        who = {"by": owner_user, "by_role": "owner", "key": None}
        _row, secret = create_key(shop, **who, name="Monitor", scopes=["webhooks:read"])
        key = {"Authorization": f"Bearer {secret}"}
        path = f"/api/v1/webhook-deliveries/{delivery.pk}"
        assert api.get(path, headers=key).status_code == 200
        assert api.get(f"{path}/preview", headers=key).status_code == 403
        path = f"/api/v1/webhook-endpoints/{endpoint['id']}/diagnose"
        message = {"body": "{}", "headers": {"webhook-id": delivery.event_id}}
        assert api.post(path, message, headers=key, content_type=JSON).status_code == 403

    def test_of_a_deleted_endpoint_are_kept_and_sent_no_more(self, send, endpoint, pay):
        pay()
        send("delete", f"webhook-endpoints/{endpoint['id']}")
        path = f"webhook-deliveries/{WebhookDelivery.objects.get().pk}"
        assert send("get", path).json()["webhook_delivery"]["status"] == "failed"
        assert send("get", f"{path}/preview").status_code == 404
        assert send("post", f"{path}/retry").status_code == 404

    def test_are_sent_again(self, send, endpoint, pay):
        pay()
        WebhookDelivery.objects.update(status="failed", due_at=None)
        delivery = WebhookDelivery.objects.get()
        answer = send("post", f"webhook-deliveries/{delivery.pk}/retry").json()["webhook_delivery"]
        assert (answer["status"], answer["attempts"]) == ("pending", 0)
        assert answer["next_attempt_at"]

    def test_a_test_event_goes_to_the_one_endpoint(self, send, endpoint):
        send("post", "webhook-endpoints", url=URL, event_types=["*"])
        answer = send("post", f"webhook-endpoints/{endpoint['id']}/test")
        assert answer.json()["webhook_delivery"]["event_type"] == "webhook_endpoint.test"
        assert WebhookDelivery.objects.get().endpoint_id == endpoint["id"]


class TestUnreadableSecret:
    """ENCRYPTION_KEYS no longer open the endpoint's secrets."""

    @pytest.fixture
    def path(self, send, endpoint, pay, settings):
        pay()
        path = f"webhook-endpoints/{endpoint['id']}"
        for _n in range(2):
            send("post", f"{path}/rotate-secret")
        settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
        return path

    @pytest.fixture
    def delivery(self, path):
        return f"webhook-deliveries/{WebhookDelivery.objects.get().pk}"

    def test_stops_nothing_that_needs_no_secret(self, send, path, delivery):
        ever = {"since": "2000-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
        for method, asked, body in [
            ("get", "webhook-endpoints", {}),
            ("get", path, {}),
            ("patch", path, {"description": "Shop"}),
            ("get", delivery, {}),
            ("post", f"{delivery}/retry", {}),
            ("post", f"{path}/test", {}),
            ("post", f"{path}/disable", {}),
            ("post", f"{path}/enable", {}),
            ("post", f"{path}/replay", ever),
            ("delete", path, {}),
        ]:
            assert send(method, asked, **body).status_code == 200, asked

    def test_is_said_where_it_is_needed(self, api, owner, send, path, delivery):
        assert error_of(send("get", f"{delivery}/preview")) == (409, "webhook_secret_unreadable")
        body = {"body": "{}", "headers": {"webhook-id": "evt_1"}}
        answer = api.post(f"/api/v1/{path}/diagnose", body, content_type=JSON, headers=owner)
        assert error_of(answer) == (409, "webhook_secret_unreadable")

    def test_is_mended_by_a_rotation(self, send, path, delivery):
        assert send("post", f"{path}/rotate-secret").json()["webhook_endpoint"]["secret"].startswith("whsec_")
        message = send("get", f"{delivery}/preview").json()["webhook"]
        assert len(message["headers"]["webhook-signature"].split()) == 1

    def test_shows_in_no_replay_of_its_creation(self, send, settings):
        create = partial(send, "post", "webhook-endpoints", {"Idempotency-Key": "k"}, url=URL, event_types=["*"])
        create()
        settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
        assert create()["Idempotent-Replayed"] == "true"


class TestWhoMay:
    @pytest.mark.parametrize(
        ("role", "status"), [("developer", 200), ("admin", 200), ("finance", 403), ("viewer", 403)]
    )
    def test_webhooks_are_for_those_who_build(self, api, member, role, status):
        assert api.get("/api/v1/webhook-endpoints", headers=member(role)).status_code == status


class TestWhoSees:
    """Of four events, one of each kind of object."""

    KINDS = {"payment", "refund", "payout", "webhook_endpoint"}

    @pytest.fixture
    def happened(self, tell):
        types = ["payment.created", "refund.created", "payout.paid", "webhook_endpoint.disabled"]
        return {name.partition(".")[0]: tell(name, object_id=name).pk for name in types}

    @pytest.fixture
    def key(self, shop, owner_user):
        """`key("payments:read")`: the headers of a key that may read events, and this."""

        def make(*scopes):
            _row, secret = create_key(
                shop, by=owner_user, by_role="owner", key=None, name="x", scopes=["events:read", *scopes]
            )
            return {"Authorization": f"Bearer {secret}"}

        return make

    @pytest.fixture
    def seen(self, api, happened):
        """The kinds whose events these headers see, in a list and one by one."""

        def kinds(headers):
            listed = {event["id"] for event in api.get("/api/v1/events", headers=headers).json()["events"]}
            for kind, event in happened.items():
                status = api.get(f"/api/v1/events/{event}", headers=headers).status_code
                assert status == (200 if event in listed else 404), kind
            return {kind for kind, event in happened.items() if event in listed}

        return kinds

    @pytest.mark.parametrize(
        ("role", "hidden"),
        [
            ("owner", set()),
            ("admin", set()),
            ("finance", {"webhook_endpoint"}),
            ("viewer", {"webhook_endpoint"}),
            ("developer", {"payout"}),
            ("support", {"payout", "webhook_endpoint"}),
        ],
    )
    def test_members_see_events_of_what_they_may_read(self, seen, member, role, hidden):
        assert seen(member(role)) == self.KINDS - hidden

    @pytest.mark.parametrize(
        ("scopes", "kinds"),
        [
            ([], set()),
            (["payments:read"], {"payment"}),
            (["refunds:read", "payouts:read"], {"refund", "payout"}),
            (["webhooks:read"], {"webhook_endpoint"}),
        ],
    )
    def test_keys_see_events_of_what_they_may_read(self, seen, key, scopes, kinds):
        assert seen(key(*scopes)) == kinds

    def test_a_type_that_one_may_not_read_has_no_events(self, api, member, happened):
        answer = api.get("/api/v1/events?type=payout.paid,payment.created", headers=member("support"))
        assert [event["id"] for event in answer.json()["events"]] == [happened["payment"]]
        assert api.get("/api/v1/events?type=payout.paid", headers=member("developer")).json()["events"] == []

    def test_every_type_says_who_may_read_it(self):
        assert {name.partition(".")[0] for name in EVENT_TYPES} == set(READ_PERMISSIONS)
        assert set(READ_PERMISSIONS.values()) <= set(POLICY)
