"""A merchant's settings, and a user's further merchants."""

import pytest

from accounts.models import Membership, Merchant
from accounts.services import add_member, create_merchant


@pytest.fixture
def change(api, owner):
    return lambda **body: api.patch("/api/v1/merchant", body, headers=owner, content_type="application/json")


@pytest.fixture
def open_merchant(api, owner):
    def post(headers=None, **body):
        headers = {**owner, **(headers or {})}
        return api.post("/api/v1/merchants", body, headers=headers, content_type="application/json")

    return post


class TestSettings:
    def test_show_everything_that_can_be_set(self, api, shop, owner):
        merchant = api.get("/api/v1/merchant", headers=owner).json()["merchant"]
        assert merchant == {
            "id": shop.pk,
            "name": "Acme",
            "mode": "sandbox",
            "status": "active",
            "country": "US",
            "default_currency": "USD",
            "return_origins": ["https://shop.example.com"],
            "payment_methods": ["credit_card", "debit_card", "paypal", "bank_transfer", "mobile_money"],
            "brand_name": None,
            "brand_color": None,
            "support_email": None,
            "settlement_delay_days": 2,
            "refund_approval_limit": None,
            "created_at": merchant["created_at"],
        }

    def test_change_together(self, change):
        wanted = {
            "name": "Acme Ltd",
            "country": "NG",
            "default_currency": "NGN",
            "return_origins": ["https://acme.example", "http://localhost:3000"],
            "payment_methods": ["bank_transfer", "debit_card"],
            "brand_name": "ACME!",
            "brand_color": "#aa00ff",
            "support_email": "help@acme.example",
            "settlement_delay_days": 7,
            "refund_approval_limit": 5000.00,
        }
        answer = change(**wanted)
        assert answer.status_code == 200
        assert {name: answer.json()["merchant"][name] for name in wanted} == wanted
        assert b'"refund_approval_limit":5000.00' in answer.content

    def test_that_are_not_sent_stay(self, change):
        change(brand_name="ACME!")
        assert change(settlement_delay_days=3).json()["merchant"]["brand_name"] == "ACME!"

    def test_can_be_emptied(self, change):
        change(brand_name="ACME!", brand_color="#aa00ff", support_email="help@acme.example", refund_approval_limit=10)
        empty = {"brand_name": "", "brand_color": "", "support_email": "", "refund_approval_limit": None}
        merchant = change(**empty).json()["merchant"]
        assert {merchant[name] for name in empty} == {None}

    @pytest.mark.parametrize(
        ("name", "value", "code"),
        [
            ("default_currency", "XXX", "currency_invalid"),
            ("default_currency", "usd", "currency_invalid"),
            ("country", "Nigeria", "parameter_invalid"),
            ("country", "ng", "parameter_invalid"),
            ("return_origins", ["https://acme.example/path"], "parameter_invalid"),
            ("return_origins", ["https://user@acme.example"], "parameter_invalid"),
            ("return_origins", ["javascript:alert(1)"], "parameter_invalid"),
            ("return_origins", ["https://acme.example\n"], "parameter_invalid"),
            ("return_origins", ["https://a.example", "https://a.example"], "parameter_invalid"),
            ("return_origins", "https://acme.example", "parameter_invalid"),
            ("return_origins", [f"https://s{n}.example" for n in range(21)], "parameter_invalid"),
            ("payment_methods", [], "parameter_invalid"),
            ("payment_methods", ["cash"], "parameter_invalid"),
            ("payment_methods", ["paypal", "paypal"], "parameter_invalid"),
            ("payment_methods", [["paypal"]], "parameter_invalid"),
            ("brand_color", "red", "parameter_invalid"),
            ("brand_color", "#AA00FF", "parameter_invalid"),
            ("brand_color", "#aa00f", "parameter_invalid"),
            ("support_email", "nobody", "parameter_invalid"),
            ("settlement_delay_days", -1, "parameter_invalid"),
            ("settlement_delay_days", 91, "parameter_invalid"),
            ("settlement_delay_days", 1.5, "parameter_invalid"),
            ("settlement_delay_days", True, "parameter_invalid"),
            ("refund_approval_limit", "10.001", "amount_precision"),
            ("refund_approval_limit", -1, "amount_invalid"),
            ("refund_approval_limit", "1e3", "amount_invalid"),
            ("name", "", "parameter_missing"),
            ("name", None, "parameter_missing"),
            ("name", "a\nb", "parameter_invalid"),
            ("mode", "live", "parameter_unknown"),
            ("status", "active", "parameter_unknown"),
            ("is_default", True, "parameter_unknown"),
        ],
    )
    def test_refuse_nonsense_and_change_nothing(self, change, shop, name, value, code):
        answer = change(**{"brand_name": "New", name: value})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
        assert Merchant.objects.get(pk=shop.pk).brand_name == ""

    def test_keep_the_approval_limit_in_the_default_currency(self, change):
        change(refund_approval_limit=100)
        refused = change(default_currency="JPY")
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "refund_approval_limit")
        answer = change(default_currency="JPY", refund_approval_limit=5000)
        assert b'"refund_approval_limit":5000,' in answer.content


class TestFurtherMerchants:
    def test_a_sandbox_one_takes_payments_at_once(self, api, pay, open_merchant):
        answer = open_merchant(name="Second", default_currency="EUR")
        assert answer.status_code == 201
        merchant = answer.json()["merchant"]
        assert (merchant["mode"], merchant["status"]) == ("sandbox", "active")
        assert pay(merchant_id=merchant["id"]).json()["payment"]["currency"] == "EUR"

    def test_a_live_one_waits_for_approval(self, pay, open_merchant):
        merchant = open_merchant(name="Real", mode="live").json()["merchant"]
        assert merchant["status"] == "onboarding"
        assert pay(merchant_id=merchant["id"]).json()["error"]["code"] == "merchant_inactive"

    def test_a_live_one_takes_a_confirmed_address(self, open_merchant, owner_user):
        owner_user.email_verified_at = None
        owner_user.save()
        refused = open_merchant(name="Real", mode="live")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "email_unverified")
        assert not Merchant.objects.filter(name="Real").exists()

    def test_its_maker_owns_it(self, open_merchant, owner_user):
        merchant = open_merchant(name="Second").json()["merchant"]
        assert Membership.objects.get(merchant_id=merchant["id"]).user == owner_user

    def test_a_repeated_request_opens_one(self, open_merchant):
        first = open_merchant({"Idempotency-Key": "k"}, name="Second")
        again = open_merchant({"Idempotency-Key": "k"}, name="Second")
        assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
        assert again.json() == first.json()
        other = open_merchant({"Idempotency-Key": "k"}, name="Third")
        assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")

    def test_are_listed_with_those_joined(self, api, owner, owner_user, open_merchant):
        open_merchant(name="Second")
        add_member(create_merchant(name="Friend"), owner_user, "viewer")
        create_merchant(name="Stranger")
        names = [merchant["name"] for merchant in api.get("/api/v1/merchants", headers=owner).json()["merchants"]]
        assert sorted(names) == ["Acme", "Friend", "Second"]


class TestSeveralMerchants:
    @pytest.fixture
    def second(self, owner_user):
        second = create_merchant(name="Second", status="active")
        add_member(second, owner_user, "viewer")
        return second

    def test_one_must_be_named(self, api, owner, second):
        refused = api.get("/api/v1/merchant", headers=owner)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "merchant_required")

    def test_the_header_names_it_and_the_role_there_counts(self, api, owner, second):
        headers = {**owner, "Tillgate-Merchant": second.pk}
        assert api.get("/api/v1/merchant", headers=headers).json()["merchant"]["name"] == "Second"
        refused = api.patch("/api/v1/merchant", {"name": "x"}, headers=headers, content_type="application/json")
        assert refused.status_code == 403
        assert "owner, admin" in refused.json()["error"]["message"]

    @pytest.mark.parametrize("name", ["mer_", "acme", "mer_01M7XT2S0ARRQJ7G231DER0E2G", "\x00", "1" * 5000])
    def test_a_header_that_is_no_id_is_refused(self, api, owner, second, name):
        answer = api.get("/api/v1/merchant", headers={**owner, "Tillgate-Merchant": name})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Tillgate-Merchant")
