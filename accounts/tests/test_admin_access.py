"""Members, keys and log-ins in the back office."""

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from accounts.models import ApiKey, Login, Membership, User
from accounts.services import create_merchant
from accounts.tests.conftest import MERCHANTS, NO_MEMBERS, USERS, do, merchant_form

pytestmark = pytest.mark.django_db

MEMBERS, KEYS, LOGINS = "/admin/accounts/membership/", "/admin/accounts/apikey/", "/admin/accounts/login/"


class TestMembers:
    @pytest.fixture
    def owner(self):
        return User.objects.create_user("owner@example.com", name="Olivia")

    def row(self, number, **fields):
        return {f"memberships-{number}-{name}": value for name, value in fields.items()}

    def test_are_made_of_users_under_their_address(self, office, shop, owner):
        response = office.post(f"{MEMBERS}add/", {"merchant": shop.pk, "user": owner.pk, "role": "owner"})
        assert response.status_code == 302
        member = Membership.objects.get()
        assert (member.email, member.user, member.role) == ("owner@example.com", owner, "owner")
        assert member.joined_at is not None

    @pytest.mark.parametrize("missing", ["merchant", "user", "role"])
    def test_are_not_made_of_less(self, office, shop, owner, missing):
        fields = {"merchant": shop.pk, "user": owner.pk, "role": "owner"}
        assert office.post(f"{MEMBERS}add/", {**fields, missing: ""}).status_code == 200
        assert not Membership.objects.exists()

    @pytest.mark.parametrize("invited", [True, False])
    def test_are_not_made_twice(self, office, shop, owner, invited):
        Membership.objects.create(merchant=shop, user=None if invited else owner, email=owner.email, role="viewer")
        response = office.post(f"{MEMBERS}add/", {"merchant": shop.pk, "user": owner.pk, "role": "owner"})
        assert b"on the team, or invited to it, already" in response.content
        assert Membership.objects.get().role == "viewer"

    def test_are_made_and_changed_on_the_merchants_page(self, office, admin, shop, owner):
        invited = Membership.objects.create(merchant=shop, email="new@example.com", role="viewer")
        formset = {**NO_MEMBERS, "memberships-TOTAL_FORMS": 2, "memberships-INITIAL_FORMS": 1}
        rows = self.row(0, id=invited.pk, user=admin.pk, role="support") | self.row(1, user=owner.pk, role="owner")
        assert office.post(f"{MERCHANTS}{shop.pk}/change/", merchant_form(**formset, **rows)).status_code == 302
        assert set(shop.memberships.values_list("email", "user", "role")) == {
            ("new@example.com", None, "support"),
            ("owner@example.com", owner.pk, "owner"),
        }

    def test_are_made_on_the_users_page(self, office, shop, owner):
        formset = {**NO_MEMBERS, "memberships-TOTAL_FORMS": 1}
        fields = {"email": owner.email, "is_active": "on"}
        row = self.row(0, merchant=shop.pk, role="finance")
        assert office.post(f"{USERS}{owner.pk}/change/", {**fields, **formset, **row}).status_code == 302
        member = shop.memberships.get()
        assert (member.user, member.email, member.role) == (owner, owner.email, "finance")

    def test_do_not_become_somebody_else(self, office, shop, owner, admin):
        member = Membership.objects.create(merchant=shop, user=owner, role="owner")
        other = create_merchant(name="Other")
        office.post(f"{MEMBERS}{member.pk}/change/", {"merchant": other.pk, "user": admin.pk, "role": "admin"})
        member.refresh_from_db()
        assert (member.merchant, member.user, member.email, member.role) == (shop, owner, owner.email, "admin")

    def test_are_listed_with_those_who_are_invited(self, office, shop, owner):
        Membership.objects.create(merchant=shop, email="new@example.com", role="viewer")
        page = office.get(MEMBERS).content.decode()
        assert "new@example.com" in page
        assert "Viewer" in page


class TestKeys:
    @pytest.fixture
    def key(self, shop):
        return ApiKey.objects.create(
            merchant=shop, name="Shop", secret_hash="5" * 64, last4="wxyz", scopes=["payments:read"]
        )

    def test_are_shown_by_their_last_characters(self, desk, key):
        for page in (KEYS, f"{KEYS}{key.pk}/change/"):
            html = desk.get(page).content.decode()
            assert "wxyz" in html
            assert "payments:read" in html
            assert key.secret_hash not in html

    def test_are_revoked_on_their_page(self, office, key):
        assert do(office, key, "revoke_this")["HX-Redirect"] == f"{KEYS}{key.pk}/change/"
        key.refresh_from_db()
        assert key.status == "revoked"
        assert LogEntry.objects.get().object_id == key.pk
        assert do(office, key, "revoke_this").status_code == 403

    def test_are_revoked_many_at_once(self, office, key):
        assert office.post(KEYS, {"action": "revoke", "_selected_action": [key.pk]}).status_code == 302
        assert ApiKey.objects.get().status == "revoked"

    def test_are_neither_made_nor_edited_nor_revoked_by_whoever_may_only_look(self, desk, key):
        assert desk.get(f"{KEYS}add/").status_code == 403
        assert desk.post(f"{KEYS}{key.pk}/change/", {"name": "Mine"}).status_code == 403
        assert do(desk, key, "revoke_this").status_code == 403
        desk.post(KEYS, {"action": "revoke", "_selected_action": [key.pk]})
        assert ApiKey.objects.get().status == "active"


class TestLogIns:
    @pytest.fixture
    def login(self, support):
        return Login.objects.create(user=support, refresh_id="a" * 32, expires_at=timezone.now())

    def test_are_ended_on_their_page(self, office, login):
        assert "HX-Redirect" in do(office, login, "end_this").headers
        login.refresh_from_db()
        assert not login.is_open
        assert do(office, login, "end_this").status_code == 403

    def test_are_ended_many_at_once(self, office, login):
        office.post(LOGINS, {"action": "end", "_selected_action": [login.pk]})
        assert not Login.objects.get().is_open

    def test_are_looked_at_and_no_more_without_the_right(self, desk, login):
        assert login.user.email in desk.get(LOGINS).content.decode()
        assert login.refresh_id not in desk.get(f"{LOGINS}{login.pk}/change/").content.decode()
        assert do(desk, login, "end_this").status_code == 403
        desk.post(LOGINS, {"action": "end", "_selected_action": [login.pk]})
        assert Login.objects.get().is_open
