"""The API does what its description says: requests made from the description, answers held against it."""

from datetime import timedelta

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.utils import timezone
from hypothesis import HealthCheck, settings
from rest_framework_simplejwt.tokens import AccessToken
from schemathesis.checks import CHECKS

from accounts.models import Login, User
from accounts.services import add_member, create_merchant
from config.wsgi import application

schema = schemathesis.openapi.from_wsgi("/api/schema", application)
schema.config.phases.coverage.enabled = False  # half of all the time there is for tests; test_bad_input.py is that

OWNER, LOGIN = "usr_01m7xszv2h3k4m5n6p7q8r9s0t", "login_01m7xszv2h3k4m5n6p7q8r9s0t"

# The same requests each time, so that nobody's build fails by bad luck.
STABLE = settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))

# Rules that no schema can say: who exists, which numbers are cards, what another field makes of this one.
RULES_BEYOND_THE_SCHEMA = {
    "account_number_invalid",
    "already_member",
    "amount_invalid",
    "credentials_wrong",
    "current_password_wrong",
    "customer_exists",
    "email_unverified",
    "link_invalid",
    "merchant_required",
    "not_found",
    "parameter_missing",
    "password_weak",
    "payment_method_unavailable",
    "token_invalid",
    "amount_precision",
    "amount_too_large",
    "card_expiry_past",
    "idempotency_key_conflict",
    "idempotency_key_reused",
    "live_card_refused",
    "merchant_unknown",
    "order_already_paid",
    "url_forbidden",
}


@pytest.fixture
def merchant(db):
    merchant = create_merchant(name="Demo Store", status="active", return_origins=["https://shop.example.com"])
    owner = User.objects.create(id=OWNER, email="owner@example.com", name="Olivia Owner")
    add_member(merchant, owner, "owner")
    Login.objects.create(id=LOGIN, user=owner, expires_at=timezone.now() + timedelta(days=1))
    return merchant


@schema.auth(refresh_interval=None)
class OwnersToken:
    """The access token of the owner's log-in. It is signed without a database: there is none during collection."""

    def get(self, case, context):
        token = AccessToken()
        token["sub"], token["sid"] = OWNER, LOGIN
        return str(token)

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


def open_again():
    """The log-in, which some requests end."""
    Login.objects.update(ended_at=None)


@pytest.fixture
def _quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.OPEN_REGISTRATION = True


@pytest.fixture
def _one_connection():
    """The application takes the test's transaction for a connection left behind, and would close it."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def check(case, response):
    """Every check of Schemathesis; that valid data was refused is a fault unless one of our own rules did it."""
    error = response.json()["error"] if response.status_code >= 400 else {"code": "", "param": ""}
    by_query = case.method == "GET" and error["code"] == "parameter_invalid"
    by_rule = error["param"] in (
        "Tillgate-Merchant",
        "expires_at",
        "until",
        "anchor",
    )  # whose, what days, which schedule
    refused = error["code"] in RULES_BEYOND_THE_SCHEMA or by_query or by_rule
    excluded = CHECKS.get_by_names(["positive_data_acceptance"]) if refused else []
    case.validate_response(response, excluded_checks=excluded)


@schema.parametrize()
@settings(STABLE, max_examples=20)
@pytest.mark.usefixtures("merchant", "_one_connection", "_quick_passwords")
def test_answers_as_described(case):
    open_again()
    check(case, case.call())


@pytest.mark.usefixtures("merchant", "_one_connection", "_quick_passwords")
def test_what_was_created_can_be_read():
    class Links(schema.as_state_machine()):
        def validate_response(self, response, case, **options):
            check(case, response)

    Links.run(settings=settings(STABLE, max_examples=10, stateful_step_count=6))
