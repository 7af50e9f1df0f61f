"""The API does what its description says: requests made from the description, answers held against it."""

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS

from accounts.services import create_merchant
from config.wsgi import application

schema = schemathesis.openapi.from_wsgi("/api/schema", application)

# The same requests each time, so that nobody's build fails by bad luck.
STABLE = settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))

# Rules that no schema can say: who exists, which numbers are cards, what another field makes of this one.
RULES_BEYOND_THE_SCHEMA = {
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
    return create_merchant(name="Demo Store", status="active", return_origins=["https://shop.example.com"])


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
    refused = response.status_code >= 400 and response.json()["error"]["code"] in RULES_BEYOND_THE_SCHEMA
    excluded = CHECKS.get_by_names(["positive_data_acceptance"]) if refused else []
    case.validate_response(response, excluded_checks=excluded)


@schema.parametrize()
@settings(STABLE, max_examples=80)
@pytest.mark.usefixtures("merchant", "_one_connection")
def test_answers_as_described(case):
    check(case, case.call())


@pytest.mark.usefixtures("merchant", "_one_connection")
def test_what_was_created_can_be_read():
    class Links(schema.as_state_machine()):
        def validate_response(self, response, case, **options):
            check(case, response)

    Links.run(settings=settings(STABLE, max_examples=10, stateful_step_count=6))
