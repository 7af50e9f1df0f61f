"""Who is logged in, to the API and to the back office, and what is sent to both."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Merchant, Method, User
from accounts.services import invite_member, support_group
from core.mail import Email

ADA = "ada@example.com"
PASSWORD = "a long enough one 9"
USERS, MERCHANTS = "/admin/accounts/user/", "/admin/accounts/merchant/"
NO_MEMBERS = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}


@pytest.fixture(autouse=True)
def _quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada(db: None) -> User:
    """Somebody who has a password, a confirmed address, and no merchant."""
    return User.objects.create_user(ADA, PASSWORD, name="Ada Lovelace", email_verified_at=timezone.now())


@pytest.fixture
def unconfirmed(ada: User) -> User:
    """Ada before she confirmed her address."""
    ada.email_verified_at = None
    ada.save()
    return ada


@pytest.fixture
def invite(shop: Merchant) -> Callable[..., str]:
    """`invite()` has the shop invite somebody as a developer; it answers with the link of the mail."""

    olivia = User.objects.create_user("olivia@example.com", name="Olivia", email_verified_at=timezone.now())

    def send(email: str = "new@example.com") -> str:
        invite_member(shop, by=olivia, by_role="owner", email=email, role="developer", key=None)
        return told("invitation")["url"]

    return send


@pytest.fixture
def post(api: Client) -> Callable[..., Any]:
    """`post("auth/token", email=…)` sends that body to the API."""

    def send(path: str, headers: dict[str, str] | None = None, address: str = "192.0.2.1", **body: Any) -> Any:
        url = f"/api/v1/{path}"
        return api.post(url, body, content_type="application/json", headers=headers, REMOTE_ADDR=address)

    return send


@pytest.fixture
def log_in(post: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """`log_in()` is Ada's; it answers with the pair of tokens."""
    return lambda email=ADA, password=PASSWORD: post("auth/token", email=email, password=password).json()["token"]


@pytest.fixture
def me(api: Client) -> Callable[..., Any]:
    """`me(pair)` asks who the access token is."""
    return lambda pair: api.get("/api/v1/auth/me", headers=access(pair))


@pytest.fixture
def make_key(api: Client, owner: dict[str, str]) -> Callable[..., Any]:
    """`make_key(scopes=…)` has the shop's owner, or `as_` somebody else, make an API key."""

    def send(headers: dict[str, str] | None = None, as_: dict[str, str] = owner, **fields: Any) -> Any:
        body = {"name": "Shop server", "scopes": ["payments:read"], **fields}
        headers = {**as_, **(headers or {})}
        return api.post("/api/v1/api-keys", body, headers=headers, content_type="application/json")

    return send


@pytest.fixture
def use_key(api: Client) -> Callable[[str], Any]:
    """The answer to a request with this secret."""
    return lambda secret: api.get("/api/v1/payments", headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def later(time_machine: Any) -> Callable[..., None]:
    """`later(minutes=5)` moves the clock, which stands still otherwise."""
    time_machine.move_to(timezone.now(), tick=False)
    return lambda **span: time_machine.shift(timedelta(**span))


def access(pair: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {pair['access']}"}


def refusal(answer: Any) -> tuple[int, str]:
    """The status and the code; a refusal of another shape is a mistake."""
    body = answer.json()
    assert set(body) == {"status", "message", "error"}
    assert (body["status"], body["message"]) == ("error", body["error"]["message"])
    return answer.status_code, body["error"]["code"]


def refused(answer: Any) -> bool:
    """Whether a token did not count."""
    assert refusal(answer) == (401, "token_invalid")
    assert answer["WWW-Authenticate"].startswith('Bearer realm="Tillgate"')
    return True


def without_id(answer: Any) -> dict[str, Any]:
    """The body, which two refusals of the same kind share."""
    body = answer.json()
    return {**body, "error": {**body["error"], "request_id": ""}}


def told(template: str) -> dict[str, str]:
    """What the newest mail of this kind says."""
    context: dict[str, str] = json.loads(Email.objects.filter(template=template).latest("pk").context or "")
    return context


def mistake(page: HttpResponse) -> str | None:
    """What a page says beside the first field at fault."""
    found = re.search(r'class="field-error".*?</svg>\s*(.*?)</p>', page.content.decode(), re.DOTALL)
    return found[1] if found else None


def mailed_token(template: str) -> str:
    """The token at the end of the link in the newest mail of this kind."""
    return urlsplit(told(template)["url"]).path.rpartition("/")[2]


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("admin@example.com", PASSWORD)


@pytest.fixture
def support(db: None) -> User:
    user = User.objects.create_user("support@example.com", PASSWORD, is_staff=True)
    user.groups.add(support_group())
    return user


@pytest.fixture
def office(client: Client, admin: User) -> Client:
    client.force_login(admin)
    return client


@pytest.fixture
def desk(client: Client, support: User) -> Client:
    client.force_login(support)
    return client


def do(client: Client, row: Model, action: str) -> Any:
    """Confirms the dialog of an action on the row's page."""
    page = reverse(f"admin:accounts_{row._meta.model_name}_changelist")
    return client.post(f"{page}{row.pk}/{action}/", {"_form_submitted": "True"})


def merchant_form(**fields: Any) -> dict[str, Any]:
    """The form of a merchant as it is filled in by default."""
    return {
        "name": "Acme",
        "country": "US",
        "default_currency": "USD",
        "return_origins": "[]",
        "payment_methods": Method.values,
        "settlement_delay_days": 2,
        **NO_MEMBERS,
        **fields,
    }
