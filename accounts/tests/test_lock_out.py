"""Guessing passwords: after five wrong ones an address is closed to that network for a quarter of an hour."""

from urllib.parse import urlsplit

import pytest

from accounts.models import User
from accounts.services import ask_for_reset, send_verification
from accounts.tests.conftest import ADA, PASSWORD, mailed_token, refusal, told, without_id
from tests.deadlocks import deadlock_at
from tests.threads import at_once

WRONG = "another battery 7"
HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"
EVE = "eve@example.com"


@pytest.fixture
def attempt(post):
    """The status of a log-in."""

    def send(password=WRONG, email=ADA, address=HERE, **options):
        return post("auth/token", email=email, password=password, address=address, **options).status_code

    return send


@pytest.fixture
def closed(ada, attempt):
    """Ada's address, closed to HERE."""
    assert [attempt() for _n in range(5)] == [401, 401, 401, 401, 429]


@pytest.mark.usefixtures("closed")
class TestALockOut:
    def test_says_how_long_it_lasts(self, post):
        answer = post("auth/token", email=ADA, password=WRONG)
        assert refusal(answer) == (429, "locked_out")
        assert answer.json()["error"]["type"] == "rate_limit"
        assert answer["Retry-After"] == "900"
        assert answer["Content-Type"] == "application/json"

    def test_holds_against_the_right_password(self, attempt):
        assert attempt(PASSWORD) == 429

    def test_holds_against_other_spellings(self, attempt):
        for email in (ADA.upper(), f" {ADA} ", "Ada@Example.com"):
            assert attempt(PASSWORD, email) == 429

    def test_holds_against_another_program(self, attempt):
        assert attempt(PASSWORD, headers={"User-Agent": "another"}) == 429

    def test_holds_against_an_address_that_is_made_up(self, attempt):
        """X-Forwarded-For is anybody's word where no proxy of ours writes it."""
        for header in (ELSEWHERE, f"{ELSEWHERE}, {HERE}", "unknown", "\u00e9", "x" * 5000):
            assert attempt(PASSWORD, headers={"X-Forwarded-For": header}) == 429

    def test_does_not_hold_elsewhere(self, attempt):
        assert attempt(PASSWORD, address=ELSEWHERE) == 200

    def test_does_not_hold_for_others(self, attempt):
        User.objects.create_user(EVE, PASSWORD)
        assert attempt(PASSWORD, EVE) == 200

    def test_leaves_those_who_are_logged_in_alone(self, attempt, log_in, me, post):
        pair = post("auth/token", email=ADA, password=PASSWORD, address=ELSEWHERE).json()["token"]
        assert attempt(PASSWORD) == 429
        assert me(pair).status_code == 200

    def test_ends_by_itself(self, attempt, later):
        later(minutes=14, seconds=50)
        assert attempt(PASSWORD) == 429
        later(seconds=11)
        assert attempt(PASSWORD) == 200

    def test_does_not_last_longer_for_trying(self, attempt, later):
        later(minutes=10)
        assert attempt() == 429
        later(minutes=5, seconds=1)
        assert attempt(PASSWORD) == 200

    def test_ends_with_a_reset_of_the_password(self, attempt, post):
        ask_for_reset(ADA)
        new = "a third password 5"
        post("auth/password/reset/confirm", token=mailed_token("password_reset"), new_password=new)
        assert attempt(new) == 200

    def test_holds_at_the_back_office_too(self, client):
        User.objects.update(is_staff=True)
        form = {"username": ADA, "password": PASSWORD}
        assert client.post("/admin/login/", form, REMOTE_ADDR=HERE).status_code == 429
        assert client.post("/admin/login/", form, REMOTE_ADDR=ELSEWHERE).status_code == 302


@pytest.mark.django_db(transaction=True)
class TestADeadlock:
    def test_does_not_keep_out_whoever_has_the_right_password(self, ada, attempt):
        attempt()
        with deadlock_at("DELETE", "axes_accessattempt"):
            assert attempt(PASSWORD) == 200

    def test_of_several_wrong_ones_is_a_wrong_one(self, ada, attempt):
        with deadlock_at("INSERT", "axes_accessattempt"):
            assert attempt() == 401

    def test_is_none_of_whoever_confirms_an_address(self, unconfirmed, client):
        send_verification(unconfirmed)
        path = urlsplit(told("verify_email")["url"]).path
        with deadlock_at("INSERT", "axes_accessattempt"):
            assert client.post(path, {"password": WRONG}).status_code == 401


class TestTheCount:
    def test_is_forgotten_with_the_right_password(self, ada, attempt):
        assert [attempt() for _n in range(4)] == [401] * 4
        assert attempt(PASSWORD) == 200
        assert [attempt() for _n in range(4)] == [401] * 4
        assert attempt(PASSWORD) == 200

    def test_is_forgotten_for_that_address_only(self, ada, attempt):
        User.objects.create_user(EVE, PASSWORD)
        for _n in range(4):
            attempt()
        assert attempt(PASSWORD, EVE) == 200
        assert attempt() == 429

    def test_is_the_same_for_an_address_that_nobody_has(self, db, attempt):
        assert [attempt(email="nobody@example.com") for _n in range(6)] == [401, 401, 401, 401, 429, 429]

    def test_tells_nobody_who_has_an_account(self, ada, post):
        for _n in range(5):
            answers = [post("auth/token", email=email, password=WRONG) for email in (ADA, "nobody@example.com")]
        assert without_id(answers[0]) == without_id(answers[1])
        assert set(answers[0].headers) == set(answers[1].headers)

    def test_is_of_a_whole_ipv6_network(self, ada, attempt):
        codes = [attempt(address=f"2001:db8:1:2::{n}") for n in range(5)]
        assert codes == [401, 401, 401, 401, 429]
        assert attempt(PASSWORD, address="2001:db8:1:2:ffff::1") == 429
        assert attempt(PASSWORD, address="2001:db8:1:3::1") == 200

    def test_is_of_the_client_behind_a_proxy_of_ours(self, ada, attempt, settings):
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
        for _n in range(5):
            attempt(headers={"X-Forwarded-For": f"203.0.113.1, {HERE}"}, address="10.0.0.1")
        assert attempt(PASSWORD, headers={"X-Forwarded-For": HERE}, address="10.0.0.1") == 429
        assert attempt(PASSWORD, headers={"X-Forwarded-For": f"{HERE}, {ELSEWHERE}"}, address="10.0.0.1") == 200

    def test_is_kept_where_no_address_is_known(self, ada, attempt):
        """Behind a socket there is none: then all are one network."""
        codes = [attempt(address="") for _n in range(5)]
        assert codes == [401, 401, 401, 401, 429]

    def test_is_the_same_at_the_back_office(self, ada, client, attempt):
        for _n in range(5):
            client.post("/admin/login/", {"username": ADA.upper(), "password": WRONG}, REMOTE_ADDR=HERE)
        assert attempt(PASSWORD) == 429

    def test_is_kept_for_whatever_is_typed_there(self, db, client):
        for odd in ("\u0130" * 254, "x" * 254, "\u1e9e" * 254, "'\"<b>%00\\", "\U0001f511" * 200):
            form = {"username": odd, "password": WRONG}
            assert client.post("/admin/login/", form, REMOTE_ADDR=HERE).status_code == 200


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    """SQLite has one writer; what counts here is the run on MariaDB and PostgreSQL."""

    def test_guess_is_counted_each(self, ada, attempt):
        for round_ in range(5):
            address = f"203.0.113.{round_}"
            answers = at_once([lambda a=address: attempt(address=a)] * 8)
            assert set(answers) <= {401, 429}
            assert attempt(PASSWORD, address=address) == 429
