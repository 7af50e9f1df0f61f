"""The pages that mailed links lead to, one by one."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from accounts import services
from accounts.models import Membership, User
from accounts.tests.conftest import ADA, PASSWORD, mistake, told
from accounts.throttles import AccountThrottle
from core.mail import Email, compose

pytestmark = pytest.mark.django_db

NEW = "another battery 7"
NEWCOMER = "new@example.com"
HOSTILE = "<script>alert(1)</script>\"'&{{ 7 }}\u202e"


@pytest.fixture
def verify_link(unconfirmed):
    services.send_verification(unconfirmed)
    return told("verify_email")["url"]


@pytest.fixture
def reset_link(ada):
    services.ask_for_reset(ADA)
    return told("password_reset")["url"]


class TestVerify:
    def test_confirms_the_address_by_the_password(self, client, ada, verify_link):
        assert ADA in client.get(verify_link).content.decode()
        response = client.post(verify_link, {"password": PASSWORD})
        assert "Your address is confirmed" in response.content.decode()
        ada.refresh_from_db()
        assert ada.email_verified
        assert "_auth_user_id" not in client.session

    def test_does_nothing_for_the_link_alone(self, client, ada, verify_link):
        response = client.post(verify_link, {"password": "not the password"})
        assert response.status_code == 401
        assert mistake(response) == "This is not the password of the account."
        ada.refresh_from_db()
        assert not ada.email_verified

    def test_twice_says_that_it_is_done(self, client, verify_link):
        client.post(verify_link, {"password": PASSWORD})
        response = client.post(verify_link, {"password": "wrong"})
        assert response.status_code == 410
        assert "Your address is confirmed" in response.content.decode()

    def test_of_an_address_that_was_changed_does_nothing(self, client, verify_link):
        User.objects.update(email="other@example.com")
        assert client.post(verify_link, {"password": PASSWORD}).status_code == 410

    def test_locks_out_who_guesses(self, client, ada, verify_link, later):
        answers = [client.post(verify_link, {"password": f"guess {n}"}).status_code for n in range(5)]
        assert answers == [401] * 4 + [429]
        response = client.post(verify_link, {"password": PASSWORD})
        assert response.status_code == 429
        assert int(response["Retry-After"]) == 15 * 60
        assert "a quarter of an hour" in response.content.decode()
        ada.refresh_from_db()
        assert not ada.email_verified
        later(minutes=16)
        assert client.post(verify_link, {"password": PASSWORD}).status_code == 200

    def test_counts_together_with_the_api(self, client, verify_link):
        for n in range(4):
            client.post(verify_link, {"password": f"guess {n}"})
        body = {"email": ADA, "password": "guess 5"}
        assert client.post("/api/v1/auth/token", body, content_type="application/json").status_code == 429

    def test_offers_to_take_the_address_over(self, client, ada, verify_link):
        page = client.get(verify_link).content.decode()
        form = re.search(r'<form[^>]*action="(/account/reset)".*?</form>', page, re.DOTALL)
        address = re.search(r'name="email" value="([^"]+)"', form[0])[1]
        assert client.post(form[1], {"email": address}).status_code == 200
        client.post(told("password_reset")["url"], {"password": NEW})
        ada.refresh_from_db()
        assert ada.email_verified
        assert ada.check_password(NEW)


class TestAskForReset:
    def test_mails_a_link(self, client, ada):
        assert client.get("/account/reset").status_code == 200
        assert client.post("/account/reset", {"email": " Ada@Example.com "}).status_code == 200
        assert client.get(told("password_reset")["url"]).status_code == 200

    def test_answers_the_same_for_an_unknown_address(self, client, ada):
        known, unknown = (client.post("/account/reset", {"email": email}) for email in (ADA, "nobody@example.com"))
        assert known.status_code == unknown.status_code == 200
        assert known.content.decode().replace(ADA, "nobody@example.com") == unknown.content.decode()
        assert Email.objects.count() == 1

    @pytest.mark.parametrize(
        "email", ["", "owner", '"><script>alert(1)</script>@x.example', "o" * 300 + "@x.example", "\0@x.example"]
    )
    def test_names_an_address_that_is_none(self, client, email):
        response = client.post("/account/reset", {"email": email})
        assert response.status_code == 422
        assert mistake(response)
        assert "<script>" not in response.content.decode()

    def test_is_counted_for_each_address_from_wherever_it_comes(self, client, monkeypatch, later):
        monkeypatch.setattr(AccountThrottle, "rate", "2/hour", raising=False)
        answers = [
            client.post("/account/reset", {"email": email}, REMOTE_ADDR=f"192.0.2.{n}").status_code
            for n, email in enumerate([ADA, ADA.upper(), ADA, "other@example.com"])
        ]
        assert answers == [200, 200, 429, 200]
        body = {"email": ADA, "password": PASSWORD}
        assert client.post("/api/v1/auth/token", body, content_type="application/json").status_code == 429

    def test_needs_the_pages_own_form(self, ada):
        response = Client(enforce_csrf_checks=True).post("/account/reset", {"email": ADA})
        assert response.status_code == 403
        assert not Email.objects.exists()


class TestReset:
    def test_is_mailed_in_the_language_of_the_page(self, client, ada):
        client.post("/account/reset", {"email": ADA}, headers={"Accept-Language": "fr"})
        mail = Email.objects.get(template="password_reset")
        assert (mail.language, compose(mail).subject) == ("fr", "Choisissez un nouveau mot de passe")

    def test_sets_the_password_and_ends_every_log_in(self, client, ada, bearer):
        headers = bearer(ada)
        assert client.get("/api/v1/auth/me", headers=headers).status_code == 200
        services.ask_for_reset(ADA)
        link = told("password_reset")["url"]
        assert ADA in client.get(link).content.decode()
        response = client.post(link, {"password": NEW})
        assert "Every log-in there was has ended" in response.content.decode()
        ada.refresh_from_db()
        assert ada.check_password(NEW)
        assert ada.email_verified
        assert client.get("/api/v1/auth/me", headers=headers).status_code == 401

    @pytest.mark.parametrize(
        ("password", "fault"),
        [("short 1", "too short"), ("password123", "too common"), ("8274629103748", "numeric"), (ADA, "too similar")],
    )
    def test_says_why_a_password_is_too_weak(self, client, reset_link, password, fault):
        response = client.post(reset_link, {"password": password})
        assert response.status_code == 422
        assert fault in mistake(response)
        assert client.post(reset_link, {"password": NEW}).status_code == 200

    def test_keeps_every_space_of_a_password(self, client, ada, reset_link):
        client.post(reset_link, {"password": "  spaces around it  "})
        ada.refresh_from_db()
        assert ada.check_password("  spaces around it  ")

    def test_ends_the_link_of_the_mail_before(self, client, reset_link):
        services.ask_for_reset(ADA)
        client.post(told("password_reset")["url"], {"password": NEW})
        assert client.get(reset_link).status_code == 410

    def test_that_is_used_leads_to_a_new_link(self, client, reset_link):
        client.post(reset_link, {"password": NEW})
        assert 'href="/account/reset"' in client.get(reset_link).content.decode()


class TestJoin:
    def test_makes_an_account(self, client, shop, invite):
        link = invite()
        page = client.get(link).content.decode()
        assert all(text in page for text in ("Acme", "Developer", NEWCOMER, 'name="name"', "new-password"))
        response = client.post(link, {"name": "Nora", "password": NEW})
        assert "Welcome" in response.content.decode()
        assert 'href="/api/docs"' in response.content.decode()
        member = Membership.objects.get(email=NEWCOMER)
        assert (member.user.name, member.user.email_verified, member.role) == ("Nora", True, "developer")
        body = {"email": NEWCOMER, "password": NEW}
        assert client.post("/api/v1/auth/token", body, content_type="application/json").status_code == 200

    def test_is_one_button_for_who_has_an_account(self, client, invite):
        known = User.objects.create_user(NEWCOMER, PASSWORD, email_verified_at=timezone.now())
        link = invite()
        page = client.get(link).content.decode()
        assert 'type="password"' not in page
        assert client.post(link, {"name": "Mallory", "password": NEW}).status_code == 200
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
        link = invite()
        response = client.post(link, {"name": name, "password": NEW})
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
        link = invite()
        services.remove_member(Membership.objects.get(email=NEWCOMER), by_role="owner")
        assert client.get(link).status_code == 410
        response = client.post(link, {"name": "Nora", "password": NEW})
        assert response.status_code == 410
        assert "withdrawn" in response.content.decode()
        assert not User.objects.filter(email=NEWCOMER).exists()

    def test_twice_under_two_addresses_says_so(self, client, shop, invite):
        link = invite()
        known = User.objects.create_user("old@example.com", PASSWORD, email_verified_at=timezone.now())
        services.add_member(shop, known, "viewer")
        User.objects.filter(pk=known.pk).update(email=NEWCOMER)
        assert client.post(link).status_code == 410

    def test_asks_anew_when_the_account_went_away_meanwhile(self, client, invite, monkeypatch):
        link = invite()
        monkeypatch.setattr("accounts.pages.services.account_of", lambda email: User())
        response = client.post(link)
        assert response.status_code == 303
        assert link.endswith(response["Location"])

    def test_escapes_what_strangers_write(self, client, shop, invite):
        shop.name = HOSTILE
        shop.save()
        link = invite()
        form = {"name": HOSTILE, "password": "short"}
        for response in (client.get(link), client.post(link, form), client.post(link, form | {"password": NEW})):
            page = response.content.decode()
            assert "&lt;script&gt;" in page
            assert "<script>" not in page
