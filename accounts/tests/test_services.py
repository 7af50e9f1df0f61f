import pytest

from accounts.models import Customer, Merchant
from accounts.services import (
    MerchantInactive,
    MerchantMissing,
    MerchantUnknown,
    create_merchant,
    customer_of,
    make_default,
    merchant_to_pay,
    refuse_inactive,
)
from core.ids import new_id


class TestCreateMerchant:
    def test_makes_the_first_the_default_one(self, db):
        first, second = create_merchant(name="First"), create_merchant(name="Second")
        assert first.is_default is True
        assert second.is_default is None
        assert second.status == Merchant.Status.ONBOARDING

    def test_leaves_the_flag_where_staff_put_it(self, db):
        create_merchant(name="First")
        second = create_merchant(name="Second")
        make_default(second)
        create_merchant(name="Third")
        assert Merchant.objects.get(is_default=True) == second


class TestMakeDefault:
    def test_moves_the_flag(self, shop):
        rival = create_merchant(name="Rival")
        make_default(rival)
        assert list(Merchant.objects.filter(is_default=True)) == [rival]
        make_default(rival)
        assert list(Merchant.objects.filter(is_default=True)) == [rival]


class TestMerchantToPay:
    def test_is_the_default_one_when_none_is_named(self, shop):
        assert merchant_to_pay(None) == shop

    def test_is_the_one_that_is_named(self, shop):
        rival = create_merchant(name="Rival", status="active")
        assert merchant_to_pay(rival.pk) == rival

    def test_is_missing_in_an_empty_installation(self, db):
        with pytest.raises(MerchantMissing):
            merchant_to_pay(None)

    def test_is_missing_without_the_flag(self, shop):
        Merchant.objects.update(is_default=None)
        with pytest.raises(MerchantMissing):
            merchant_to_pay(None)
        assert merchant_to_pay(shop.pk) == shop

    @pytest.mark.parametrize("name", ["", "x", "mer_", "mer_" + "0" * 26, "pay_" + "0" * 26, "MER_X", "\x00", "\ud800"])
    def test_is_unknown_under_any_other_name(self, shop, name):
        with pytest.raises(MerchantUnknown):
            merchant_to_pay(name)

    def test_is_unknown_by_an_id_of_another_form(self, shop):
        for name in (shop.pk.upper(), f" {shop.pk}", f"{shop.pk} ", f"{shop.pk}\n", new_id("mer")):
            with pytest.raises(MerchantUnknown):
                merchant_to_pay(name)

    @pytest.mark.parametrize("status", ["onboarding", "suspended", "closed"])
    def test_must_be_active(self, shop, status):
        Merchant.objects.update(status=status)
        with pytest.raises(MerchantInactive):
            refuse_inactive(merchant_to_pay(shop.pk))


class TestCustomerOf:
    def test_makes_one_that_is_new(self, shop):
        customer = customer_of(shop, email="John@Example.com", name="John", phone="+1", location="Here")
        customer.refresh_from_db()
        assert (customer.email, customer.name, customer.phone) == ("john@example.com", "John", "+1")
        assert customer.location == "Here"

    def test_never_changes_one_that_is_known(self, shop):
        known = customer_of(shop, email="john@example.com", name="John")
        again = customer_of(shop, email="JOHN@example.com", name="Mallory", phone="+666", location="Elsewhere")
        assert again == known
        assert Customer.objects.values_list("name", "phone", "location").get() == ("John", "", "")

    def test_tells_merchants_apart(self, shop):
        rival = create_merchant(name="Rival")
        assert customer_of(shop, email="j@example.com", name="J") != customer_of(rival, email="j@example.com", name="J")
