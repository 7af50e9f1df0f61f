import pytest
from django.contrib.auth import authenticate as django_authenticate
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import RequestFactory

from accounts.models import Customer, Membership, Merchant, User

PASSWORD = "tillgate-demo"


def authenticate(**credentials):
    """Axes counts the failures of a request's address."""
    return django_authenticate(RequestFactory().post("/"), **credentials)


@pytest.fixture(autouse=True)
def _quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


class TestUser:
    def test_logs_in_by_email_in_any_case(self, db):
        user = User.objects.create_user("Owner@Example.com", PASSWORD)
        assert user.email == "owner@example.com"
        for email in ("owner@example.com", "OWNER@example.COM", " owner@example.com "):
            assert authenticate(username=email, password=PASSWORD) == user

    @pytest.mark.parametrize("email", ["", "other@example.com", "owner@example.co", "o" * 500, "é@example.com"])
    def test_does_not_log_in_by_another(self, db, email):
        User.objects.create_user("owner@example.com", PASSWORD)
        assert authenticate(username=email, password=PASSWORD) is None

    def test_without_a_password_cannot_log_in(self, db):
        user = User.objects.create_user("owner@example.com")
        assert not user.has_usable_password()
        assert authenticate(username=user.email, password="") is None

    def test_that_is_switched_off_cannot_log_in(self, db):
        User.objects.create_user("owner@example.com", PASSWORD, is_active=False)
        assert authenticate(username="owner@example.com", password=PASSWORD) is None

    def test_is_one_per_mailbox(self, db):
        User.objects.create_user("owner@example.com")
        with pytest.raises(IntegrityError), transaction.atomic():
            User.objects.create_user("OWNER@example.com")

    def test_of_a_form_keeps_one_spelling(self, db):
        user = User(email="Owner@Example.com", password="x")
        user.full_clean()
        user.save()
        assert User.objects.get().email == "owner@example.com"
        with pytest.raises(ValidationError):
            User(email="OWNER@example.com", password="x").full_clean()

    @pytest.mark.parametrize("email", ["", " ", None])
    def test_needs_an_email(self, db, email):
        with pytest.raises(ValueError, match="email"):
            User.objects.create_user(email)

    def test_super_is_staff(self, db):
        user = User.objects.create_superuser("admin@example.com", PASSWORD)
        assert user.is_staff
        assert user.is_superuser

    def test_is_called_by_name_or_email(self):
        assert User(email="a@example.com").get_full_name() == "a@example.com"
        assert User(email="a@example.com", name="Ada").get_short_name() == "Ada"


class TestMerchant:
    def form(self, **fields) -> Merchant:
        return Merchant(**{"name": "Acme", "status": "active", **fields})

    @pytest.mark.parametrize("code", ["usd", "XAU", "ABC", "", "\u017f"])
    def test_of_a_form_needs_a_currency(self, db, code):
        with pytest.raises(ValidationError) as caught:
            self.form(default_currency=code).full_clean()
        assert "default_currency" in caught.value.message_dict

    @pytest.mark.parametrize("country", ["us", "USA", "U", "U1", "ÜS"])
    def test_of_a_form_needs_a_country(self, db, country):
        with pytest.raises(ValidationError) as caught:
            self.form(country=country).full_clean()
        assert "country" in caught.value.message_dict

    @pytest.mark.parametrize(
        "origins",
        [[], ["https://shop.example.com"], ["http://localhost:3000", "https://a-b.example.com:8443"]],
    )
    def test_of_a_form_takes_origins(self, db, origins):
        self.form(return_origins=origins).full_clean()

    @pytest.mark.parametrize(
        "origins",
        [
            "https://shop.example.com", {"a": 1}, [1], [None], [["https://a.example"]], ["shop.example.com"], [""],
            ["https://shop.example.com/"], ["https://shop.example.com/path"], ["https://user@shop.example.com"],
            ["https://*"], ["https://SHOP.example.com"], ["javascript:alert(1)"], ["https://"], ["ftp://a.example"],
            ["https://shop.example.com\n"], ["https://shop\\.example.com"], ["https://bücher.example"], 5, True,
        ],
    )  # fmt: skip
    def test_of_a_form_takes_nothing_but_origins(self, db, origins):
        with pytest.raises(ValidationError) as caught:
            self.form(return_origins=origins).full_clean()
        assert "return_origins" in caught.value.message_dict

    def test_is_the_default_one_only_once(self, shop):
        with pytest.raises(IntegrityError), transaction.atomic():
            Merchant.objects.create(name="Rival", is_default=True)
        Merchant.objects.create(name="Rival")
        Merchant.objects.create(name="Third")

    def test_is_not_deleted_with_its_books(self, shop, pay):
        pay()
        with pytest.raises(IntegrityError), transaction.atomic():
            Merchant.objects.filter(pk=shop.pk).delete()


class TestMembership:
    def test_is_one_per_user_and_merchant(self, shop):
        user = User.objects.create_user("owner@example.com")
        Membership.objects.create(merchant=shop, user=user, role="owner")
        with pytest.raises(IntegrityError), transaction.atomic():
            Membership.objects.create(merchant=shop, user=user, role="viewer")


class TestCustomer:
    def test_is_one_per_email_and_merchant(self, shop):
        rival = Merchant.objects.create(name="Rival")
        Customer.objects.create(merchant=shop, email="john@example.com", name="John")
        Customer.objects.create(merchant=rival, email="john@example.com", name="John")
        with pytest.raises(IntegrityError), transaction.atomic():
            Customer.objects.create(merchant=shop, email="john@example.com", name="Johnny")

    def test_of_a_form_keeps_one_spelling(self, shop):
        Customer.objects.create(merchant=shop, email="john@example.com", name="John")
        with pytest.raises(ValidationError):
            Customer(merchant=shop, email="JOHN@example.com", name="John").full_clean()
