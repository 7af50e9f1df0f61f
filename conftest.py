"""Fixtures that every test may use: a shop, a way to pay in it, and the worker."""

import tests.environment  # noqa: F401 before anything of Django

import gc
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import compress
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management.commands.flush import Command as FlushCommand
from django.db import connection, transaction
from django.test.client import Client, ClientHandler
from django.utils import timezone, translation
from hypothesis import settings as hypothesis

from accounts.models import Merchant, User
from accounts.services import add_member, create_merchant
from accounts.services.logins import start_login
from core import queue
from ledger import triggers
from tests.sinks import Sink, listening

hypothesis.register_profile("tests", deadline=None)  # a busy machine is no fault
hypothesis.load_profile("tests")

OBJECTS_TO_COLLECT = 20_000  # new ones; Python's 700 are few for an ORM


def pytest_collection_finish() -> None:
    """What is loaded by now stays. The garbage collector, which would look through it again and again, took a fifth of
    the time of the tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_TO_COLLECT, 20, 20)


# What Django itself writes when tables are made: the same for every test.
NEVER_EMPTIED = {"django_migrations", "django_content_type", "auth_permission"}


def empty_tables(_command: FlushCommand, **_options: Any) -> None:
    """Deletes the rows that a test committed; the triggers that keep the books stand aside for that.

    Django's own way, which empties every table and then writes what never changes, takes seconds on a server.
    """
    names = sorted(set(connection.introspection.django_table_names(include_views=False)) - NEVER_EMPTIED)
    questions = [f"EXISTS (SELECT 1 FROM {connection.ops.quote_name(name)})" for name in names]  # noqa: S608
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(questions)}")
        filled = list(compress(names, cursor.fetchone()))
        is_booked = not set(triggers.TABLES).isdisjoint(filled)
        if is_booked:
            triggers.remove(connection)
        try:
            with transaction.atomic():  # where constraints cannot be disabled, they are checked at its end
                for name in filled:
                    cursor.execute(f"DELETE FROM {connection.ops.quote_name(name)}")  # noqa: S608
        finally:
            if is_booked:
                triggers.install(connection)


@pytest.fixture(scope="session", autouse=True)
def _tables_are_emptied_quickly() -> Iterator[None]:
    """Between the tests that commit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FlushCommand, "handle", empty_tables)
        yield


@pytest.fixture(autouse=True)
def _nothing_of_other_tests() -> None:
    """Neither what was counted nor the language of the last request."""
    cache.clear()
    translation.deactivate()


@pytest.fixture
def shop(db: None) -> Merchant:
    """An active sandbox merchant, the installation's default one."""
    return create_merchant(name="Acme", status=Merchant.Status.ACTIVE, return_origins=["https://shop.example.com"])


@pytest.fixture(scope="session")
def _handler() -> ClientHandler:
    """Middleware, loaded once: WhiteNoise looks through all static files each time."""
    handler = ClientHandler(enforce_csrf_checks=False)
    handler.load_middleware()
    return handler


@pytest.fixture
def client(_handler: ClientHandler) -> Client:
    """A browser: an unhandled error is raised in the test."""
    client = Client()
    client.handler = _handler
    return client


@pytest.fixture
def api(_handler: ClientHandler) -> Client:
    """A client of the public API; an unhandled error is its 500, as for anybody else."""
    client = Client(raise_request_exception=False)
    client.handler = _handler
    return client


@pytest.fixture
def pay(api: Client, shop: Merchant) -> Callable[..., Any]:
    """`pay(amount=…)` posts the least payment with these fields changed; None leaves a field out."""

    def post(headers: dict[str, str] | None = None, **fields: Any) -> Any:
        least = {"customer_name": "John Doe", "customer_email": "john@example.com", "amount": 50.00}
        body = {name: value for name, value in {**least, **fields}.items() if value is not None}
        return api.post("/api/v1/payments", body, content_type="application/json", headers=headers)

    return post


Headers = dict[str, str]


@pytest.fixture
def bearer(db: None) -> Callable[[User], Headers]:
    """`bearer(user)` logs a user in and answers with the headers of their requests."""
    return lambda user: {"Authorization": f"Bearer {start_login(user)['access']}"}


@pytest.fixture
def member(shop: Merchant, bearer: Callable[[User], Headers]) -> Callable[[str], Headers]:
    """`member("viewer")` makes a member of the shop with this role and answers with their headers."""

    def make(role: str) -> Headers:
        user = User.objects.create(
            email=f"{role}@shop.example.com", name=role.capitalize(), email_verified_at=timezone.now()
        )
        add_member(shop, user, role)
        return bearer(user)

    return make


@pytest.fixture
def owner(member: Callable[[str], Headers]) -> Headers:
    """The headers of the shop's owner."""
    return member("owner")


@pytest.fixture
def owner_user(owner: Headers) -> User:
    return User.objects.get(email="owner@shop.example.com")


@pytest.fixture
def work() -> Callable[[], int]:
    """Does what the worker would: runs every queue until nothing is due."""
    return queue.run_due


@pytest.fixture
def later(time_machine: Any, work: Callable[[], int]) -> Callable[..., None]:
    """`later(LEASE)`, `later(days=2)`: lets the worker live through that time."""

    def move(delta: timedelta = timedelta(), **parts: float) -> None:
        time_machine.move_to(timezone.now() + delta + timedelta(**parts))
        work()

    return move


# --- Calls to others ----------------------------------------------------------------------------
@pytest.fixture
def sink() -> Iterator[Sink]:
    """A server on this machine that receives what is posted and misbehaves as its path says (tests/sinks.py)."""
    with listening() as server:
        yield server


@pytest.fixture
def loopback_allowed(settings: Any) -> None:
    settings.OUTBOUND_ALLOWED = ["127.0.0.0/8"]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The addresses that any socket of this process was connected to."""
    addresses: list[Any] = []
    connect = socket.socket.connect

    def spy(self: socket.socket, address: Any) -> None:
        addresses.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", spy)
    return addresses
