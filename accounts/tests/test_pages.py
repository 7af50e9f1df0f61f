"""The pages that mailed links lead to, over HTTP."""

import io
import json
import logging
import re
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from accounts import services
from accounts.forms import AddressForm, NewAccountForm
from accounts.models import Login, Membership, Merchant, User
from accounts.views.auth import AccountThrottle, LogInThrottle
from core.mail import Email

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse 9"
NEW = "another battery 7"
OWNER, NEWCOMER = "owner@example.com", "new@example.com"
TEMPLATES = settings.BASE_DIR / "templates"
PAGES = [path for path in sorted(TEMPLATES.glob("account/[!_]*.html")) if path.name != "base.html"] + [
    TEMPLATES / "429.html"
]
HOSTILE = "<script>alert(1)</script>\"'&{{ 7 }}\u202e"


@pytest.fixture(autouse=True)
def _quick_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def user(db):
    return User.objects.create_user(OWNER, PASSWORD, name="Olivia")


@pytest.fixture
def invite(shop, user):
    """`invite(email)` answers with the path that the mail leads to."""

    def send(email=NEWCOMER, role="developer"):
        services.invite_member(shop, by=user, by_role="owner", email=email, role=role, key=None)
        return mailed("invitation")

    return send


@pytest.fixture
def verify_path(user):
    services.send_verification(user)
    return mailed("verify_email")


@pytest.fixture
def reset_path(user):
    services.ask_for_reset(user.email)
    return mailed("password_reset")


def mailed(template):
    """The path of the link in the last mail of this kind."""
    return urlsplit(json.loads(Email.objects.filter(template=template).latest("pk").context)["url"]).path


@dataclass
class Link:
    """A link, what its form must be sent to do its work, and how long it is good."""

    path: str
    form: dict[str, str]
    lasts: timedelta

    @property
    def token(self):
        return self.path.rpartition("/")[2]


@pytest.fixture(params=["verify", "reset", "join"])
def link(request, user, invite):
    if request.param == "verify":
        return Link(request.getfixturevalue("verify_path"), {"password": PASSWORD}, timedelta(days=3))
    if request.param == "reset":
        return Link(request.getfixturevalue("reset_path"), {"password": NEW}, timedelta(days=3))
    return Link(invite(), {"name": "Nora", "password": NEW}, timedelta(days=7))


def everything():
    """Every row that a link may change."""
    return [list(model.objects.order_by("pk").values()) for model in (User, Membership, Login, Email)]


def mistake(response):
    """What the page says beside the field at fault."""
    found = re.search(r'class="field-error".*?</svg>\s*(.*?)</p>', response.content.decode(), re.DOTALL)
    return found and found[1]


class TestEveryLink:
    def test_opens_a_page_that_is_kept_and_told_to_nobody(self, client, link):
        for response in (client.get(link.path), client.post(link.path, {}), client.post(link.path, link.form)):
            assert "no-store" in response["Cache-Control"]
            assert response["Referrer-Policy"] == "strict-origin"
            assert response["X-Robots-Tag"] == "noindex"

    def test_that_is_bad_opens_one_too(self, client, link):
        response = client.get(link.path[:-1])
        assert response.status_code == 410
        assert "no-store" in response["Cache-Control"]
        assert response["Referrer-Policy"] == "strict-origin"
        assert response["X-Robots-Tag"] == "noindex"

    @pytest.mark.parametrize("method", ["get", "head"])
    def test_that_is_only_followed_changes_nothing(self, client, link, method):
        before = everything()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert getattr(client, method)(link.path).status_code == 200
        assert [query["sql"] for query in queries if not query["sql"].startswith("SELECT")] == []
        assert everything() == before

    def test_does_its_work_once(self, client, link):
        assert client.post(link.path, link.form).status_code == 200
        before = everything()
        assert client.get(link.path).status_code == 410
        assert client.post(link.path, link.form).status_code == 410
        assert everything() == before

    def test_is_good_for_days_and_no_longer(self, client, link, time_machine):
        time_machine.move_to(timezone.now() + link.lasts - timedelta(minutes=1))
        assert client.get(link.path).status_code == 200
        time_machine.shift(timedelta(minutes=2))
        before = everything()
        assert client.get(link.path).status_code == 410
        assert client.post(link.path, link.form).status_code == 410
        assert everything() == before

    @pytest.mark.parametrize(
        "change",
        [
            lambda token: token[:-1],
            lambda token: token + ".",
            lambda token: token[1:],
            lambda token: token.swapcase(),
            lambda token: token.rpartition(":")[0] or token.partition("-")[0],
            lambda token: "x",
            lambda token: "é\U0001f511\u202e",
            lambda token: "%00",
            lambda token: "usr_" + "0" * 26 + ".",
            lambda token: ":" * 9,
            lambda token: "a" * 5000,
        ],
        ids=range(11),
    )  # fmt: skip
    def test_that_was_tampered_with_does_nothing(self, client, link, change):
        path = link.path.replace(link.token, change(link.token))
        before = everything()
        assert client.get(path).status_code == 410
        assert client.post(path, link.form).status_code == 410
        assert everything() == before

    def test_opens_its_own_page_only(self, client, link):
        for kind in ("verify", "reset", "join"):
            path = f"/account/{kind}/{link.token}"
            assert client.get(path).status_code == (200 if path == link.path else 410)

    def test_needs_the_pages_own_form(self, link):
        client = Client(enforce_csrf_checks=True)
        before = everything()
        assert client.post(link.path, link.form).status_code == 403
        assert everything() == before
        client.get(link.path)
        token = client.cookies["csrf"].value
        assert client.post(link.path, {**link.form, "csrfmiddlewaretoken": token}).status_code == 200

    @pytest.mark.parametrize("method", ["put", "delete", "patch"])
    def test_takes_no_other_method(self, client, link, method):
        assert getattr(client, method)(link.path).status_code == 405

    @pytest.mark.parametrize("password", ["", "x" * 129, "nul\0 inside it"])
    def test_names_a_password_that_is_none(self, client, link, password):
        before = everything()
        response = client.post(link.path, {**link.form, "password": password})
        assert response.status_code == 422
        assert mistake(response)
        assert everything() == before

    def test_shows_a_password_to_nobody(self, client, link):
        response = client.post(link.path, {**link.form, "password": "0123456789"})
        assert response.status_code in (401, 422)
        assert "0123456789" not in response.content.decode()
        assert response.wsgi_request.sensitive_post_parameters == ("password",)

    def test_of_somebody_who_is_switched_off_does_nothing(self, client, link):
        User.objects.update_or_create(email=NEWCOMER, defaults={"is_active": False})
        User.objects.update(is_active=False)
        before = everything()
        assert client.post(link.path, link.form).status_code == 410
        assert everything() == before

    def test_speaks_french(self, client, link):
        response = client.get(link.path, headers={"Accept-Language": "fr"})
        assert response["Content-Language"] == "fr"
        assert "mot de passe" in response.content.decode()

    def test_is_not_in_the_log(self, client, link, log):
        forged = Client(enforce_csrf_checks=True)
        forged.post(link.path, link.form)
        client.put(link.path)
        client.get(f"{link.path}/")
        client.post(link.path, {"password": "wrong"})
        client.post(link.path, link.form)
        client.get(link.path)
        lines = log.getvalue().splitlines()
        assert len(lines) >= 5
        assert [line for line in lines if link.token in line or link.token[-20:] in line] == []
        assert "Gone: /account/" in lines[-1]

    def test_is_not_tried_without_end(self, client, link, monkeypatch, time_machine):
        time_machine.move_to(timezone.now(), tick=False)
        monkeypatch.setattr(LogInThrottle, "rate", "2/min", raising=False)
        for _n in range(2):
            assert client.post(link.path, {}).status_code in (200, 422)
        response = client.post(link.path, link.form)
        assert response.status_code == 429
        assert 0 < int(response["Retry-After"]) <= 61
        assert response["Referrer-Policy"] == "strict-origin"
        assert b"Too many tries" in response.content


@pytest.mark.parametrize("template", PAGES, ids=lambda path: path.name)
def test_every_word_of_every_page_is_in_french(template):
    member = Membership(merchant=Merchant(name="Acme"), email=NEWCOMER, role=Membership.Role.DEVELOPER)
    form = NewAccountForm({"name": " "})
    form.fields |= AddressForm.base_fields
    context = {"form": form, "email": OWNER, "member": member}
    said = {}
    for language in ("en", "fr"):
        with translation.override(language):
            form.full_clean()
            page = render_to_string(template.relative_to(TEMPLATES).as_posix(), context)
            said[language] = {text.strip() for text in re.findall(r">([^<]*\w[^<]*)<", page)}
    assert said["en"] & said["fr"] <= {"Tillgate", "Acme", OWNER, NEWCOMER, "/api/v1/auth/token", "429"}


@pytest.fixture
def log(monkeypatch):
    """What is written to the console."""
    console = next(handler for handler in logging.getLogger().handlers if handler.get_name() == "console")
    monkeypatch.setattr(console, "stream", io.StringIO())
    return console.stream


class TestVerify:
    def test_confirms_the_address_by_the_password(self, client, user, verify_path):
        assert OWNER in client.get(verify_path).content.decode()
        response = client.post(verify_path, {"password": PASSWORD})
        assert "Your address is confirmed" in response.content.decode()
        user.refresh_from_db()
        assert user.email_verified
        assert "_auth_user_id" not in client.session

    def test_does_nothing_for_the_link_alone(self, client, user, verify_path):
        response = client.post(verify_path, {"password": "not the password"})
        assert response.status_code == 401
        assert mistake(response) == "This is not the password of the account."
        user.refresh_from_db()
        assert not user.email_verified

    def test_twice_says_that_it_is_done(self, client, user, verify_path):
        client.post(verify_path, {"password": PASSWORD})
        response = client.post(verify_path, {"password": "wrong"})
        assert response.status_code == 410
        assert "Your address is confirmed" in response.content.decode()

    def test_of_an_address_that_was_changed_does_nothing(self, client, user, verify_path):
        User.objects.update(email="other@example.com")
        assert client.post(verify_path, {"password": PASSWORD}).status_code == 410

    def test_locks_out_who_guesses(self, client, user, verify_path, time_machine):
        answers = [client.post(verify_path, {"password": f"guess {n}"}).status_code for n in range(5)]
        assert answers == [401] * 4 + [429]
        response = client.post(verify_path, {"password": PASSWORD})
        assert response.status_code == 429
        assert int(response["Retry-After"]) == 15 * 60
        assert "a quarter of an hour" in response.content.decode()
        user.refresh_from_db()
        assert not user.email_verified
        time_machine.move_to(timezone.now() + timedelta(minutes=16))
        assert client.post(verify_path, {"password": PASSWORD}).status_code == 200

    def test_counts_together_with_the_api(self, client, user, verify_path):
        for n in range(4):
            client.post(verify_path, {"password": f"guess {n}"})
        body = {"email": OWNER, "password": "guess 5"}
        assert client.post("/api/v1/auth/token", body, content_type="application/json").status_code == 429

    def test_offers_to_take_the_address_over(self, client, user, verify_path):
        page = client.get(verify_path).content.decode()
        form = re.search(r'<form[^>]*action="(/account/reset)".*?</form>', page, re.DOTALL)
        address = re.search(r'name="email" value="([^"]+)"', form[0])[1]
        assert client.post(form[1], {"email": address}).status_code == 200
        client.post(mailed("password_reset"), {"password": NEW})
        user.refresh_from_db()
        assert user.email_verified
        assert user.check_password(NEW)


class TestAskForReset:
    def test_mails_a_link(self, client, user):
        assert client.get("/account/reset").status_code == 200
        assert client.post("/account/reset", {"email": " Owner@Example.com "}).status_code == 200
        assert client.get(mailed("password_reset")).status_code == 200

    def test_answers_the_same_for_an_unknown_address(self, client, user):
        known, unknown = (client.post("/account/reset", {"email": email}) for email in (OWNER, "nobody@example.com"))
        assert known.status_code == unknown.status_code == 200
        assert known.content.decode().replace(OWNER, "nobody@example.com") == unknown.content.decode()
        assert Email.objects.count() == 1

    @pytest.mark.parametrize(
        "email", ["", "owner", '"><script>alert(1)</script>@x.example', "o" * 300 + "@x.example", "\0@x.example"]
    )
    def test_names_an_address_that_is_none(self, client, email):
        response = client.post("/account/reset", {"email": email})
        assert response.status_code == 422
        assert mistake(response)
        assert "<script>" not in response.content.decode()

    def test_is_counted_for_each_address_from_wherever_it_comes(self, client, user, monkeypatch, time_machine):
        time_machine.move_to(timezone.now(), tick=False)
        monkeypatch.setattr(AccountThrottle, "rate", "2/hour", raising=False)
        answers = [
            client.post("/account/reset", {"email": email}, REMOTE_ADDR=f"192.0.2.{n}").status_code
            for n, email in enumerate([OWNER, OWNER.upper(), OWNER, "other@example.com"])
        ]
        assert answers == [200, 200, 429, 200]
        body = {"email": OWNER, "password": PASSWORD}
        assert client.post("/api/v1/auth/token", body, content_type="application/json").status_code == 429

    def test_needs_the_pages_own_form(self, user):
        response = Client(enforce_csrf_checks=True).post("/account/reset", {"email": OWNER})
        assert response.status_code == 403
        assert not Email.objects.exists()


class TestReset:
    def test_sets_the_password_and_ends_every_log_in(self, client, user, bearer):
        headers = bearer(user)
        assert client.get("/api/v1/auth/me", headers=headers).status_code == 200
        services.ask_for_reset(OWNER)
        path = mailed("password_reset")
        assert OWNER in client.get(path).content.decode()
        response = client.post(path, {"password": NEW})
        assert "Every log-in there was has ended" in response.content.decode()
        user.refresh_from_db()
        assert user.check_password(NEW)
        assert user.email_verified
        assert client.get("/api/v1/auth/me", headers=headers).status_code == 401

    @pytest.mark.parametrize(
        ("password", "fault"),
        [("short 1", "too short"), ("password123", "too common"), ("8274629103748", "numeric"), (OWNER, "too similar")],
    )
    def test_says_why_a_password_is_too_weak(self, client, user, reset_path, password, fault):
        response = client.post(reset_path, {"password": password})
        assert response.status_code == 422
        assert fault in mistake(response)
        assert client.post(reset_path, {"password": NEW}).status_code == 200

    def test_keeps_every_space_of_a_password(self, client, user, reset_path):
        client.post(reset_path, {"password": "  spaces around it  "})
        user.refresh_from_db()
        assert user.check_password("  spaces around it  ")

    def test_ends_the_link_of_the_mail_before(self, client, user, reset_path):
        services.ask_for_reset(OWNER)
        client.post(mailed("password_reset"), {"password": NEW})
        assert client.get(reset_path).status_code == 410

    def test_that_is_used_leads_to_a_new_link(self, client, user, reset_path):
        client.post(reset_path, {"password": NEW})
        assert 'href="/account/reset"' in client.get(reset_path).content.decode()


class TestJoin:
    def test_makes_an_account(self, client, shop, invite):
        path = invite()
        page = client.get(path).content.decode()
        assert all(text in page for text in ("Acme", "Developer", NEWCOMER, 'name="name"', "new-password"))
        response = client.post(path, {"name": "Nora", "password": NEW})
        assert "Welcome" in response.content.decode()
        assert 'href="/api/docs"' in response.content.decode()
        member = Membership.objects.get(email=NEWCOMER)
        assert (member.user.name, member.user.email_verified, member.role) == ("Nora", True, "developer")
        body = {"email": NEWCOMER, "password": NEW}
        assert client.post("/api/v1/auth/token", body, content_type="application/json").status_code == 200

    def test_is_one_button_for_who_has_an_account(self, client, invite):
        known = User.objects.create_user(NEWCOMER, PASSWORD, email_verified_at=timezone.now())
        path = invite()
        page = client.get(path).content.decode()
        assert 'type="password"' not in page
        assert client.post(path, {"name": "Mallory", "password": NEW}).status_code == 200
        known.refresh_from_db()
        assert (known.name, known.check_password(PASSWORD)) == ("", True)
        assert Membership.objects.get(email=NEWCOMER).user == known

    def test_takes_an_account_over_that_nobody_confirmed(self, client, invite):
        squatter = User.objects.create_user(NEWCOMER, PASSWORD)
        client.post(invite(), {"name": "Nora", "password": NEW})
        squatter.refresh_from_db()
        assert (squatter.name, squatter.check_password(NEW), squatter.check_password(PASSWORD)) == ("Nora", True, False)

    @pytest.mark.parametrize("name", ["", "  ", "two\nlines", "\u200b", "n" * 201])
    def test_names_a_name_that_is_none(self, client, invite, name):
        path = invite()
        response = client.post(path, {"name": name, "password": NEW})
        assert response.status_code == 422
        assert mistake(response)
        assert Membership.objects.get(email=NEWCOMER).user is None

    def test_says_why_a_password_is_too_weak_and_keeps_the_name(self, client, invite):
        response = client.post(invite(), {"name": "Nora Nobody", "password": NEWCOMER})
        assert response.status_code == 422
        assert "too similar" in mistake(response)
        assert 'value="Nora Nobody"' in response.content.decode()
        assert not User.objects.filter(email=NEWCOMER).exists()

    def test_of_an_invitation_that_was_withdrawn_does_nothing(self, client, invite):
        path = invite()
        services.remove_member(Membership.objects.get(email=NEWCOMER), by_role="owner")
        assert client.get(path).status_code == 410
        response = client.post(path, {"name": "Nora", "password": NEW})
        assert response.status_code == 410
        assert "withdrawn" in response.content.decode()
        assert not User.objects.filter(email=NEWCOMER).exists()

    def test_twice_under_two_addresses_says_so(self, client, shop, invite):
        path = invite()
        known = User.objects.create_user("old@example.com", PASSWORD, email_verified_at=timezone.now())
        services.add_member(shop, known, "viewer")
        User.objects.filter(pk=known.pk).update(email=NEWCOMER)
        assert client.post(path).status_code == 410

    def test_asks_anew_when_the_account_went_away_meanwhile(self, client, invite, monkeypatch):
        path = invite()
        monkeypatch.setattr("accounts.pages.services.account_of", lambda email: User())
        response = client.post(path)
        assert (response.status_code, response["Location"]) == (303, path)

    def test_escapes_what_strangers_write(self, client, shop, invite):
        shop.name = HOSTILE
        shop.save()
        path = invite()
        form = {"name": HOSTILE, "password": "short"}
        for response in (client.get(path), client.post(path, form), client.post(path, form | {"password": NEW})):
            page = response.content.decode()
            assert "&lt;script&gt;" in page
            assert "<script>" not in page
