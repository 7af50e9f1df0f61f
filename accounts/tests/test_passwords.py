"""Passwords that change or are forgotten, addresses that are confirmed: by whom, how often, and what ends with it."""

import pytest
from django.conf import settings as conf
from django.core import signing

from accounts.models import Merchant, User
from accounts.services import (
    account_of,
    ask_for_reset,
    create_key,
    invite_member,
    send_verification,
    suspend_merchant,
)
from accounts.services.members import INVITATION_SALT
from accounts.services.registration import VERIFY_SALT
from accounts.tests.conftest import ADA, PASSWORD, access, mailed_token, refusal, told
from core.ids import new_id
from core.mail import Email
from tests.threads import at_once

NEW = "another battery 7"
EVE = "eve@example.com"
OFFICE = "/admin/"
NO_TOKENS = ["x", ".", "a.b", "a:b:c", "é", "\u0661", "usr_" + "0" * 26 + ".x-y", "..-..", "-", "%00", "=" * 4000]
ODD = ["", "\0", "\ud800", None, 5, True, [], {}, "x" * 10_000]


@pytest.fixture
def pair(ada, log_in):
    return log_in()


@pytest.fixture
def change(pair, post):
    def send(current=PASSWORD, new=NEW):
        return post("auth/password/change", access(pair), current_password=current, new_password=new)

    return send


@pytest.fixture
def ask(post):
    return lambda email=ADA: post("auth/password/reset", email=email)


@pytest.fixture
def reset(post):
    def send(token=..., password=NEW):
        token = mailed_token("password_reset") if token is ... else token
        return post("auth/password/reset/confirm", token=token, new_password=password)

    return send


@pytest.fixture
def verify(post):
    """Somebody who is logged in sends the token of a link."""
    return lambda pair, token: post("auth/email/verify", access(pair), token=token)


def opens(post, password, email=ADA):
    return post("auth/token", email=email, password=password).status_code == 200


def assert_ended(me, post, *pairs):
    """Neither the access nor the refresh tokens are good."""
    for pair in pairs:
        assert refusal(me(pair)) == (401, "token_invalid")
        assert refusal(post("auth/token/refresh", refresh=pair["refresh"])) == (401, "token_invalid")


class TestAChange:
    def test_counts_at_once(self, change, post):
        answer = change()
        assert (answer.status_code, answer.json()["user"]["email"]) == (200, ADA)
        assert opens(post, NEW)
        assert not opens(post, PASSWORD)

    def test_ends_every_log_in_and_session(self, change, pair, log_in, me, post, client, ada):
        User.objects.update(is_staff=True)
        client.force_login(ada)
        assert client.get(OFFICE).status_code == 200
        other = log_in()
        change()
        assert_ended(me, post, pair, other)
        assert client.get(OFFICE).status_code == 302

    def test_leaves_those_of_others(self, change, log_in, me):
        User.objects.create_user(EVE, PASSWORD)
        eve = log_in(email=EVE)
        change()
        assert me(eve).status_code == 200

    def test_is_told_by_mail(self, change):
        change()
        mail = Email.objects.get()
        assert (mail.template, mail.to) == ("password_changed", ADA)
        assert NEW not in str(told("password_changed"))

    @pytest.mark.parametrize("current", ["wrong", f"{PASSWORD} ", PASSWORD.upper(), NEW])
    def test_takes_the_current_password(self, change, me, pair, post, current):
        answer = change(current=current)
        assert refusal(answer) == (400, "current_password_wrong")
        assert answer.json()["error"]["param"] == "current_password"
        assert me(pair).status_code == 200
        assert opens(post, PASSWORD)
        assert not Email.objects.exists()

    @pytest.mark.parametrize("new", ["short", "password123", "31415926535897", "ada@example.com", "Lovelace Ada"])
    def test_takes_a_password_that_is_not_easy_to_guess(self, change, me, pair, new):
        answer = change(new=new)
        assert refusal(answer) == (400, "password_weak")
        assert me(pair).status_code == 200

    def test_takes_texts(self, change, me, pair):
        for odd in ODD:
            assert change(new=odd).status_code == 400
            assert change(current=odd).status_code == 400
        assert me(pair).status_code == 200

    def test_needs_a_log_in(self, post, ada):
        answer = post("auth/password/change", current_password=PASSWORD, new_password=NEW)
        assert refusal(answer) == (401, "not_authenticated")


class TestAskingForAReset:
    def test_is_answered_alike_for_everybody(self, ask, ada):
        User.objects.create_user("off@example.com", PASSWORD, is_active=False)
        known = ask()
        assert (known.status_code, known.json()["reset"]) == (200, {"email": ADA})
        for email in ("nobody@example.com", "off@example.com"):
            other = ask(email)
            assert other.status_code == 200
            assert other.content == known.content.replace(ADA.encode(), email.encode())
        assert list(Email.objects.values_list("template", "to")) == [("password_reset", ADA)]

    def test_takes_the_address_in_any_spelling(self, ask, ada):
        assert ask(" ADA@example.com ").json()["reset"] == {"email": ADA}
        assert Email.objects.get().to == ADA

    def test_changes_nothing(self, ask, pair, me, post):
        ask()
        assert me(pair).status_code == 200
        assert opens(post, PASSWORD)

    def test_leads_to_our_own_site_whatever_the_request_says(self, api, ada):
        headers = {"Host": "localhost", "X-Forwarded-Host": "evil.example"}
        api.post("/api/v1/auth/password/reset", {"email": ADA}, content_type="application/json", headers=headers)
        assert told("password_reset")["url"].startswith(f"{conf.SITE_URL}/account/reset/")

    def test_takes_an_address(self, ask, db):
        for odd in [*ODD, "ada", "é@example.com", "a@b"]:
            assert ask(odd).status_code == 400


class TestAReset:
    @pytest.fixture(autouse=True)
    def _asked(self, ada):
        ask_for_reset(ADA)

    def test_sets_the_password(self, reset, post):
        answer = reset()
        assert (answer.status_code, answer.json()["user"]["email"]) == (200, ADA)
        assert opens(post, NEW)
        assert not opens(post, PASSWORD)
        assert told("password_changed")["name"] == "Ada Lovelace"

    def test_ends_every_log_in_and_session(self, log_in, reset, me, post, client, ada):
        User.objects.update(is_staff=True)
        one, other = log_in(), log_in()
        client.force_login(ada)
        ask_for_reset(ADA)
        reset()
        assert_ended(me, post, one, other)
        assert client.get(OFFICE).status_code == 302

    def test_confirms_the_address(self, reset, log_in, me):
        User.objects.update(email_verified_at=None)
        assert reset().json()["user"]["email_verified"]
        assert me(log_in(password=NEW)).json()["user"]["email_verified"]

    def test_works_once(self, reset, post):
        token = mailed_token("password_reset")
        assert reset(token).status_code == 200
        assert refusal(reset(token, "a third password 5")) == (400, "link_invalid")
        assert opens(post, NEW)

    def test_of_several_links_works_once(self, reset):
        first = mailed_token("password_reset")
        ask_for_reset(ADA)
        assert reset().status_code == 200
        assert refusal(reset(first)) == (400, "link_invalid")

    def test_is_over_with_a_password_that_is_remembered(self, reset, log_in):
        log_in()
        assert refusal(reset()) == (400, "link_invalid")

    def test_is_over_in_time(self, reset, later):
        token = mailed_token("password_reset")
        later(seconds=conf.PASSWORD_RESET_TIMEOUT + 1)
        assert refusal(reset(token)) == (400, "link_invalid")

    def test_is_good_until_then(self, reset, later):
        later(seconds=conf.PASSWORD_RESET_TIMEOUT - 2)
        assert reset().status_code == 200

    def test_is_over_when_the_user_is_switched_off(self, reset):
        User.objects.update(is_active=False)
        assert refusal(reset()) == (400, "link_invalid")

    def test_is_for_nobody_else(self, reset, post):
        eve = User.objects.create_user(EVE, PASSWORD)
        _user, _dot, secret = mailed_token("password_reset").partition(".")
        for other in (eve.pk, new_id("usr"), ADA, ""):
            assert refusal(reset(f"{other}.{secret}")) == (400, "link_invalid")
        assert opens(post, PASSWORD, EVE)

    def test_leaves_the_link_good_when_the_password_is_weak(self, reset):
        for weak in ("short", ADA, "password123"):
            assert refusal(reset(password=weak)) == (400, "password_weak")
        assert reset().status_code == 200

    def test_takes_the_token_as_it_was_sent(self, reset, post):
        token = mailed_token("password_reset")
        for other in (token[:-1], f"{token}x", f" {token}", f"{token}\n", token.upper(), token.replace(".", "..")):
            assert refusal(reset(other)) == (400, "link_invalid")
        for other in [*NO_TOKENS, *ODD]:
            assert reset(other).status_code == 400
            assert reset(f"{token.partition('.')[0]}.{other}").status_code == 400
        assert opens(post, PASSWORD)


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    """SQLite has one writer; what counts here is the run on MariaDB and PostgreSQL."""

    def test_a_link_is_followed_by_two_and_sets_one_password(self, ada, reset, post):
        for round_ in range(5):
            ask_for_reset(ADA)
            token = mailed_token("password_reset")
            passwords = [f"password of {who} {round_}" for who in ("one", "other")]
            answers = at_once([lambda p=password, t=token: reset(t, p) for password in passwords])
            assert sorted(answer.status_code for answer in answers) == [200, 400]
            winner = passwords[answers[0].status_code != 200]
            assert [opens(post, password) for password in passwords] == [password == winner for password in passwords]

    def test_nobody_stays_logged_in_with_a_password_that_is_changed(self, ada, post, me, log_in):
        old = PASSWORD
        for round_ in range(10):
            pair, new = log_in(password=old), f"password number {round_}"
            fields = {"current_password": old, "new_password": new}
            answers = at_once(
                [
                    lambda p=pair, f=fields: post("auth/password/change", access(p), **f),
                    lambda p=old: post("auth/token", email=ADA, password=p),
                    lambda p=pair: post("auth/token/refresh", refresh=p["refresh"]),
                ]
            )
            assert answers[0].status_code == 200
            assert_ended(me, post, pair, *(it.json()["token"] for it in answers[1:] if it.status_code == 200))
            old = new


class TestConfirmingTheAddress:
    @pytest.fixture
    def newcomer(self, db):
        user = User.objects.create_user(ADA, PASSWORD, name="Ada")
        send_verification(user)
        return user

    def test_takes_the_link_and_the_log_in(self, newcomer, log_in, verify, post):
        token = mailed_token("verify_email")
        assert refusal(post("auth/email/verify", token=token)) == (401, "not_authenticated")
        answer = verify(log_in(), token)
        assert (answer.status_code, answer.json()["user"]["email_verified"]) == (200, True)

    def test_twice_changes_nothing(self, newcomer, log_in, verify):
        pair = log_in()
        verify(pair, mailed_token("verify_email"))
        first = User.objects.get().email_verified_at
        assert verify(pair, mailed_token("verify_email")).status_code == 200
        assert User.objects.get().email_verified_at == first

    def test_is_for_nobody_else(self, newcomer, log_in, verify):
        User.objects.create_user(EVE, PASSWORD)
        assert refusal(verify(log_in(email=EVE), mailed_token("verify_email"))) == (400, "link_invalid")
        assert not User.objects.exclude(email_verified_at=None).exists()

    def test_is_over_after_three_days(self, newcomer, log_in, verify, later):
        token = mailed_token("verify_email")
        later(days=3, seconds=2)
        assert refusal(verify(log_in(), token)) == (400, "link_invalid")

    def test_is_for_the_address_that_got_the_mail(self, newcomer, log_in, verify):
        User.objects.update(email="ada@elsewhere.example")
        assert refusal(verify(log_in(email="ada@elsewhere.example"), mailed_token("verify_email")))[0] == 400

    def test_takes_a_link_for_just_that(self, newcomer, log_in, verify):
        """A signature of ours for something else is none for this."""
        pair = log_in()
        for salt in (INVITATION_SALT, "django.core.signing", ""):
            assert refusal(verify(pair, signing.dumps([newcomer.pk, ADA], salt=salt))) == (400, "link_invalid")
        for said in (newcomer.pk, [newcomer.pk], [], {}, None, 5, [[], {}], [newcomer.pk, ADA, 1], [None, None]):
            assert refusal(verify(pair, signing.dumps(said, salt=VERIFY_SALT))) == (400, "link_invalid")
        for odd in [*NO_TOKENS, *ODD]:
            assert verify(pair, odd).status_code == 400

    def test_may_be_sent_again(self, newcomer, log_in, post, verify):
        pair = log_in()
        assert post("auth/email/resend", access(pair)).status_code == 200
        assert Email.objects.filter(template="verify_email", to=ADA).count() == 2
        verify(pair, mailed_token("verify_email"))
        assert post("auth/email/resend", access(pair)).status_code == 200
        assert Email.objects.count() == 2


class TestSomebodyWhoRegisteredTheAddressOfAnother:
    """Pre-hijacking: Mallory has made an account with Ada's address and waits for her to use it."""

    @pytest.fixture(autouse=True)
    def mallory(self, db, post, settings, log_in, client):
        """What Mallory has: the password, a log-in, a session."""
        settings.OPEN_REGISTRATION = True
        post("auth/register", email=ADA, password=PASSWORD, name="Mallory", merchant_name="Trap")
        client.force_login(User.objects.get())
        return log_in()

    @pytest.fixture
    def is_out(self, mallory, me, post, client):
        def check():
            assert_ended(me, post, mallory)
            assert not opens(post, PASSWORD)
            User.objects.update(is_staff=True)
            assert client.get(OFFICE).status_code == 302

        return check

    def test_is_out_when_she_resets_the_password(self, ask, reset, is_out):
        ask()
        assert reset().status_code == 200
        is_out()

    def test_is_out_when_she_joins_a_team(self, post, shop, owner_user, is_out):
        invite_member(shop, by=owner_user, by_role="owner", email=ADA, role="finance", key=None)
        token = mailed_token("invitation")
        assert account_of(ADA) is None
        assert refusal(post("members/accept", token=token)) == (400, "parameter_missing")
        assert post("members/accept", token=token, name="Ada", password=NEW).status_code == 200
        assert opens(post, NEW)
        is_out()

    def test_does_not_join_the_team_in_her_place(self, mallory, post, shop, owner_user, api):
        invite_member(shop, by=owner_user, by_role="owner", email=ADA, role="finance", key=None)
        headers = {**access(mallory), "Tillgate-Merchant": shop.pk}
        assert refusal(api.get("/api/v1/members", headers=headers)) == (404, "not_found")

    def test_gains_nothing_from_the_mail_that_she_gets(self, mallory, post, me):
        """Only the two together confirm the address: her mail, and a log-in that she does not have."""
        token = mailed_token("verify_email")
        assert post("auth/email/verify", token=token).status_code == 401
        assert not me(mallory).json()["user"]["email_verified"]

    def test_is_told_apart_when_she_registers_too(self, mallory, post, me):
        post("auth/register", email=ADA, password=NEW, name="Ada")
        assert Email.objects.latest("pk").template == "account_exists"
        assert not opens(post, NEW)
        assert not me(mallory).json()["user"]["email_verified"]

    def test_sees_nothing_that_she_paid(self, mallory, pay, api, shop):
        suspend_merchant(User.objects.get().memberships.get().merchant)
        User.objects.get().memberships.all().delete()
        pay(customer_email=ADA, merchant_id=shop.pk)
        assert refusal(api.get("/api/v1/payments", headers=access(mallory))) == (403, "email_unverified")

    def test_has_made_keys_that_open_nothing_afterwards(self, api, ask, reset):
        mallory, merchant = User.objects.get(email=ADA), Merchant.objects.get(name="Trap")
        scopes = ["payments:read"]
        _row, secret = create_key(merchant, by=mallory, by_role="owner", key=None, name="Door", scopes=scopes)
        ask()
        assert reset().status_code == 200
        assert api.get("/api/v1/payments", headers={"Authorization": f"Bearer {secret}"}).status_code == 401
