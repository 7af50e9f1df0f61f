"""What is taken from somebody is gone with the very next request, whichever process answers it. Each question is asked
before as well, so that every process could have kept the answer."""

from dataclasses import dataclass
from typing import Any

import pytest
import requests
from django.contrib.auth.tokens import default_token_generator
from django.utils import timezone

from accounts.models import ApiKey, Membership, Merchant, User
from accounts.services import add_member, create_key, create_merchant, suspend_merchant
from tests.tenants import Headers, bearer

pytestmark = pytest.mark.django_db(transaction=True)

TIMES = 8  # each on a connection of its own, so that every process has its turn
TIMEOUT = 30
PASSWORD, NEW_PASSWORD = "a-password-of-tests-1", "another-password-2"
PAYMENT = {"customer_name": "Payer", "customer_email": "payer@payers.example", "amount": 50}
INVITATION = {"email": "colleague@people.example", "role": "viewer"}


@dataclass
class Server:
    url: str

    def ask(self, method: str, path: str, headers: Headers, json: Any = None) -> requests.Response:
        return requests.request(method, f"{self.url}/api/v1/{path}", headers=headers, json=json, timeout=TIMEOUT)

    def do(self, method: str, path: str, headers: Headers, json: Any = None) -> None:
        """Once, and it has to work."""
        response = self.ask(method, path, headers, json)
        assert response.status_code < 300, response.text

    def log_in(self, user: User) -> dict[str, Any]:
        credentials = {"email": user.email, "password": PASSWORD}
        return self.ask("POST", "auth/token", {}, credentials).json()["token"]

    def answers(self, method: str, path: str, headers: Headers, json: Any = None) -> set[int]:
        return {self.ask(method, path, headers, json).status_code for _time in range(TIMES)}

    def codes(self, method: str, path: str, headers: Headers, json: Any = None) -> set[str]:
        return {self.ask(method, path, headers, json).json()["error"]["code"] for _time in range(TIMES)}


@pytest.fixture
def server(server_url) -> Server:
    return Server(server_url)


@pytest.fixture
def merchant(db) -> Merchant:
    return create_merchant(name="Acme", status=Merchant.Status.ACTIVE)


def join(merchant: Merchant, role: str) -> Membership:
    user = User.objects.create_user(
        f"{role}@acme.example", PASSWORD, name=role.capitalize(), email_verified_at=timezone.now()
    )
    return add_member(merchant, user, role)


@pytest.fixture
def owner(merchant, server) -> Headers:
    return bearer(server.log_in(join(merchant, "owner").user)["access"])


class TestAMember:
    @pytest.fixture
    def admin(self, merchant) -> Membership:
        return join(merchant, "admin")

    @pytest.fixture
    def headers(self, admin, server) -> Headers:
        headers = bearer(server.log_in(admin.user)["access"])
        assert server.answers("GET", "members", headers) == {200}
        assert server.answers("PATCH", "merchant", headers, {"brand_name": "Acme"}) == {200}
        return headers

    def test_who_is_demoted_does_what_the_new_role_does(self, server, owner, admin, headers):
        server.do("PATCH", f"members/{admin.pk}", owner, {"role": "viewer"})
        assert server.answers("PATCH", "merchant", headers, {"brand_name": "Mine"}) == {403}
        assert server.answers("POST", "members", headers, INVITATION) == {403}
        assert server.answers("GET", "members", headers) == {200}

    def test_who_is_promoted_does_what_the_new_role_does(self, server, owner, admin, headers):
        server.do("PATCH", f"members/{admin.pk}", owner, {"role": "viewer"})
        assert server.answers("PATCH", "merchant", headers, {"brand_name": "Mine"}) == {403}
        server.do("PATCH", f"members/{admin.pk}", owner, {"role": "owner"})
        assert server.answers("PATCH", "merchant", headers, {"brand_name": "Mine"}) == {200}

    def test_who_is_removed_sees_nothing_any_more(self, server, owner, admin, headers):
        payment = server.ask("POST", "payments", headers, PAYMENT).json()["payment"]
        server.do("DELETE", f"members/{admin.pk}", owner)
        for path in ("members", "merchant", "customers", "api-keys", "payments/order/1"):
            assert server.answers("GET", path, headers) == {403}
        assert server.answers("PATCH", f"payments/{payment['id']}", headers, {"description": "Mine"}) == {403}
        assert server.answers("GET", f"payments/{payment['id']}/transactions", headers) == {404}
        assert server.ask("GET", "payments", headers).json()["payments"] == []
        assert server.ask("GET", "merchants", headers).json()["merchants"] == []

    def test_who_is_removed_finds_no_such_merchant(self, server, owner, admin, headers, merchant):
        other = create_merchant(name="Other", status=Merchant.Status.ACTIVE)
        add_member(other, admin.user, "owner")
        named = {**headers, "Tillgate-Merchant": merchant.pk}
        assert server.answers("GET", "members", named) == {200}
        server.do("DELETE", f"members/{admin.pk}", owner)
        assert server.answers("GET", "members", named) == {404}


class TestALogIn:
    @pytest.fixture
    def user(self, merchant) -> User:
        return join(merchant, "finance").user

    @pytest.fixture
    def tokens(self, user, server) -> dict[str, Any]:
        tokens = server.log_in(user)
        assert server.answers("GET", "auth/me", bearer(tokens["access"])) == {200}
        assert server.answers("POST", "auth/token/verify", {}, {"token": tokens["access"]}) == {200}
        return tokens

    @staticmethod
    def assert_over(server: Server, tokens: dict[str, Any]) -> None:
        for path in ("auth/me", "payments", "merchants"):
            assert server.codes("GET", path, bearer(tokens["access"])) == {"token_invalid"}
        assert server.answers("POST", "auth/token/refresh", {}, {"refresh": tokens["refresh"]}) == {401}
        assert server.answers("POST", "auth/token/verify", {}, {"token": tokens["access"]}) == {401}

    def test_that_is_ended_is_over_and_another_is_not(self, server, user, tokens):
        other = server.log_in(user)
        server.do("POST", "auth/logout", bearer(tokens["access"]), {})
        self.assert_over(server, tokens)
        assert server.answers("GET", "auth/me", bearer(other["access"])) == {200}

    def test_is_over_when_all_are_ended_from_another(self, server, user, tokens):
        server.do("POST", "auth/logout", bearer(server.log_in(user)["access"]), {"everywhere": True})
        self.assert_over(server, tokens)

    def test_is_over_when_the_password_is_changed(self, server, user, tokens):
        change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        server.do("POST", "auth/password/change", bearer(server.log_in(user)["access"]), change)
        self.assert_over(server, tokens)
        assert server.ask("POST", "auth/token", {}, {"email": user.email, "password": PASSWORD}).status_code == 401
        server.do("POST", "auth/token", {}, {"email": user.email, "password": NEW_PASSWORD})

    def test_is_over_when_the_password_is_reset(self, server, user, tokens):
        user.refresh_from_db()
        link = f"{user.pk}.{default_token_generator.make_token(user)}"
        server.do("POST", "auth/password/reset/confirm", {}, {"token": link, "new_password": NEW_PASSWORD})
        self.assert_over(server, tokens)

    def test_is_over_when_the_account_is_switched_off(self, server, user, tokens):
        User.objects.filter(pk=user.pk).update(is_active=False)
        self.assert_over(server, tokens)
        credentials = {"email": user.email, "password": PASSWORD}
        assert server.ask("POST", "auth/token", {}, credentials).json()["error"]["code"] == "credentials_wrong"

    def test_is_over_when_the_account_is_gone(self, server):
        payer = User.objects.create_user("payer@payers.example", PASSWORD, email_verified_at=timezone.now())
        tokens = server.log_in(payer)
        assert server.answers("GET", "payments", bearer(tokens["access"])) == {200}
        payer.delete()
        self.assert_over(server, tokens)


class TestAKey:
    @pytest.fixture
    def key(self, merchant, owner) -> tuple[ApiKey, Headers]:
        user = User.objects.get(email="owner@acme.example")
        scopes = ["payments:read", "payments:write"]
        row, secret = create_key(merchant, by=user, by_role="owner", key=None, name="Shop", scopes=scopes)
        return row, bearer(str(secret))

    @pytest.fixture
    def headers(self, key, server) -> Headers:
        assert server.answers("GET", "payments", key[1]) == {200}
        return key[1]

    @staticmethod
    def assert_over(server: Server, headers: Headers) -> None:
        assert server.codes("GET", "payments", headers) == {"api_key_invalid"}
        assert server.codes("POST", "payments", headers, PAYMENT) == {"api_key_invalid"}

    def test_that_is_revoked_is_over(self, server, owner, key, headers):
        server.do("DELETE", f"api-keys/{key[0].pk}", owner)
        self.assert_over(server, headers)

    def test_that_is_expired_is_over(self, server, key, headers):
        ApiKey.objects.filter(pk=key[0].pk).update(expires_at=timezone.now())
        self.assert_over(server, headers)

    def test_that_is_rolled_without_an_overlap_is_over_and_its_successor_is_good(self, server, owner, key, headers):
        answer = server.ask("POST", f"api-keys/{key[0].pk}/roll", owner, {"overlap_hours": 0})
        self.assert_over(server, headers)
        assert server.answers("GET", "payments", bearer(answer.json()["api_key"]["secret"])) == {200}

    def test_that_lost_a_scope_lacks_it(self, server, key, headers):
        payment = server.ask("POST", "payments", headers, PAYMENT).json()["payment"]
        ApiKey.objects.filter(pk=key[0].pk).update(scopes=["payments:read"])
        assert server.codes("PATCH", f"payments/{payment['id']}", headers, {"description": "x"}) == {"scope_missing"}


class TestAMerchant:
    def test_that_is_suspended_takes_no_new_payments_and_shows_what_it_has(self, server, merchant, owner):
        payment = server.ask("POST", "payments", {}, PAYMENT).json()["payment"]
        assert server.answers("POST", "payments", {}, PAYMENT) == {201}
        suspend_merchant(merchant)
        for headers in ({}, owner):
            assert server.codes("POST", "payments", headers, PAYMENT) == {"merchant_inactive"}
        assert server.answers("GET", "payments", owner) == {200}
        assert server.answers("GET", f"payments/{payment['id']}", {}) == {200}
