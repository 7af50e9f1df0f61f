"""Who is logged in to the back office, and what its forms send."""

from typing import Any

import pytest
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from accounts.models import Method, User
from accounts.services import support_group

PASSWORD = "a long enough one 9"
USERS, MERCHANTS = "/admin/accounts/user/", "/admin/accounts/merchant/"
NO_MEMBERS = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}


@pytest.fixture(autouse=True)
def _quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


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


def do(client: Client, row: Model, action: str) -> HttpResponse:
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
