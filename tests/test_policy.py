"""Every route, with every method that it takes, for everybody who might come: against the table in policy_table.py."""

import re
from collections.abc import Iterator
from io import StringIO

import pytest
from django.apps import apps
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.test import Client, override_settings
from django.urls import resolve

from tests.policy_table import PERSONAS, ROLES, Statuses, read_table
from tests.routes import Route, all_routes
from tests.tenants import Headers, undone
from tests.valid_requests import MAIL_ID, World, arguments, body, send

pytestmark = pytest.mark.django_db

TABLE = read_table()
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
STRANGE_METHODS = ("OPTIONS", "TRACE", "PROPFIND", "BREW")
REFUSED = (401, 403, 404)
BACK_OFFICE = "admin:"  # one rule for all of it: staff, and nobody else
ROLE = re.compile(rf"\b({'|'.join(ROLES.values())})\b")
UNSEEN = {"last_used_at"}  # the minute in which a key was used
VOLATILE = {"Date", "Expires", "Request-Id", "RateLimit-Remaining", "RateLimit-Reset", "Content-Length"}


def _all_of(model: type[Model]) -> str:
    """SQL for every row of the table."""
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in model._meta.concrete_fields if field.attname not in UNSEEN)
    return f"SELECT {columns} FROM {quote(model._meta.db_table)} ORDER BY {quote(model._meta.pk.column)}"  # noqa: S608


QUERIES = {model._meta.db_table: _all_of(model) for model in apps.get_models()}


class Walk:
    """The world, and a way to ask it something as a persona without anything happening to it."""

    def __init__(self, world: World, client: Client) -> None:
        self.world, self.client = world, client
        self.routes = {route.name: route for route in all_routes()}
        self.cookies = {persona: _session(user) for persona, user in world.users.items()}
        self.before = contents()

    def path(self, route: Route) -> str:
        return route.path(arguments(self.world, route, self.world.own))

    def headers(self, route: Route, persona: str) -> Headers:
        """A page knows people by their session, the API by their token."""
        if route.is_api or persona not in self.cookies:
            return self.world.headers[persona]
        return self.cookies[persona]

    def ask(self, route: Route, method: str, persona: str):
        sent = body(self.world, route, method, persona)
        return send(self.client, method, self.path(route), sent, self.headers(route, persona))


def _session(user) -> Headers:
    client = Client()
    client.force_login(user)
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}


def contents() -> dict[str, list[tuple]]:
    """Every row of every table, as the database has it: hundreds of times, so without making objects of them."""
    found = {}
    with connection.cursor() as cursor:
        for table, query in QUERIES.items():
            cursor.execute(query)
            found[table] = cursor.fetchall()
    return found


@pytest.fixture(scope="module")
def walk(world, django_db_blocker, tmp_path_factory) -> Iterator[Walk]:
    with (
        django_db_blocker.unblock(),
        undone(),
        override_settings(DEMO_MAIL_DIR=tmp_path_factory.mktemp("mail")),
    ):
        mail = EmailMessage("Subject", "Text", to=["payer@payers.example"], headers={"Message-ID": f"<{MAIL_ID}@x>"})
        get_connection("config.demo_mail.MailboxBackend").send_messages([mail])
        yield Walk(world, Client(raise_request_exception=False))


def test_names_every_route_and_method_once(walk):
    handled = {
        (name, method)
        for name, route in walk.routes.items()
        if not name.startswith(BACK_OFFICE)
        for method in METHODS
        if _status(walk, route, method, "anon") != 405
    }
    assert handled == set(TABLE)


def test_every_route_has_a_name_of_its_own():
    names = [route.name for route in all_routes() if not route.name.startswith(BACK_OFFICE)]
    assert "" not in names
    assert len(names) == len(set(names))


def _status(walk: Walk, route: Route, method: str, persona: str) -> int:
    with undone():
        return walk.ask(route, method, persona).status_code


@pytest.mark.parametrize(("name", "method"), TABLE)
def test_answers_everybody_as_the_table_says(walk, name, method):
    expected, answers = TABLE[name, method], {}
    for persona in PERSONAS:
        with undone():
            response = walk.ask(walk.routes[name], method, persona)
            answers[persona] = response.status_code
            if response.status_code in REFUSED:
                assert contents() == walk.before, f"{persona} was refused, and something happened all the same"
            if response.status_code == 403:
                assert_says_who_may(response.json()["error"], persona, expected)
    assert answers == expected


def assert_says_who_may(error: dict, persona: str, expected: Statuses) -> None:
    """A key is told which scope it lacks or that this is for people; a person, which roles would do."""
    if persona in ("read", "full"):
        assert re.search(r"\b[a-z_]+:(read|write)\b|people|person", error["message"])
    elif error["code"] == "email_unverified":
        assert persona == "new"
    else:
        able = {role for persona, role in ROLES.items() if expected[persona] < 300}
        assert set(ROLE.findall(error["message"])) == able


@pytest.mark.parametrize("name", [name for name, method in TABLE if method == "GET"])
def test_head_is_get_but_for_the_body(walk, name):
    for persona in ("anon", "cust", "owner"):
        with undone():
            full = walk.ask(walk.routes[name], "GET", persona)
        with undone():
            head = walk.ask(walk.routes[name], "HEAD", persona)
        assert (head.status_code, _headers(head)) == (full.status_code, _headers(full))


def _headers(response) -> dict[str, str]:
    """Without what differs from one request to the next."""
    return {name: re.sub(r"nonce-[^']+", "", value) for name, value in response.items() if name not in VOLATILE}


@pytest.mark.parametrize("name", sorted({name for name, _method in TABLE}))
def test_any_other_method_is_refused(walk, name):
    for method in STRANGE_METHODS:
        for persona in ("anon", "owner"):
            with undone():
                response = walk.client.generic(
                    method, walk.path(walk.routes[name]), headers=walk.headers(walk.routes[name], persona)
                )
            assert response.status_code == 405
            assert "GET" in response["Allow"] or "POST" in response["Allow"]


class TestBackOffice:
    def test_sends_everybody_but_staff_to_its_log_in(self, walk):
        routes = [route for route in all_routes() if route.name.startswith(BACK_OFFICE)]
        assert len(routes) > 50
        for route in routes:
            path = route.path({name: "accounts" if name == "app_label" else "x" for name in route.arguments})
            for persona in ("anon", "cust", "owner"):
                for method in ("GET", "POST"):
                    answer = send(walk.client, method, path, headers=walk.headers(route, persona))
                    assert_leads_to_the_log_in(route, method, answer)

    def test_lets_staff_in(self, walk):
        with undone():
            walk.world.users["cust"].is_staff = walk.world.users["cust"].is_superuser = True
            walk.world.users["cust"].save()
            assert walk.client.get("/admin/", headers=walk.cookies["cust"]).status_code == 200
        walk.world.users["cust"].refresh_from_db()


def assert_leads_to_the_log_in(route: Route, method: str, answer) -> None:
    if route.name == "admin:login":
        assert answer.status_code == 200
    else:
        assert (answer.status_code, answer["Location"].partition("?")[0]) in ((302, "/admin/login/"), (302, "/admin/"))


def test_a_session_opens_nothing_in_the_api(walk):
    for name, method in TABLE:
        route = walk.routes[name]
        if route.is_api and TABLE[name, method]["anon"] == 401:
            with undone():
                sent = body(walk.world, route, method, "owner")
                assert send(walk.client, method, walk.path(route), sent, walk.cookies["owner"]).status_code == 401


class TestDescription:
    def test_shows_the_policy_in_the_docs(self):
        """As `manage.py policy` prints it."""
        printed = StringIO()
        call_command("policy", stdout=printed)
        page = (settings.BASE_DIR / "docs" / "api.md").read_text(encoding="utf-8")
        shown = page[page.index("| permission |") :].partition("\n\n")[0]
        assert shown.splitlines() == printed.getvalue().splitlines()

    def test_says_of_each_operation_who_may(self, walk, client):
        """The roles that it names are those of the table; an operation that names none is for anybody."""
        paths = client.get("/api/schema").json()["paths"]
        described = {
            (resolve(re.sub(r"\{\w+\}", MAIL_ID, path)).url_name, method.upper()): operation.get("description", "")
            for path, methods in paths.items()
            for method, operation in methods.items()
        }
        for (name, method), statuses in TABLE.items():
            if walk.routes[name].is_api:
                able = {role for persona, role in ROLES.items() if statuses[persona] < 300}
                named = re.search(r"Needs `[a-z_]+:(?:read|write)`: ([a-z, ]+)", described[name, method])
                everybody = set(ROLES.values())
                assert (set(ROLE.findall(named[1])) if named else everybody) == able, (name, method)
                assert bool(named) == (statuses["new"] == 403), (name, method)
