"""How often: by network, by address, by credential; and what the headers say about it."""

import pytest

from accounts.models import User
from accounts.services import create_key, create_merchant
from accounts.tests.conftest import ADA, PASSWORD, refusal
from core.mail import Email

WRONG = "another battery 7"
LOG_IN, ACCOUNT = "accounts.throttles.LogInThrottle", "accounts.throttles.AccountThrottle"
CREDENTIAL = "accounts.access.CredentialThrottle"
CREATE, READ = "payments.views.CreateThrottle", "payments.views.ReadThrottle"
HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture(autouse=True)
def _noon(time_machine):
    time_machine.move_to("2030-01-01 12:00:10Z", tick=False)


@pytest.fixture
def limit(monkeypatch):
    """`limit(LOG_IN, "3/min")` for this test."""
    return lambda throttle, rate: monkeypatch.setattr(f"{throttle}.rate", rate, raising=False)


@pytest.fixture
def attempt(post):
    def send(email=ADA, password=PASSWORD, **options):
        return post("auth/token", email=email, password=password, **options)

    return send


@pytest.fixture
def key(shop, owner_user):
    """`key(merchant)` answers with the headers of a new API key."""

    def make(merchant=shop):
        _row, secret = create_key(
            merchant,
            by=owner_user,
            by_role="owner",
            key=None,
            name="Server",
            scopes=["payments:read", "payments:write"],
        )
        return {"Authorization": f"Bearer {secret}"}

    return make


def codes(send, times):
    return [send(number).status_code for number in range(times)]


class TestANetwork:
    @pytest.fixture(autouse=True)
    def _three(self, limit, ada):
        limit(LOG_IN, "3/min")

    def test_tries_passwords_of_whoever_it_likes_three_times(self, attempt):
        assert codes(lambda n: attempt(email=f"{n}@example.com"), 5) == [401, 401, 401, 429, 429]

    def test_gets_no_further_with_the_right_password(self, attempt):
        assert codes(lambda n: attempt(), 4) == [200, 200, 200, 429]

    def test_is_not_another(self, attempt):
        assert codes(lambda n: attempt(address=f"192.0.2.{n}"), 5) == [200] * 5

    def test_is_64_bits_of_ipv6(self, attempt):
        assert codes(lambda n: attempt(address=f"2001:db8:0:1:{n}::1"), 4) == [200, 200, 200, 429]
        assert attempt(address="2001:db8:0:2::1").status_code == 200

    def test_cannot_call_itself_another(self, attempt):
        spoofed = [{"X-Forwarded-For": f"203.0.113.{n}", "X-Real-Ip": f"203.0.113.{n}"} for n in range(4)]
        assert codes(lambda n: attempt(headers=spoofed[n]), 4) == [200, 200, 200, 429]

    def test_is_what_the_last_proxy_of_ours_saw(self, attempt, settings):
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
        told = [{"X-Forwarded-For": f"203.0.113.{n}, {HERE}"} for n in range(4)]
        assert codes(lambda n: attempt(headers=told[n], address="10.0.0.1"), 4) == [200, 200, 200, 429]
        other = {"X-Forwarded-For": f"{HERE}, {ELSEWHERE}"}
        assert attempt(headers=other, address="10.0.0.1").status_code == 200

    def test_is_not_let_through_by_a_credential(self, attempt, owner, key):
        for number, headers in enumerate([owner, key(), owner]):
            assert attempt(headers=headers).status_code == 200, number
        assert attempt(headers=owner).status_code == 429
        assert attempt(headers=key()).status_code == 429

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("auth/register", {"email": "new@example.com", "password": PASSWORD, "name": "New"}),
            ("auth/token/refresh", {"refresh": "x"}),
            ("auth/token/verify", {"token": "x"}),
            ("auth/password/reset", {"email": "new@example.com"}),
            ("auth/password/reset/confirm", {"token": "x", "new_password": WRONG}),
            ("members/accept", {"token": "x"}),
        ],
    )
    def test_counts_all_doors_together(self, attempt, post, path, body):
        for _n in range(3):
            attempt()
        assert refusal(post(path, **body)) == (429, "rate_limited")
        assert post(path, address=ELSEWHERE, **body).status_code != 429

    def test_counts_what_is_refused_for_its_form(self, attempt, api):
        for _n in range(3):
            api.post("/api/v1/auth/token", "{", content_type="application/json", REMOTE_ADDR=HERE)
        assert attempt().status_code == 429

    def test_may_begin_anew_with_the_next_minute(self, attempt, time_machine):
        for _n in range(4):
            attempt()
        time_machine.move_to("2030-01-01 12:01:00Z", tick=False)
        assert attempt().status_code == 200

    def test_may_go_on_with_what_it_has(self, attempt, me):
        pair = attempt().json()["token"]
        for _n in range(3):
            attempt()
        assert me(pair).status_code == 200


class TestAnAddress:
    @pytest.fixture(autouse=True)
    def _three(self, limit, ada):
        limit(ACCOUNT, "3/hour")

    def test_is_tried_three_times_from_wherever(self, attempt):
        answers = codes(lambda n: attempt(password=WRONG, address=f"203.0.113.{n}"), 5)
        assert answers == [401, 401, 401, 429, 429]
        assert attempt(address=ELSEWHERE).status_code == 429

    def test_is_one_in_any_spelling(self, attempt):
        spellings = [ADA, ADA.upper(), f" {ADA}", "Ada@Example.com\t"]
        assert codes(lambda n: attempt(spellings[n], address=f"203.0.113.{n}"), 4) == [200, 200, 200, 429]

    def test_is_not_another(self, attempt):
        assert codes(lambda n: attempt(f"{n}@example.com"), 5) == [401] * 5

    def test_gets_three_mails_an_hour(self, post, time_machine):
        assert codes(lambda n: post("auth/password/reset", email=ADA, address=f"203.0.113.{n}"), 4) == [200] * 3 + [429]
        assert Email.objects.count() == 3
        time_machine.move_to("2030-01-01 13:00:00Z", tick=False)
        assert post("auth/password/reset", email=ADA).status_code == 200

    def test_is_refused_the_same_whether_it_has_an_account_or_not(self, post):
        nobody = codes(lambda n: post("auth/password/reset", email="nobody@example.com"), 4)
        assert nobody == codes(lambda n: post("auth/password/reset", email=ADA), 4)

    def test_of_whoever_is_logged_in_is_mailed_no_more_often(self, ada, bearer, post):
        headers = bearer(ada)
        User.objects.update(email_verified_at=None)
        answers = codes(lambda n: post("auth/email/resend", headers, address=f"203.0.113.{n}"), 4)
        assert answers == [200, 200, 200, 429]
        assert Email.objects.count() == 3

    def test_of_whoever_is_logged_in_has_its_password_guessed_no_more_often(self, ada, bearer, post):
        headers = bearer(ada)
        fields = {"current_password": WRONG, "new_password": WRONG}
        answers = codes(lambda n: post("auth/password/change", headers, address=f"203.0.113.{n}", **fields), 4)
        assert answers == [400, 400, 400, 429]

    @pytest.mark.parametrize("email", [None, 5, [], {}, "\0", "\ud800", "é@example.com", "x" * 10_000, ["a"] * 1000])
    def test_that_is_none_is_refused_all_the_same(self, attempt, email):
        assert attempt(email).status_code == 400


class TestTheHeaders:
    def test_tell_what_is_left(self, limit, ada, attempt):
        limit(LOG_IN, "3/min")
        answers = [attempt() for _n in range(4)]
        assert [answer["RateLimit-Limit"] for answer in answers] == ["3"] * 4
        assert [answer["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert [answer["RateLimit-Reset"] for answer in answers] == ["51"] * 4
        assert [answer.headers.get("Retry-After") for answer in answers] == [None, None, None, "51"]

    def test_tell_the_limit_that_is_closest(self, limit, ada, attempt):
        limit(LOG_IN, "9/min")
        limit(ACCOUNT, "2/hour")
        answers = [attempt() for _n in range(3)]
        assert [answer["RateLimit-Limit"] for answer in answers] == ["2"] * 3
        assert answers[2].status_code == 429
        assert answers[2]["Retry-After"] == answers[2]["RateLimit-Reset"] == str(3600 - 10 + 1)

    def test_tell_it_of_a_refusal_too(self, limit, ada, attempt):
        limit(LOG_IN, "3/min")
        refused = attempt(password=WRONG)
        assert (refused.status_code, refused["RateLimit-Remaining"]) == (401, "2")

    def test_of_a_429_come_with_the_envelope(self, limit, ada, attempt):
        limit(LOG_IN, "1/min")
        attempt()
        refused = attempt()
        assert refusal(refused) == (429, "rate_limited")
        assert refused.json()["error"]["type"] == "rate_limit"
        assert refused["Cache-Control"] == "no-store"


class TestACredential:
    def test_of_a_person_counts_alone(self, limit, ada, bearer, api, owner):
        limit(CREDENTIAL, "3/min")
        one, other = bearer(ada), bearer(ada)
        answers = codes(lambda n: api.get("/api/v1/auth/me", headers=(one, other)[n % 2]), 4)
        assert answers == [200, 200, 200, 429]
        assert api.get("/api/v1/auth/me", headers=owner).status_code == 200

    def test_of_a_merchant_counts_with_its_others(self, limit, api, key, shop):
        limit(CREDENTIAL, "3/min")
        one, other = key(), key()
        answers = codes(lambda n: api.get("/api/v1/payments", headers=(one, other)[n % 2]), 4)
        assert answers == [200, 200, 200, 429]
        rival = key(create_merchant(name="Rival", status="active"))
        assert api.get("/api/v1/payments", headers=rival).status_code == 200

    def test_counts_from_everywhere(self, limit, api, key):
        limit(CREDENTIAL, "3/min")
        headers = key()
        addresses = [f"203.0.113.{n}" for n in range(4)]
        answers = codes(lambda n: api.get("/api/v1/payments", headers=headers, REMOTE_ADDR=addresses[n]), 4)
        assert answers == [200, 200, 200, 429]


class TestStartingPayments:
    @pytest.fixture(autouse=True)
    def _three(self, limit, shop):
        limit(CREATE, "3/min")

    def test_without_a_credential_is_counted_by_network(self, pay):
        assert codes(lambda n: pay(), 4) == [201, 201, 201, 429]

    def test_by_a_merchant_s_own_program_is_counted_for_the_merchant(self, pay, key, limit, shop):
        headers = key()
        assert codes(lambda n: pay(headers=headers), 5) == [201] * 5
        assert codes(lambda n: pay(headers=headers, merchant_id=shop.pk), 5) == [201] * 5
        limit(CREDENTIAL, "11/min")
        assert codes(lambda n: pay(headers=headers), 2) == [201, 429]

    def test_with_the_key_of_another_merchant_is_counted_by_network(self, pay, key, shop):
        """Anybody may have a merchant in the sandbox; with its key they could try cards elsewhere all day."""
        headers = key(create_merchant(name="Rival", status="active"))
        assert codes(lambda n: pay(headers=headers, merchant_id=shop.pk), 4) == [201, 201, 201, 429]

    def test_with_an_account_is_counted_by_network(self, pay, ada, bearer, shop):
        """Anybody may have an account."""
        headers = bearer(ada)
        assert codes(lambda n: pay(headers=headers, merchant_id=shop.pk), 4) == [201, 201, 201, 429]


class TestReadingPayments:
    @pytest.mark.parametrize("method", ["get", "head"])
    def test_is_counted_by_network(self, limit, pay, api, method):
        limit(READ, "3/min")
        url = f"/api/v1/payments/{pay().json()['payment']['id']}"
        assert codes(lambda n: getattr(api, method)(url), 4) == [200, 200, 200, 429]
