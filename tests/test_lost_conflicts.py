"""A request whose transaction loses a conflict is run again, and answers as if it had won at once."""

import re

import pytest
from django.test import Client

from tests.deadlocks import conflicts
from tests.policy_table import read_table
from tests.routes import Route, api_routes
from tests.tenants import undone
from tests.valid_requests import World, arguments, body, send

pytestmark = pytest.mark.django_db

# The routes that write one row, by its key or a new one, or nothing: no lock is held while another is waited for, so
# there is no conflict to lose. All others are run again.
ONE_STATEMENT = {
    *("api_key", "email_resend", "email_verify", "logout", "me", "password_reset", "resend", "token_refresh"),
    *("token_verify", "webhook_diagnose"),
}

# What is new in every answer: ids, references, times, secrets and tokens.
NEW = re.compile(
    r'(?<=_)[0-9a-z]{26}|TG-\w{10}|\d{4}-\d\d-\d\dT[\d:.]+Z|whsec_[\w+/=]+|sk_\w+|(?<="last4":")\w+|eyJ[\w.-]+'
)


def answer(world: World, route: Route, method: str) -> tuple[int, str]:
    """What the owner gets for a valid request."""
    path = route.path(arguments(world, route, world.own))
    with undone():
        response = send(Client(), method, path, body(world, route, method, "owner"), world.headers["owner"])
    return response.status_code, NEW.sub("…", response.content.decode())


def test_answers_as_if_it_had_won_at_once(world, monkeypatch):
    asked, run_again = set(), set()
    routes = {route.name: route for route in api_routes()}
    for name, method in read_table():
        if name not in routes or method == "GET":
            continue
        at_once = answer(world, routes[name], method)
        with conflicts(monkeypatch) as lost:
            assert answer(world, routes[name], method) == at_once, (name, method)
        asked.add(name)
        if lost:
            run_again.add(name)
    assert asked - run_again == ONE_STATEMENT
