"""Webhooks in the back office: everything but the secrets to see, and two buttons to help with."""

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin.models import LogEntry

from accounts.models import User
from accounts.services import support_group
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.services import disable_endpoint

pytestmark = pytest.mark.django_db

LISTS = {
    model: f"/admin/notifications/{model.__name__.lower()}/"
    for model in (WebhookEndpoint, WebhookDelivery, WebhookAttempt)
}


@pytest.fixture
def desk(client):
    user = User.objects.create_user("support@example.com", is_staff=True)
    user.groups.add(support_group())
    client.force_login(user)
    return client


@pytest.fixture
def failed(endpoint, tell, send):
    """A delivery that has failed once, with its endpoint and its attempt."""
    endpoint("500", description="The shop's own")
    tell()
    send()
    return WebhookDelivery.objects.get()


class TestPages:
    @pytest.mark.parametrize("model", LISTS, ids=lambda model: model.__name__)
    def test_show_lists_and_details_that_nobody_can_edit(self, desk, failed, model):
        row = model.objects.defer("secret" if model is WebhookEndpoint else "id").get()
        page = f"{LISTS[model]}{row.pk}/change/"
        assert row.pk in desk.get(LISTS[model]).content.decode()
        assert row.pk in desk.get(page).content.decode()
        assert desk.post(page, {"url": "https://evil.com/"}).status_code == 403
        assert desk.get(f"{LISTS[model]}add/").status_code == 403

    def test_show_no_secret(self, desk, failed):
        secret = failed.endpoint.secret
        for path in LISTS.values():
            assert secret not in desk.get(path).content.decode()
        page = desk.get(f"{LISTS[WebhookEndpoint]}{failed.endpoint_id}/change/").content.decode()
        assert "The shop&#x27;s own" in page
        assert secret not in page

    def test_show_what_was_answered(self, desk, failed):
        page = desk.get(f"{LISTS[WebhookDelivery]}{failed.pk}/change/").content.decode()
        assert "thanks" in page
        assert failed.event.type in page

    def test_show_an_endpoint_whose_secret_is_lost(self, desk, failed, settings):
        settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
        assert desk.get(LISTS[WebhookEndpoint]).status_code == 200
        assert desk.get(f"{LISTS[WebhookEndpoint]}{failed.endpoint_id}/change/").status_code == 200
        assert desk.get(f"{LISTS[WebhookDelivery]}{failed.pk}/change/").status_code == 200

    @pytest.mark.parametrize("model", LISTS, ids=lambda model: model.__name__)
    def test_cost_the_same_however_many_rows(self, desk, endpoint, tell, send, model, django_assert_max_num_queries):
        for _n in range(4):
            endpoint("500")
        tell()
        send()
        with django_assert_max_num_queries(13):
            desk.get(LISTS[model])

    @pytest.mark.parametrize("model", LISTS, ids=lambda model: model.__name__)
    def test_find_by_id(self, desk, failed, model):
        row = model.objects.values_list("pk", flat=True).get()
        assert row in desk.get(LISTS[model], {"q": row[:20]}).content.decode()
        assert row not in desk.get(LISTS[model], {"q": f"{row[:3]}0000"}).content.decode()


def press(desk, model, row, action):
    """The button of a detail page, as its dialog posts it."""
    return desk.post(f"{LISTS[model]}{row.pk}/{action}/", {"_form_submitted": "True"})


class TestButtons:
    def test_send_again_makes_a_delivery_due(self, desk, failed, sink, send):
        response = press(desk, WebhookDelivery, failed, "send_this")
        assert response["HX-Redirect"].endswith(f"{failed.pk}/change/")
        assert send() == 1
        assert len(sink.at("500")) == 2
        assert "again" in LogEntry.objects.get().change_message

    def test_send_again_works_for_many(self, desk, failed, send):
        chosen = {"action": "send_these", "_selected_action": [failed.pk]}
        assert desk.post(LISTS[WebhookDelivery], chosen).status_code == 302
        assert send() == 1

    def test_send_again_says_when_the_endpoint_is_disabled(self, desk, failed):
        disable_endpoint(failed.endpoint)
        press(desk, WebhookDelivery, failed, "send_this")
        page = desk.get(LISTS[WebhookDelivery]).content.decode()
        assert "The webhook endpoint is disabled." in page

    def test_send_again_is_for_deliveries_that_are_still_kept(self, desk, failed):
        failed.event.delete()
        assert press(desk, WebhookDelivery, failed, "send_this").status_code == 403

    def test_enable_is_for_endpoints_that_are_disabled(self, desk, failed):
        endpoint = failed.endpoint
        assert press(desk, WebhookEndpoint, endpoint, "enable_this").status_code == 403
        disable_endpoint(endpoint)
        press(desk, WebhookEndpoint, endpoint, "enable_this")
        endpoint.refresh_from_db()
        assert endpoint.is_enabled
        assert LogEntry.objects.count() == 1

    def test_are_for_staff_who_may_look(self, client, failed):
        client.force_login(User.objects.create_user("new@example.com", is_staff=True))
        assert press(client, WebhookDelivery, failed, "send_this").status_code == 403
        assert press(client, WebhookEndpoint, failed.endpoint, "enable_this").status_code == 403
