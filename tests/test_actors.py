"""Every event says who caused it: the key or the person of the request, or nobody in particular."""

from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import pytest
import requests
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.test import RequestFactory

from accounts.models import User
from accounts.services.keys import create_key
from config.back_office import acting_staff
from core.actor import current_actor, set_actor
from notifications.models import Event
from notifications.services import create_endpoint

JSON = "application/json"
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
NOBODY = None


@pytest.fixture
def key(shop, owner_user):
    """An API key of the shop that may do everything a key can, and the headers of its requests."""
    scopes = ["payments:read", "payments:write", "refunds:read", "refunds:write", "events:read", "webhooks:write"]
    row, secret = create_key(shop, by=owner_user, by_role="owner", key=None, name="Shop", scopes=scopes)
    return row.pk, {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def person(member):
    """`person("support")`: the id and the headers of a member of the shop."""

    def make(role):
        headers = member(role)
        return User.objects.get(email=f"{role}@shop.example.com").pk, headers

    return make


@pytest.fixture
def post(api):
    def send(path, headers=None, **body):
        answer = api.post(f"/api/v1/{path}", body, headers=headers, content_type=JSON)
        assert answer.status_code < 300, answer.content
        return answer.json()

    return send


@pytest.fixture
def told(api, owner):
    """`told("refund.created")`: who did that, of every event of this type, as /events shows them."""

    def read(event_type):
        rows = api.get(f"/api/v1/events?type={event_type}", headers=owner).json()["events"]
        return [row["actor"] for row in rows]

    return read


class TestActor:
    def test_of_a_payment_is_the_key_that_made_it_and_then_nobody(self, pay, key, work, told):
        key_id, headers = key
        pay(headers=headers, **CARD)
        work()
        assert told("payment.created") == [key_id]
        assert told("payment.processing") == told("payment.completed") == [NOBODY]

    def test_of_an_anonymous_payment_is_nobody(self, pay, told):
        pay()
        assert told("payment.created") == [NOBODY]

    def test_of_a_payment_is_the_person_who_is_logged_in(self, pay, person, told):
        user_id, headers = person("support")
        pay(headers=headers)
        assert told("payment.created") == [user_id]

    def test_of_a_capture_is_whoever_captures(self, pay, post, key, person, work, told):
        user_id, headers = person("support")
        payment = pay(headers=key[1], capture_method="manual", **CARD).json()["payment"]
        work()
        post(f"payments/{payment['id']}/capture", headers)
        assert told("payment.authorized") == [NOBODY]
        assert told("payment.completed") == [user_id]

    def test_of_a_cancellation_is_whoever_cancels(self, pay, post, key, told):
        key_id, headers = key
        post(f"payments/{pay().json()['payment']['id']}/cancel", headers)
        assert told("payment.created") == [NOBODY]
        assert told("payment.cancelled") == [key_id]

    def test_of_a_cancellation_by_the_payer_is_nobody(self, api, pay, told):
        api.post(f"/pay/{pay().json()['payment']['id']}/cancel")
        assert told("payment.cancelled") == [NOBODY]

    def test_of_a_refund_is_who_asks_and_then_who_approves(self, shop, pay, post, person, work, told):
        shop.refund_approval_limit = 0
        shop.save()
        asks, approves = person("support"), person("finance")
        payment = pay(**CARD).json()["payment"]
        work()
        refund = post(f"payments/{payment['id']}/refund", asks[1])["refund"]
        post(f"refunds/{refund['id']}/approve", approves[1])
        work()
        assert told("refund.created") == [asks[0]]
        assert told("refund.pending") == [approves[0]]
        assert told("refund.processing") == told("refund.succeeded") == told("payment.refunded") == [NOBODY]

    def test_of_a_disabled_endpoint_is_who_disabled_it(self, shop, post, person, told):
        user_id, headers = person("developer")
        endpoint, _secret = create_endpoint(shop, url="https://shop.example.com/hook", event_types=["*"])
        post(f"webhook-endpoints/{endpoint.pk}/disable", headers)
        assert told("webhook_endpoint.disabled") == [user_id]

    def test_of_a_test_event_is_who_sends_it(self, shop, post, key, told):
        key_id, headers = key
        endpoint, _secret = create_endpoint(shop, url="https://shop.example.com/hook", event_types=["*"])
        post(f"webhook-endpoints/{endpoint.pk}/test", headers)
        assert told("webhook_endpoint.test") == [key_id]


class TestAnotherRequest:
    """Of the same thread, which is where the actor is kept."""

    def test_does_not_inherit_the_actor(self, api, pay, key, told):
        pay(headers=key[1])
        api.get("/api/v1/events", headers=key[1])
        pay()
        assert told("payment.created") == [NOBODY, key[0]]

    @pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/nothing", "/api/v1/auth/me"])
    def test_begins_with_nobody_whatever_became_of_the_last(self, api, shop, key, path):
        api.get(path, headers=key[1])
        assert current_actor() == ""

    def test_is_not_marked_by_a_credential_that_is_refused(self, api, pay, key, told):
        assert pay(headers={"Authorization": "Bearer sk_nothing"}).status_code == 401
        assert api.post("/api/v1/payments", {}, headers=key[1], content_type=JSON).status_code == 400
        pay()
        assert told("payment.created") == [NOBODY]

    @pytest.mark.django_db(transaction=True)
    def test_of_another_thread_of_the_server_has_its_own(self, server_url, key):
        """Both come to the same threads of a real server, many at once."""
        body = {"customer_name": "John Doe", "customer_email": "john@example.com", "amount": 50}

        def create(headers):
            answer = requests.post(f"{server_url}/api/v1/payments", json=body, headers=headers, timeout=60)
            assert answer.status_code == 201, answer.text
            return answer.json()["payment"]["id"], key[0] if headers else ""

        senders = list(islice(cycle([key[1], {}]), 40))
        with ThreadPoolExecutor(8) as pool:
            made = dict(pool.map(create, senders))
        assert dict(Event.objects.values_list("object_id", "actor")) == made


class TestStaff:
    @pytest.fixture
    def visit(self):
        """Who acts when this user opens that page."""

        def actor_of(user, path):
            request = RequestFactory().get(path)
            request.user = user
            try:
                return acting_staff(lambda _request: HttpResponse(current_actor()))(request).content.decode()
            finally:
                set_actor("")

        return actor_of

    def test_acts_in_the_back_office_and_nowhere_else(self, db, visit):
        staff = User.objects.create_user("support@example.com", is_staff=True)
        assert visit(staff, "/admin/notifications/webhookendpoint/") == staff.pk
        assert visit(staff, "/pay/pay_1") == ""
        assert visit(AnonymousUser(), "/admin/login/") == ""

    def test_is_forgotten_after_the_request(self, client, db):
        client.force_login(User.objects.create_superuser("root@example.com", "a password of tests"))
        assert client.get("/admin/").status_code == 200
        assert current_actor() == ""
