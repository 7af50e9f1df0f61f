"""A POST that says all with its path: no body and `{}` will do; whoever sends more is told that it was not heard."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.routes import api_routes
from tests.tenants import undone
from tests.valid_requests import World, arguments

pytestmark = pytest.mark.django_db

JSON = "application/json"
ROUTES = {route.name: route for route in api_routes()}
WITHOUT_A_BODY = [
    *("email_resend", "resend", "refund_cancel", "refund_approve", "payout_cancel"),
    *("webhook_enable", "webhook_disable", "webhook_test", "webhook_retry"),
]
REFUSALS = [
    ('{"expire": "now"', JSON, 400, "json_invalid"),
    ('{"when": "now"}', JSON, 400, "parameter_unknown"),
    ("[]", JSON, 400, "json_invalid"),
    ("<now/>", "text/xml", 415, "media_type_unsupported"),
    ("when=now", "application/x-www-form-urlencoded", 415, "media_type_unsupported"),
]


@pytest.fixture
def send(world: World, client: Client) -> Callable[..., Any]:
    """Sends it as the owner, and undoes what came of it."""

    def post(name: str, body: str, content_type: str) -> Any:
        path = ROUTES[name].path(arguments(world, ROUTES[name], world.own))
        with undone():
            return client.generic("POST", path, body, content_type, headers=world.headers["owner"])

    return post


@pytest.mark.parametrize("name", WITHOUT_A_BODY)
@pytest.mark.parametrize(("body", "content_type", "status", "code"), REFUSALS)
def test_is_refused_with_a_body(send, name, body, content_type, status, code):
    answer = send(name, body, content_type)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("name", WITHOUT_A_BODY)
@pytest.mark.parametrize(("body", "content_type"), [("", ""), ("", "text/plain"), ("", JSON), ("{}", JSON)])
def test_goes_without_one(send, name, body, content_type):
    assert send(name, body, content_type).status_code == 200


def test_is_every_one_that_is_described_without_a_body(api):
    paths = api.get("/api/schema", headers={"Accept": "application/vnd.oai.openapi+json"}).json()["paths"]
    posts = {path: what["post"] for path, what in paths.items() if "post" in what}
    assert {path for path, post in posts.items() if "requestBody" not in post} == {
        ROUTES[name].template for name in WITHOUT_A_BODY
    }
