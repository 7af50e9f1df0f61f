"""One refresh token, used by many at once, over HTTP. SQLite has one writer and hides races, so what counts here is
the run on MariaDB and PostgreSQL."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import requests
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Login, User
from accounts.services import end_logins, refresh_tokens
from accounts.services.logins import RACE, start_login
from accounts.tokens import TokenInvalid
from core.mail import Email
from tests.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

TIMEOUT = 60
PARALLEL = 12
ROUNDS = 10 if connection.vendor == "sqlite" else 100

EMAIL, PASSWORD = "ada@example.com", "a long enough one 9"

Pair = dict[str, Any]


@pytest.fixture
def ada() -> User:
    return User.objects.create_user(EMAIL, PASSWORD, name="Ada", email_verified_at=timezone.now())


@pytest.fixture
def sessions() -> Iterator[list[requests.Session]]:
    """A connection for each of those who run."""
    opened = [requests.Session() for _n in range(PARALLEL)]
    yield opened
    for session in opened:
        session.close()


@pytest.fixture
def log_in(server_url, sessions, ada) -> Callable[[], Pair]:
    """A new pair of tokens; the server's own, which names its address in them."""

    def send() -> Pair:
        body = {"email": EMAIL, "password": PASSWORD}
        answer = sessions[0].post(f"{server_url}/api/v1/auth/token", json=body, timeout=TIMEOUT)
        pair: Pair = answer.json()["token"]
        return pair

    return send


@pytest.fixture
def race(server_url, sessions) -> Callable[[Pair], list[requests.Response]]:
    """The answers to one token, sent by all at once."""

    def run(pair: Pair) -> list[requests.Response]:
        return at_once([partial(refresh, server_url, session, pair) for session in sessions])

    return run


@pytest.fixture
def me(server_url, sessions) -> Callable[[Pair], int]:
    """The status of a request with the access token."""

    def ask(pair: Pair) -> int:
        headers = {"Authorization": f"Bearer {pair['access']}"}
        return sessions[0].get(f"{server_url}/api/v1/auth/me", headers=headers, timeout=TIMEOUT).status_code

    return ask


def refresh(server_url: str, session: requests.Session, pair: Pair) -> requests.Response:
    body = {"refresh": pair["refresh"]}
    return session.post(f"{server_url}/api/v1/auth/token/refresh", json=body, timeout=TIMEOUT)


def winner_of(answers: list[requests.Response]) -> Pair:
    """The only new pair; all others were refused, and say why."""
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * (PARALLEL - 1)
    refused = [answer.json()["error"]["code"] for answer in answers if answer.status_code == 401]
    assert set(refused) == {"token_invalid"}
    won: Pair = next(answer.json()["token"] for answer in answers if answer.status_code == 200)
    return won


def long_ago() -> None:
    """The grace period of the newest refresh is over."""
    Login.objects.update(refreshed_at=timezone.now() - RACE - timedelta(seconds=1))


class TestOneToken:
    def test_is_refreshed_once_by_twelve(self, log_in, race, me):
        pair = log_in()
        for _round in range(ROUNDS):
            pair = winner_of(race(pair))
            assert me(pair) == 200
        assert Login.objects.get().ended_at is None
        assert not Email.objects.exists()

    def test_that_is_used_again_later_ends_the_log_in_and_is_told_once(self, log_in, race, me):
        stolen = log_in()
        new = winner_of(race(stolen))
        long_ago()

        assert {answer.status_code for answer in race(stolen)} == {401}
        assert me(stolen) == me(new) == 401
        assert {answer.status_code for answer in race(new)} == {401}
        assert Login.objects.get().ended_at is not None
        assert list(Email.objects.values_list("template", "to")) == [("tokens_revoked", EMAIL)]

    def test_gets_nobody_past_the_end_of_all_log_ins(self, ada, log_in, server_url, sessions, me):
        for _round in range(3):
            pair = log_in()
            assert me(pair) == 200
            answers = at_once(
                [partial(end_logins, ada), *(partial(refresh, server_url, session, pair) for session in sessions[:3])]
            )
            pairs = [pair, *(answer.json()["token"] for answer in answers[1:] if answer.status_code == 200)]
            assert [me(each) for each in pairs] == [401] * len(pairs)

    @pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite locks no rows")
    def test_that_is_used_again_waits_for_nobody_who_has_locked_its_owner(self, ada):
        """Whoever changes a password locks the user, then the log-ins: both would wait for each other."""
        used = start_login(ada)["refresh"]
        refresh_tokens(used)
        long_ago()
        held, refused = threading.Event(), threading.Event()

        def hold() -> bool:
            with transaction.atomic():
                User.objects.select_for_update().get()
                held.set()
                return refused.wait(TIMEOUT)

        def use_again() -> None:
            held.wait(TIMEOUT)
            with pytest.raises(TokenInvalid):
                refresh_tokens(used)
            refused.set()

        assert at_once([hold, use_again])[0]
        assert Login.objects.get().ended_at is not None
