"""What holds for every link that is mailed: it works once, for its days, and only for who presses the button."""

import io
import logging
import re
from dataclasses import dataclass

import pytest
from django.conf import settings
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from accounts import services
from accounts.forms import AddressForm, NewAccountForm
from accounts.models import Login, Membership, Merchant, User
from accounts.tests.conftest import ADA, PASSWORD, mailed_token, mistake
from accounts.throttles import LogInThrottle
from core.mail import Email

pytestmark = pytest.mark.django_db

NEW = "another battery 7"
TEMPLATES = settings.BASE_DIR / "templates"
PAGES = [*sorted(set(TEMPLATES.glob("account/[!_]*.html")) - {TEMPLATES / "account/base.html"}), TEMPLATES / "429.html"]


@dataclass
class Link:
    """A link, what its form must be sent to do its work, and how long it is good."""

    kind: str
    token: str
    form: dict[str, str]
    hours: int

    @property
    def path(self):
        return f"/account/{self.kind}/{self.token}"


@pytest.fixture(params=["verify", "reset", "join"])
def link(request, unconfirmed, invite):
    if request.param == "verify":
        services.send_verification(unconfirmed)
        return Link("verify", mailed_token("verify_email"), {"password": PASSWORD}, hours=72)
    if request.param == "reset":
        services.ask_for_reset(ADA)
        return Link("reset", mailed_token("password_reset"), {"password": NEW}, hours=1)
    invite()
    return Link("join", mailed_token("invitation"), {"name": "Nora", "password": NEW}, hours=7 * 24)


def everything():
    """Every row that a link may change."""
    return [list(model.objects.order_by("pk").values()) for model in (User, Membership, Login, Email)]


@pytest.fixture
def log(monkeypatch):
    """What is written to the console."""
    console = next(handler for handler in logging.getLogger().handlers if handler.get_name() == "console")
    monkeypatch.setattr(console, "stream", io.StringIO())
    return console.stream


class TestEveryLink:
    def test_opens_a_page_that_is_kept_and_told_to_nobody(self, client, link):
        get, post = client.get, client.post
        answers = [get(link.path), post(link.path, {}), post(link.path, link.form), get(link.path), get(link.path[:-1])]
        assert [answer.status_code for answer in answers[2:]] == [200, 410, 410]
        for answer in answers:
            assert "no-store" in answer["Cache-Control"]
            assert answer["Referrer-Policy"] == "strict-origin"
            assert answer["X-Robots-Tag"] == "noindex"

    @pytest.mark.parametrize("method", ["get", "head"])
    def test_that_is_only_followed_changes_nothing(self, client, link, method):
        before = everything()
        with CaptureQueriesContext(connection) as queries:
            assert getattr(client, method)(link.path).status_code == 200
        assert [query["sql"] for query in queries if not query["sql"].startswith("SELECT")] == []
        assert everything() == before

    def test_does_its_work_once(self, client, link):
        assert client.post(link.path, link.form).status_code == 200
        before = everything()
        assert client.get(link.path).status_code == 410
        assert client.post(link.path, link.form).status_code == 410
        assert everything() == before

    def test_is_good_for_its_time_and_no_longer(self, client, link, later):
        later(hours=link.hours, minutes=-1)
        assert client.get(link.path).status_code == 200
        later(minutes=2)
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
        User.objects.update_or_create(email="new@example.com", defaults={"is_active": False})
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

    def test_is_not_tried_without_end(self, client, link, monkeypatch, later):
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
    member = Membership(merchant=Merchant(name="Acme"), email="new@example.com", role=Membership.Role.DEVELOPER)
    form = NewAccountForm({"name": " "})
    form.fields |= AddressForm.base_fields
    context = {"form": form, "email": ADA, "member": member}
    said = {}
    for language in ("en", "fr"):
        with translation.override(language):
            form.full_clean()
            page = render_to_string(template.relative_to(TEMPLATES).as_posix(), context)
            said[language] = {text.strip() for text in re.findall(r">([^<]*\w[^<]*)<", page)}
    assert said["en"] & said["fr"] <= {"Tillgate", "Acme", ADA, "new@example.com", "/api/v1/auth/token", "429"}
