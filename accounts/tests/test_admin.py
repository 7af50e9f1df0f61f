"""People and merchants in the back office."""

import re

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey, Customer, Login, Membership, Merchant, Method, User
from accounts.services import create_merchant, support_group
from accounts.tests.conftest import MERCHANTS, NO_MEMBERS, PASSWORD, USERS, do, merchant_form
from tests.deadlocks import deadlock_at

pytestmark = pytest.mark.django_db


def status_of(merchant):
    return Merchant.objects.get(pk=merchant.pk).status


@pytest.mark.django_db(transaction=True)
class TestADeadlock:
    def test_saves_a_form_again(self, office, shop):
        with deadlock_at("UPDATE", "accounts_merchant"):
            response = office.post(f"{MERCHANTS}{shop.pk}/change/", merchant_form(**NO_MEMBERS, name="Acme & Co"))
        assert response.status_code == 302
        assert Merchant.objects.get().name == "Acme & Co"
        assert LogEntry.objects.count() == 1

    def test_counts_a_wrong_password_once(self, client, admin):
        with deadlock_at("INSERT", "axes_accessattempt"):
            response = client.post("/admin/login/", {"username": admin.email, "password": "another battery 7"})
        assert response.status_code == 200
        assert AccessAttempt.objects.get().failures_since_start == 1


class TestLogIn:
    @pytest.mark.parametrize("email", ["admin@example.com", " Admin@Example.COM"])
    def test_is_by_email_however_it_is_typed(self, client, admin, email):
        response = client.post("/admin/login/", {"username": email, "password": PASSWORD})
        assert response["Location"] == "/admin/"
        assert client.get("/admin/").status_code == 200

    def test_asks_for_an_email(self, client):
        page = client.get("/admin/login/").content.decode()
        assert re.search(r'<input type="email" name="username"', page)

    def test_is_for_staff_only(self, client):
        User.objects.create_user("owner@example.com", PASSWORD)
        response = client.post("/admin/login/", {"username": "owner@example.com", "password": PASSWORD})
        assert response.status_code == 200
        assert client.get("/admin/")["Location"].startswith("/admin/login/")

    def test_of_a_deactivated_account_fails(self, client, admin):
        User.objects.update(is_active=False)
        client.post("/admin/login/", {"username": admin.email, "password": PASSWORD})
        assert client.get("/admin/").status_code == 302

    def test_leads_from_the_path_without_slash(self, client):
        assert client.get("/admin")["Location"] == "/admin/"


class TestUsers:
    def test_are_added_with_an_email_in_one_spelling(self, office):
        fields = {"email": "New@Example.com", "name": "New", "password1": PASSWORD, "password2": PASSWORD}
        response = office.post(f"{USERS}add/", {**fields, "usable_password": "true"})
        assert response.status_code == 302
        assert User.objects.get(email="new@example.com").check_password(PASSWORD)

    def test_that_exist_are_not_added_again(self, office, admin):
        fields = {"email": "ADMIN@example.com", "password1": PASSWORD, "password2": PASSWORD}
        response = office.post(f"{USERS}add/", {**fields, "usable_password": "true"})
        assert response.status_code == 200
        assert User.objects.count() == 1

    def test_get_a_new_password(self, office, support):
        response = office.post(
            f"{USERS}{support.pk}/password/", {"password1": "quite another 1", "password2": "quite another 1"}
        )
        assert response.status_code == 302
        support.refresh_from_db()
        assert support.check_password("quite another 1")

    def test_are_never_deleted(self, office, support):
        assert office.post(f"{USERS}{support.pk}/delete/", {"post": "yes"}).status_code == 403

    def test_show_no_hash_to_support(self, desk, admin):
        page = desk.get(f"{USERS}{admin.pk}/change/").content.decode()
        assert admin.email in page
        assert admin.password not in page
        assert admin.password.split("$")[-1] not in page

    def test_get_no_power_from_staff_without_it(self, client, support):
        """Who may change users may still not make superusers."""
        support.user_permissions.set(Group.objects.get().permissions.none())
        support.user_permissions.add(*_permissions("change_user", "view_user"))
        client.force_login(support)
        path = f"{USERS}{support.pk}/change/"
        fields = {"email": support.email, "name": "Sam", "is_active": "on", "is_superuser": "on", "is_staff": "on"}
        assert client.post(path, {**fields, **NO_MEMBERS}).status_code == 302
        support.refresh_from_db()
        assert (support.name, support.is_superuser) == ("Sam", False)


class TestSupport:
    def test_sees_everything_and_changes_merchants_only(self, support):
        changes = {name for name in support.get_all_permissions() if ".view_" not in name}
        assert changes == {"accounts.change_merchant"}

    def test_group_is_made_once(self):
        assert support_group() == support_group()

    def test_cannot_touch_users_or_groups(self, desk, admin):
        assert desk.get(f"{USERS}add/").status_code == 403
        assert desk.post(f"{USERS}{admin.pk}/change/", {"email": "x@example.com"}).status_code == 403
        assert desk.post(f"{USERS}{admin.pk}/password/", {}).status_code == 403
        assert desk.get("/admin/auth/group/add/").status_code == 403
        assert desk.get(f"{MERCHANTS}add/").status_code == 403


class TestMerchants:
    def test_are_approved_by_support(self, desk, shop):
        new = create_merchant(name="New")
        response = do(desk, new, "approve_this")
        assert response["HX-Redirect"] == f"{MERCHANTS}{new.pk}/change/"
        assert status_of(new) == "active"
        assert LogEntry.objects.get().object_id == new.pk

    def test_are_suspended_and_approved_again(self, desk, shop):
        do(desk, shop, "suspend_this")
        assert status_of(shop) == "suspended"
        do(desk, shop, "approve_this")
        assert status_of(shop) == "active"

    def test_become_the_default_one(self, desk, shop):
        other = create_merchant(name="Other", status="active")
        do(desk, other, "make_this_default")
        assert Merchant.objects.get(is_default=True) == other

    def test_that_take_no_payments_do_not_become_the_default_one(self, desk, shop):
        other = create_merchant(name="Other")
        assert do(desk, other, "make_this_default").status_code == 403
        assert Merchant.objects.get(is_default=True) == shop

    @pytest.mark.parametrize("action", ["approve_this", "suspend_this", "make_this_default"])
    def test_change_on_confirmation_and_never_by_a_link(self, desk, shop, action):
        suspended = create_merchant(name="Other", status="suspended" if action == "approve_this" else "active")
        before = Merchant.objects.filter(pk=suspended.pk).values().get()
        assert "_form_submitted" in desk.get(f"{MERCHANTS}{suspended.pk}/{action}/").content.decode()
        assert Merchant.objects.filter(pk=suspended.pk).values().get() == before

    @pytest.mark.parametrize("quoted", [True, False])
    def test_offer_only_what_their_status_allows(self, desk, shop, quoted):
        path = reverse("admin:accounts_merchant_change", args=[shop.pk])
        page = desk.get(path.replace("_", "_5F") if quoted else path).content.decode()
        assert "/suspend_this/" in page
        assert "/approve_this/" not in page
        assert "/make_this_default/" not in page
        assert do(desk, shop, "approve_this").status_code == 403

    def test_are_approved_many_at_once(self, desk, shop):
        new = [create_merchant(name=name) for name in ("One", "Two")]
        chosen = [merchant.pk for merchant in [*new, shop]]
        page = desk.post(MERCHANTS, {"action": "approve", "_selected_action": chosen}, follow=True).content.decode()
        assert {status_of(merchant) for merchant in new} == {"active"}
        assert "cannot become" in page  # the one that was active

    def test_change_what_was_edited_and_nothing_else(self, desk, shop):
        fields = merchant_form(name="Renamed", country="GB", default_currency="GBP")
        forged = {"mode": "live", "status": "closed", "is_default": ""}
        assert desk.post(f"{MERCHANTS}{shop.pk}/change/", {**fields, **forged}).status_code == 302
        after = Merchant.objects.get()
        assert (after.name, after.country, after.default_currency, after.return_origins) == ("Renamed", "GB", "GBP", [])
        assert (after.mode, after.status, after.is_default) == ("sandbox", "active", True)

    @pytest.mark.parametrize(
        "origins", ['["javascript:alert(1)"]', '"https://shop.example.com"', "null", "nonsense", ""]
    )
    def test_refuse_what_is_no_list_of_origins(self, desk, shop, origins):
        fields = merchant_form(return_origins=origins)
        assert desk.post(f"{MERCHANTS}{shop.pk}/change/", fields).status_code == 200
        assert Merchant.objects.get().return_origins == shop.return_origins

    def test_are_never_deleted(self, office, shop):
        assert office.post(f"{MERCHANTS}{shop.pk}/delete/", {"post": "yes"}).status_code == 403

    def test_are_added_by_a_superuser(self, office):
        assert office.post(f"{MERCHANTS}add/", merchant_form(name="New", mode="live")).status_code == 302
        merchant = Merchant.objects.get()
        assert (merchant.status, merchant.is_default, merchant.payment_methods) == ("onboarding", True, Method.values)


class TestMerchantSettings:
    def save(self, client, shop, **fields):
        return client.post(f"{MERCHANTS}{shop.pk}/change/", merchant_form(**fields))

    def test_are_changed_by_support(self, desk, shop):
        fields = {"brand_name": "Bakery", "brand_color": "#8a4b08", "support_email": "help@example.com"}
        methods = ["paypal", "credit_card"]
        assert self.save(desk, shop, **fields, payment_methods=methods, refund_approval_limit=5000).status_code == 302
        shop.refresh_from_db()
        assert {name: getattr(shop, name) for name in fields} == fields
        assert (shop.payment_methods, shop.refund_approval_limit) == (methods, 5000)

    def test_show_the_methods_in_the_merchants_order(self, desk, shop):
        Merchant.objects.update(payment_methods=["paypal", "credit_card"])
        page = desk.get(f"{MERCHANTS}{shop.pk}/change/").content.decode()
        boxes = re.findall(r'<input type="checkbox" name="payment_methods" value="([a-z_]+)"', page)
        assert boxes == ["paypal", "credit_card", "debit_card", "bank_transfer", "mobile_money"]
        assert page.count('name="payment_methods"') == len(Method.values)

    def test_keep_the_order_of_methods_that_nobody_changed(self, desk, shop):
        """The browser may send them in another one, when somebody reordered them since the page was made."""
        Merchant.objects.update(payment_methods=["paypal", "credit_card"])
        self.save(desk, shop, name="Renamed", payment_methods=["credit_card", "paypal"])
        shop.refresh_from_db()
        assert (shop.name, shop.payment_methods) == ("Renamed", ["paypal", "credit_card"])

    @pytest.mark.parametrize(
        "fields",
        [
            {"payment_methods": []},
            {"payment_methods": ["cash"]},
            {"brand_color": "red"},
            {"brand_color": "#8A4B08"},
            {"brand_color": "#8a4b0"},
            {"support_email": "nobody"},
            {"settlement_delay_days": 91},
            {"settlement_delay_days": -1},
            {"refund_approval_limit": -1},
        ],
    )
    def test_refuse_what_makes_no_sense(self, desk, shop, fields):
        before = Merchant.objects.values().get()
        assert self.save(desk, shop, **fields).status_code == 200
        assert Merchant.objects.values().get() == before

    def test_do_not_turn_the_limit_of_one_currency_into_one_of_another(self, desk, shop):
        self.save(desk, shop, refund_approval_limit=5000)
        assert self.save(desk, shop, refund_approval_limit=5000, default_currency="JPY").status_code == 200
        assert self.save(desk, shop, refund_approval_limit=60, default_currency="JPY").status_code == 302
        assert Merchant.objects.get().refund_approval_limit == 60


class TestLists:
    @pytest.mark.parametrize(
        ("model", "term"),
        [
            ("merchant", "acm"),
            ("customer", "JOHN@example.com"),
            ("customer", "John"),
            ("membership", "owner@EXAMPLE.com"),
            ("membership", "Acme"),
            ("apikey", "Sho"),
            ("login", "owner@example.com"),
            ("login", "Oli"),
            ("user", "owner@example.com"),
            ("user", "Oli"),
        ],
    )
    def test_find_a_row_by_what_people_have_of_it(self, office, shop, model, term):
        Customer.objects.create(merchant=shop, email="john@example.com", name="John Doe")
        owner = User.objects.create_user("owner@example.com", name="Olivia")
        Membership.objects.create(merchant=shop, user=owner, role="owner")
        ApiKey.objects.create(merchant=shop, name="Shop")
        Login.objects.create(user=owner, expires_at=timezone.now())
        assert office.get(f"/admin/accounts/{model}/", {"q": term}).context["cl"].result_count == 1
        assert office.get(f"/admin/accounts/{model}/", {"q": "no such"}).context["cl"].result_count == 0

    def test_find_a_row_by_its_id_or_how_that_starts(self, office, shop):
        for term in (shop.pk, shop.pk.upper(), shop.pk[:12]):
            assert office.get(MERCHANTS, {"q": f" {term} "}).context["cl"].result_count == 1


def _permissions(*names):
    return Permission.objects.filter(codename__in=names)
