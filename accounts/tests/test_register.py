"""Making an account."""

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher

from accounts.models import Membership, Merchant, User
from accounts.tests.conftest import ADA, PASSWORD, access, mailed_token, refusal, told
from core.mail import Email
from tests.threads import at_once

ODD_TEXTS = ["nul\0nul", "\ud800", "line\nline", "\u200b", "", 5, True, None, [], {}]


@pytest.fixture(autouse=True)
def open_to_all(settings, db):
    settings.OPEN_REGISTRATION = True


@pytest.fixture
def register(post):
    """Registers Ada; None leaves a field out."""

    def send(**fields):
        least = {"email": ADA, "password": PASSWORD, "name": "Ada Lovelace"}
        return post("auth/register", **{name: value for name, value in {**least, **fields}.items() if value != ...})

    return send


class TestAMerchant:
    def test_takes_payments_in_the_sandbox_at_once(self, register, log_in, me, pay):
        assert register(merchant_name="Engines", country="GB", default_currency="GBP").status_code == 201
        membership = me(log_in()).json()["user"]["memberships"][0]
        assert membership == {
            "merchant_id": membership["merchant_id"],
            "merchant_name": "Engines",
            "mode": "sandbox",
            "status": "active",
            "role": "owner",
        }
        merchant = Merchant.objects.get(pk=membership["merchant_id"])
        assert (merchant.country, merchant.default_currency, merchant.created_by.email) == ("GB", "GBP", ADA)
        assert pay(merchant_id=merchant.pk).status_code == 201

    def test_names_its_business_to_say_where_it_is(self, register):
        answer = register(country="GB")
        assert refusal(answer) == (400, "parameter_invalid")
        assert answer.json()["error"]["param"] == "merchant_name"
        assert not User.objects.exists()

    @pytest.mark.parametrize(
        "fields",
        [{"country": "gb"}, {"country": "GBR"}, {"default_currency": "XAU"}, {"default_currency": "gbp\u0131"}],
    )
    def test_is_made_with_its_user_or_not_at_all(self, register, fields):
        assert register(merchant_name="Engines", **fields).status_code == 400
        assert not User.objects.exists()
        assert not Merchant.objects.exists()


class TestACustomer:
    def test_has_an_account_and_no_merchant(self, register, log_in, me):
        answer = register()
        assert answer.status_code == 201
        assert answer.json() == {
            "registration": {"email": ADA, "name": "Ada Lovelace"},
            "status": "success",
            "message": "We sent a link to this address.",
        }
        user = me(log_in()).json()["user"]
        assert (user["email"], user["email_verified"], user["memberships"]) == (ADA, False, [])
        assert not Membership.objects.exists()

    def test_confirms_the_address_by_the_link(self, register, log_in, me, post):
        register()
        pair = log_in()
        assert told("verify_email")["name"] == "Ada Lovelace"
        assert post("auth/email/verify", access(pair), token=mailed_token("verify_email")).status_code == 200
        assert me(pair).json()["user"]["email_verified"]

    @pytest.mark.parametrize("spelling", [" ada@example.com ", "ADA@EXAMPLE.COM", "Ada@Example.com\t"])
    def test_is_known_by_one_spelling(self, register, log_in, me, spelling):
        assert register(email=spelling).json()["registration"]["email"] == ADA
        for email in (ADA, spelling):
            assert me(log_in(email=email)).status_code == 200
        assert register(email=ADA).status_code == 201
        assert User.objects.count() == 1


class TestAnAddressThatIsKnown:
    def test_is_answered_like_a_new_one(self, register, ada):
        known, new = register(), register(email="new@example.com")
        assert (known.status_code, new.status_code) == (201, 201)
        assert known.content == new.content.replace(b"new@example.com", ADA.encode())
        assert _told_apart_by(known, new) <= {"Request-Id", "Content-Length", "RateLimit-Remaining", "RateLimit-Reset"}

    def test_takes_as_much_work(self, register, ada, monkeypatch):
        runs = []
        encode = MD5PasswordHasher.encode
        monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *args: runs.append(args) or encode(*args))
        counts = []
        for email in (ADA, "new@example.com"):
            register(email=email)
            counts.append(len(runs))
            runs.clear()
        assert counts == [1, 1]

    def test_changes_nothing_and_is_told_by_mail(self, register, ada, log_in, me):
        before = User.objects.values().get()
        register(name="Mallory", password="another battery 7", merchant_name="Trap")
        assert User.objects.values().get() == before
        assert not Merchant.objects.exists()
        assert told("account_exists")["name"] == "Ada Lovelace"
        assert Email.objects.count() == 1
        assert me(log_in()).status_code == 200

    def test_may_be_switched_off(self, register, ada):
        User.objects.update(is_active=False)
        assert register().json() == {
            "registration": {"email": ADA, "name": "Ada Lovelace"},
            "status": "success",
            "message": "We sent a link to this address.",
        }
        assert not User.objects.get().is_active


class TestTheDoor:
    def test_is_closed_unless_the_installation_opens_it(self, register, settings):
        settings.OPEN_REGISTRATION = False
        assert refusal(register()) == (403, "registration_closed")
        assert not User.objects.exists()
        assert not Email.objects.exists()

    def test_is_closed_to_known_addresses_too(self, register, settings, ada):
        settings.OPEN_REGISTRATION = False
        assert refusal(register()) == (403, "registration_closed")

    def test_sends_no_mail_for_a_registration_that_fails(self, register, monkeypatch):
        def fail(*args, **options):
            raise RuntimeError

        monkeypatch.setattr("accounts.services.registration.add_member", fail)
        assert register(merchant_name="Engines").status_code == 500
        assert not User.objects.exists()
        assert not Email.objects.exists()


class TestBadInput:
    @pytest.mark.parametrize("field", ["email", "password", "name"])
    def test_every_field_is_needed(self, register, field):
        answer = register(**{field: ...})
        assert refusal(answer) == (400, "parameter_missing")
        assert answer.json()["error"]["param"] == field

    @pytest.mark.parametrize("field", ["email", "name", "merchant_name"])
    def test_a_text_is_one_line_that_shows(self, register, field):
        for odd in ODD_TEXTS:
            assert register(**{field: odd}).status_code == 400, odd
        assert not User.objects.exists()

    def test_a_password_is_a_text(self, register):
        for odd in ("nul\0nul\0nul", "\ud800" * 10, "", 1234567890123, True, None, [], {}):
            assert register(password=odd).status_code == 400, odd
        assert not User.objects.exists()

    def test_an_email_is_an_address(self, register):
        for odd in (
            "ada", "@example.com", "ada@", "ada@@example.com", "ada@example", "a d a@example.com", "ada@exa mple.com",
            '"a d"@example.com', "ada@ex\u00e4mple.com", "\u00e4da@example.com", "ada@example.com\u200b",
            "ada@\u212aelvin.com", "ada@example.com,eve@example.com", "Ada <ada@example.com>", "ada@example.com\0",
            "ada\n@example.com", "a" * 250 + "@example.com", "a" * 10_000, "ada@[127.0.0.1\n]",
        ):  # fmt: skip
            assert register(email=odd).status_code == 400, odd
        assert not User.objects.exists()

    def test_an_unknown_field_is_refused(self, register):
        for name in ("is_staff", "is_superuser", "email_verified", "role", "merchant", "id"):
            assert refusal(register(**{name: True})) == (400, "parameter_unknown")
        assert not User.objects.exists()

    @pytest.mark.parametrize("length", [201, 10_000])
    def test_a_name_has_an_end(self, register, length):
        assert refusal(register(name="a" * length)) == (400, "parameter_invalid")


class TestThePassword:
    @pytest.mark.parametrize(
        ("password", "because"),
        [
            ("short", "too short"),
            ("password123", "too common"),
            ("314159265358979", "entirely numeric"),
            ("ada@example.com", "too similar to the email"),
            ("lovelace-ada", "too similar to the name"),
        ],
    )
    def test_is_not_easy_to_guess(self, register, password, because):
        answer = register(password=password)
        assert refusal(answer) == (400, "password_weak")
        assert answer.json()["error"]["param"] == "password"
        assert because in answer.json()["message"]
        assert not User.objects.exists()

    def test_is_judged_the_same_where_the_address_is_known(self, register, ada):
        assert refusal(register(password="short")) == (400, "password_weak")

    @pytest.mark.parametrize("length", [129, 10_000])
    def test_that_takes_long_to_hash_is_not_hashed(self, register, monkeypatch, length):
        monkeypatch.setattr("accounts.services.registration.make_password", pytest.fail)
        assert refusal(register(password="aB3" * length)) == (400, "parameter_invalid")

    @pytest.mark.parametrize(
        "password",
        [
            "  spaces around  ",
            "tab\tand\nline",
            "пароль-Ω-密码",
            "🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑",
            "a'\"<b>;--%00\\",
            "x" * 127 + "y",
        ],
    )
    def test_is_kept_as_it_was_sent(self, register, post, password):
        assert register(password=password).status_code == 201
        assert post("auth/token", email=ADA, password=password).status_code == 200
        for other in (password.strip(), password.swapcase(), password[:-1]):
            if other != password:
                assert post("auth/token", email=ADA, password=other).status_code == 401

    def test_is_never_in_an_answer(self, register):
        for password in ("sh0rt!", PASSWORD, "x" * 200):
            assert password.encode() not in register(password=password).content


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    """SQLite has one writer; what counts here is the run on MariaDB and PostgreSQL."""

    def test_of_one_address_make_one_account(self, register):
        for round_ in range(5):
            email = f"{round_}@example.com"
            answers = at_once([lambda email=email: register(email=email, merchant_name="Engines")] * 6)
            assert [answer.status_code for answer in answers] == [201] * 6
            assert len({answer.content for answer in answers}) == 1
        assert User.objects.count() == Merchant.objects.count() == Membership.objects.count() == 5
        assert Email.objects.filter(template="verify_email").count() == 5
        assert Email.objects.filter(template="account_exists").count() == 25

    def test_in_an_empty_installation_make_one_default_merchant(self, register):
        answers = at_once([lambda n=n: register(email=f"{n}@example.com", merchant_name=f"{n}") for n in range(6)])
        assert [answer.status_code for answer in answers] == [201] * 6
        assert Merchant.objects.count() == 6
        assert Merchant.objects.filter(is_default=True).count() == 1


def _told_apart_by(one, other):
    """The names of the headers that differ."""
    return {name for name, _value in set(one.headers.items()) ^ set(other.headers.items())}
