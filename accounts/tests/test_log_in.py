"""Logging in: what comes back, and that nobody learns who has an account."""

import statistics
import time

import jwt
import pytest
from django.conf import settings as conf
from django.contrib.auth.hashers import MD5PasswordHasher, PBKDF2PasswordHasher

from accounts.models import Login, User
from accounts.services import CredentialsWrong, change_password
from accounts.services.logins import start_login
from accounts.tests.conftest import ADA, PASSWORD, refusal, without_id

UNKNOWN = "nobody@example.com"


class SlowHasher(PBKDF2PasswordHasher):
    """As slow as a request, so that a run more or less shows."""

    iterations = 100_000


@pytest.fixture
def attempt(post):
    return lambda email=ADA, password=PASSWORD, **options: post("auth/token", email=email, password=password, **options)


class TestLogIn:
    def test_answers_with_two_tokens(self, attempt, ada):
        answer = attempt()
        assert answer.status_code == 200
        token = answer.json()["token"]
        assert set(token) == {"access", "refresh", "token_type", "expires_in"}
        assert (token["token_type"], token["expires_in"]) == ("Bearer", 600)
        assert answer["Cache-Control"] == "no-store"

    def test_names_the_log_in_in_both_tokens_and_no_more(self, attempt, ada):
        token = attempt().json()["token"]
        login = Login.objects.get()
        for kind, seconds in (("access", 600), ("refresh", 24 * 3600)):
            claims = jwt.decode(token[kind], options={"verify_signature": False})
            assert set(claims) == {"token_type", "exp", "iat", "jti", "sub", "sid", "aud", "iss"}
            assert (claims["sub"], claims["sid"], claims["token_type"]) == (ada.pk, login.pk, kind)
            assert claims["exp"] - claims["iat"] == seconds
            assert (claims["iss"], claims["aud"]) == (conf.SITE_URL, f"{conf.SITE_URL}/api")
            assert jwt.get_unverified_header(token[kind]) == {"alg": "HS256", "typ": "JWT"}

    def test_opens_the_door(self, attempt, ada, me):
        user = me(attempt().json()["token"]).json()["user"]
        assert (user["id"], user["email"], user["name"]) == (ada.pk, ADA, "Ada Lovelace")

    def test_is_remembered(self, attempt, ada):
        assert ada.last_login is None
        attempt()
        ada.refresh_from_db()
        assert ada.last_login is not None

    def test_stands_beside_others(self, attempt, ada, me):
        one, other = attempt().json()["token"], attempt().json()["token"]
        assert me(one).status_code == me(other).status_code == 200
        assert Login.objects.count() == 2

    @pytest.mark.parametrize("email", ["ADA@example.com", " ada@EXAMPLE.com\n"])
    def test_takes_the_address_in_any_spelling(self, attempt, ada, email):
        assert attempt(email=email).status_code == 200

    def test_takes_the_password_in_one_spelling(self, attempt, ada):
        for password in (f" {PASSWORD}", f"{PASSWORD} ", PASSWORD.upper(), f"{PASSWORD}\0"):
            assert attempt(password=password).status_code in (400, 401)

    def test_is_refused_when_the_password_changes_in_between(self, ada):
        checked = User.objects.get()
        change_password(ada, current=PASSWORD, new="another battery 7")
        with pytest.raises(CredentialsWrong):
            start_login(checked)
        assert not Login.objects.exists()


@pytest.fixture
def whoever(ada):
    """Those who do not get in, by the reason."""
    User.objects.create_user("off@example.com", PASSWORD, is_active=False)
    User.objects.create_user("none@example.com")
    return {
        "wrong": {"email": ADA, "password": "another battery 7"},
        "unknown": {"email": UNKNOWN},
        "off": {"email": "off@example.com"},
        "no password": {"email": "none@example.com"},
    }


class TestWhoDoesNotGetIn:
    def test_learns_nothing_from_the_answer(self, attempt, whoever):
        answers = {reason: attempt(**fields) for reason, fields in whoever.items()}
        for reason, answer in answers.items():
            assert refusal(answer) == (401, "credentials_wrong"), reason
            assert answer["WWW-Authenticate"] == 'Bearer realm="Tillgate"', reason
            assert without_id(answer) == without_id(answers["wrong"]), reason
            assert set(answer.headers) == set(answers["wrong"].headers), reason

    def test_learns_nothing_from_the_work_that_is_done(self, attempt, whoever, monkeypatch):
        runs = []
        encode = MD5PasswordHasher.encode
        monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *args: runs.append(args) or encode(*args))
        counts = {}
        for reason, fields in whoever.items():
            runs.clear()
            attempt(**fields)
            counts[reason] = len(runs)
        assert counts == dict.fromkeys(whoever, 1)

    def test_learns_nothing_from_the_time_it_takes(self, attempt, settings, db):
        settings.PASSWORD_HASHERS = [f"{__name__}.SlowHasher"]
        User.objects.create_user(ADA, PASSWORD)
        times = {ADA: [], UNKNOWN: []}
        for round_ in range(5):
            for email, taken in times.items():
                start = time.perf_counter()
                assert attempt(email, "another battery 7", address=f"192.0.2.{round_}").status_code == 401
                taken.append(time.perf_counter() - start)
        ratio = statistics.median(times[ADA]) / statistics.median(times[UNKNOWN])
        assert 1 / 3 < ratio < 3

    def test_makes_no_log_in(self, attempt, whoever):
        for fields in whoever.values():
            attempt(**fields)
        assert not Login.objects.exists()


class TestBadInput:
    @pytest.mark.parametrize("field", ["email", "password"])
    def test_is_refused_by_its_field(self, attempt, ada, field):
        for odd in ("nul\0nul", "\ud800", "", 5, True, None, [], {}, [ADA], "x" * 10_000):
            status, code = refusal(attempt(**{field: odd}))
            assert status == 400, odd
            assert code in ("parameter_invalid", "parameter_missing", "json_invalid")

    def test_is_refused_by_its_form(self, api, ada):
        for body in ("", "[]", "null", '"ada"', "{", "\xff", '{"email":"a","email":"b"}', "[" * 5000):
            answer = api.post("/api/v1/auth/token", body.encode("latin-1"), content_type="application/json")
            assert answer.status_code == 400, body

    def test_is_json_or_nothing(self, api, ada):
        body = f"email={ADA}&password={PASSWORD}"
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "x"):
            answer = api.post("/api/v1/auth/token", body, content_type=kind)
            assert refusal(answer) == (415, "media_type_unsupported")

    @pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options"])
    def test_is_sent_by_post(self, api, db, method):
        assert refusal(getattr(api, method)("/api/v1/auth/token")) == (405, "method_not_allowed")

    def test_does_not_get_by_in_the_query(self, api, ada):
        answer = api.post(f"/api/v1/auth/token?email={ADA}&password={PASSWORD}", {}, content_type="application/json")
        assert refusal(answer) == (400, "parameter_missing")

    def test_a_bad_credential_counts_where_none_is_needed(self, attempt, ada):
        answer = attempt(headers={"Authorization": "Bearer nonsense"})
        assert refusal(answer) == (401, "token_invalid")
        assert answer["WWW-Authenticate"] == 'Bearer realm="Tillgate", error="invalid_token"'

    def test_a_credential_of_another_scheme_is_a_proxy_s_own(self, attempt, ada):
        for header in ("", "Basic YTpi", "bearernonsense"):
            assert attempt(headers={"Authorization": header}).status_code == 200
