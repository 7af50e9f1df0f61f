"""The back office as a whole: complete, closed to strangers, and strict about what a page may load."""

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.urls import reverse

from accounts.models import User
from accounts.services import support_group

pytestmark = pytest.mark.django_db

OURS = ("accounts", "notifications", "ledger", "sandbox", "payments", "refunds", "core", "checkout", "config")
# Lines are on the page of their journal or payout; settlements and snapshots follow from the journals.
IN_THE_BOOKS = {"Entry", "PayoutLine", "Settlement", "Snapshot"}
MODELS = [
    model for app in OURS for model in apps.get_app_config(app).get_models() if model.__name__ not in IN_THE_BOOKS
]


@pytest.fixture
def staff():
    user = User.objects.create_user("support@example.com", is_staff=True)
    user.groups.add(support_group())
    return user


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
class TestEveryModel:
    def test_is_registered(self, model):
        assert model in admin.site._registry

    def test_has_a_list_that_support_may_see_and_strangers_may_not(self, client, staff, model):
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        assert client.get(path)["Location"] == f"/admin/login/?next={path}"
        client.force_login(staff)
        assert client.get(path).status_code == 200
        assert path in client.get("/admin/").content.decode()  # the navigation leads there


class TestNullCharacter:
    @pytest.mark.parametrize("path", ["?type=%00", "?q=%00", "?id__exact=a%00b", "%00/change/", "pay_%00/history/"])
    def test_in_a_path_or_filter_is_a_400(self, client, staff, path):
        client.force_login(staff)
        for name in ("payments_payment", "notifications_event"):
            response = client.get(reverse(f"admin:{name}_changelist") + path)
            assert response.status_code == 400
            assert "could not be read" in response.content.decode()


class TestFirstPage:
    def test_costs_few_queries(self, client, staff, django_assert_max_num_queries):
        client.force_login(staff)
        with django_assert_max_num_queries(25):
            client.get("/admin/")

    def test_shows_staff_without_permissions_nothing(self, client):
        client.force_login(User.objects.create_user("new@example.com", is_staff=True))
        response = client.get("/admin/")
        assert response.status_code == 200
        assert response.context["attention"] == response.context["latest"] == []
        assert "/admin/payments/" not in response.content.decode()


class TestContentPolicy:
    def test_is_wider_under_admin_and_nowhere_else(self, client):
        assert "'unsafe-eval'" in client.get("/admin/login/")["Content-Security-Policy"]
        for path in ("/", "/admin", "/administration", "/api/v1/health", "/no/such/page"):
            policy = client.get(path)["Content-Security-Policy"]
            assert "unsafe" not in policy

    def test_lets_no_inline_script_run_and_nothing_be_loaded_from_elsewhere(self, client):
        policy = client.get("/admin/login/")["Content-Security-Policy"]
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert directives["script-src"] == "'self' 'unsafe-eval'"
        assert directives["default-src"] == directives["frame-ancestors"] == "'none'"
        assert "http" not in policy

    def test_holds_for_the_middleware_order(self):
        order = settings.MIDDLEWARE
        assert order.index("csp.middleware.CSPMiddleware") < order.index("config.back_office.content_policy")
