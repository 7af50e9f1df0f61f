import json
import re
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import Customer, Merchant
from accounts.services import create_merchant, make_default
from core.ids import is_id
from notifications.models import Event
from payments.models import Payment, Transaction

PATH = "/api/v1/payments"
JSON = "application/json"
S1 = b'{"customer_name": "John Doe", "customer_email": "john@example.com", "amount": 50.00}'
CARD = {"card_number": "4111111111111111", "card_expiry_month": 12, "card_expiry_year": 2040, "card_cvv": "123"}
EVERYTHING = {
    "customer_name": "John Doe",
    "customer_email": "john@example.com",
    "customer_phone": "+1 202 555 0143",
    "customer_location": "Springfield, US",
    "amount": 99.99,
    "currency": "USD",
    "order_id": "order-1042",
    "payment_method": "credit_card",
    "description": "Two concert tickets",
    "metadata": {"seat": "14C"},
    "return_url": "https://shop.example.com/thanks?order=1042",
    "capture_method": "manual",
    "idempotency_key": "order-1042-a",
    **CARD,
}
PUBLIC = [
    "id", "reference", "merchant_id", "order_id", "status", "amount", "currency", "customer_name", "customer_email",
    "description", "payment_method", "card", "failure", "next_action", "checkout_url", "expires_at", "created_at",
    "updated_at",
]  # fmt: skip
MERCHANTS_OWN = [
    "customer_id", "customer_phone", "customer_location", "metadata", "provider", "capture_method", "return_url",
    "cancellation_reason", "amount_captured", "amount_refunded", "amount_refund_pending", "amount_disputed",
]  # fmt: skip


def moment(text: str) -> datetime:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text)
    return datetime.fromisoformat(text)


class TestTheLeast:
    """The request of S1."""

    def test_answers_201_with_the_envelope(self, api, shop):
        response = api.post(PATH, S1, content_type=JSON)
        assert response.status_code == 201
        body = response.json()
        assert list(body) == ["payment", "status", "message"]
        assert (body["status"], body["message"]) == ("success", "Payment started.")
        assert list(body["payment"]) == PUBLIC

    def test_answers_the_amount_with_its_decimals(self, api, shop):
        response = api.post(PATH, S1, content_type=JSON)
        assert b'"amount":50.00,' in response.content
        assert response["Content-Type"] == JSON

    def test_fills_in_the_rest(self, api, shop):
        payment = api.post(PATH, S1, content_type=JSON).json()["payment"]
        assert is_id(payment["id"], "pay")
        assert re.fullmatch(r"TG-[0-9A-HJKMNP-TV-Z]{10}", payment["reference"])
        assert payment["checkout_url"] == f"http://testserver/pay/{payment['id']}"
        now = timezone.now()
        assert abs(moment(payment["created_at"]) - now) < timedelta(seconds=5)
        assert moment(payment["expires_at"]) - moment(payment["created_at"]) == timedelta(hours=24)
        moment(payment["updated_at"])
        known = ("id", "reference", "checkout_url", "created_at", "expires_at", "updated_at")
        assert {name: value for name, value in payment.items() if name not in known} == {
            "merchant_id": shop.pk,
            "order_id": None,
            "status": "pending",
            "amount": 50.00,
            "currency": "USD",
            "customer_name": "John Doe",
            "customer_email": "john@example.com",
            "description": None,
            "payment_method": None,
            "card": None,
            "failure": None,
            "next_action": None,
        }

    def test_waits_for_the_payer(self, pay, work):
        pay()
        assert work() == 0
        assert not Transaction.objects.exists()

    def test_tells_of_it(self, pay, shop):
        payment = pay().json()["payment"]
        event = Event.objects.get()
        assert (event.type, event.object_id, event.sequence) == ("payment.created", payment["id"], 1)
        assert event.merchant == shop


class TestEverything:
    """A request with everything that may be in one."""

    @pytest.fixture
    def sent(self, api, shop):
        return api.post(PATH, {**EVERYTHING, "merchant_id": shop.pk}, content_type=JSON)

    def test_comes_back_in_the_public_view(self, sent, shop):
        assert sent.status_code == 201
        payment = sent.json()["payment"]
        assert payment["status"] == "pending"
        for name in set(EVERYTHING) & set(PUBLIC):
            assert payment[name] == EVERYTHING[name]
        assert payment["merchant_id"] == shop.pk
        assert payment["card"] == {"brand": "visa", "last4": "1111", "expiry_month": 12, "expiry_year": 2040}

    def test_shows_nobody_but_the_merchant_the_rest(self, sent, api):
        seen = [sent.json()["payment"], api.get(f"{PATH}/{sent.json()['payment']['id']}").json()["payment"]]
        for payment in seen:
            assert list(payment) == PUBLIC
        for secret in ("14C", "sandbox", "202 555", "Springfield", "cus_", "thanks", "manual", "4111111111111111"):
            assert secret not in json.dumps(seen)

    def test_is_what_the_merchant_hears(self, sent):
        payload = json.loads(Event.objects.get(type="payment.created").payload)
        assert list(payload) == PUBLIC + MERCHANTS_OWN
        assert is_id(payload["customer_id"], "cus")
        expected = {
            "customer_phone": "+1 202 555 0143",
            "customer_location": "Springfield, US",
            "metadata": {"seat": "14C"},
            "provider": "sandbox",
            "capture_method": "manual",
            "return_url": "https://shop.example.com/thanks?order=1042",
            "cancellation_reason": None,
            "amount_captured": 0,
            "amount_refunded": 0,
            "amount_refund_pending": 0,
            "amount_disputed": 0,
        }
        assert {name: payload[name] for name in expected} == expected

    def test_is_kept(self, sent, shop):
        payment = Payment.objects.get()
        assert (payment.amount, payment.currency) == (9999, "USD")
        assert payment.customer_email == "john@example.com"
        assert payment.customer.email == "john@example.com"
        assert payment.metadata == {"seat": "14C"}
        assert payment.due_at == payment.expires_at

    def test_is_due_at_the_provider_at_once(self, sent):
        txn = Transaction.objects.get()
        assert (txn.kind, txn.status, txn.amount, txn.source) == ("authorization", "pending", 9999, "tok_visa")
        assert txn.is_last_attempt

    def test_is_authorized_by_the_worker(self, sent, work, api):
        work()
        payment = api.get(f"{PATH}/{sent.json()['payment']['id']}").json()["payment"]
        assert payment["status"] == "authorized"


class TestS3:
    def test_is_completed_by_the_worker(self, pay, work, api):
        fields = {**EVERYTHING, "capture_method": None, "idempotency_key": None}
        payment = pay(**fields).json()["payment"]
        assert payment["status"] == "pending"
        work()
        payment = api.get(f"{PATH}/{payment['id']}").json()["payment"]
        assert (payment["status"], payment["amount"], payment["failure"]) == ("completed", 99.99, None)

    def test_fails_with_the_card_that_is_declined(self, pay, work, api):
        payment = pay(**{**CARD, "card_number": "4000000000000002"}).json()["payment"]
        work()
        payment = api.get(f"{PATH}/{payment['id']}").json()["payment"]
        assert (payment["status"], payment["failure"]["code"]) == ("failed", "card_declined")


class TestAmounts:
    @pytest.mark.parametrize(
        ("amount", "currency", "answered"),
        [
            ("5000", "JPY", "5000"),
            ("1.234", "KWD", "1.234"),
            ("0.001", "KWD", "0.001"),
            ("0.01", "USD", "0.01"),
            ("50", "USD", "50.00"),
            ("50.0", "USD", "50.00"),
            ("50.00", "USD", "50.00"),
            ('"50.00"', "USD", "50.00"),
            ('"050"', "USD", "50.00"),
            ("0.1", "USD", "0.10"),
            ("0.29", "USD", "0.29"),
            ("1.005", "BHD", "1.005"),
            ("0.20", "MGA", "0.20"),
            ("0.0001", "CLF", "0.0001"),
            ("12.3456", "UYW", "12.3456"),
            ("4503599627370.49", "EUR", None),
            ("999999999999.99", "USD", "999999999999.99"),
            ("999999999999", "JPY", "999999999999"),
            ("999999999999.99", "CLF", "999999999999.9900"),
        ],
    )
    def test_round_trip_exactly(self, api, shop, amount, currency, answered):
        body = f'{{"customer_name":"J","customer_email":"j@example.com","amount":{amount},"currency":"{currency}"}}'
        response = api.post(PATH, body, content_type=JSON)
        if answered is None:
            assert response.json()["error"]["code"] == "amount_too_large"
            return
        assert f'"amount":{answered},"currency":"{currency}"'.encode() in response.content
        again = api.get(f"{PATH}/{response.json()['payment']['id']}")
        assert f'"amount":{answered},"currency":"{currency}"'.encode() in again.content

    @pytest.mark.parametrize("amount", [10.5, "10.5", "5000.0"])
    def test_of_yen_have_no_decimals(self, pay, amount):
        response = pay(amount=amount, currency="JPY")
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "amount_precision"
        assert response.json()["error"]["param"] == "amount"

    def test_are_in_the_merchants_currency_when_none_is_sent(self, pay, shop):
        Merchant.objects.update(default_currency="JPY")
        assert b'"amount":50,"currency":"JPY"' in pay(amount=50).content
        assert pay(amount="50.00").json()["error"]["code"] == "amount_precision"


class TestMerchant:
    def test_is_the_default_one_when_none_is_named(self, pay, shop):
        assert pay().json()["payment"]["merchant_id"] == shop.pk

    def test_is_the_one_with_the_flag(self, pay):
        rival = create_merchant(name="Rival", status="active")
        make_default(rival)
        assert pay().json()["payment"]["merchant_id"] == rival.pk

    def test_is_the_one_that_is_named(self, pay):
        rival = create_merchant(name="Rival", status="active")
        assert pay(merchant_id=rival.pk).json()["payment"]["merchant_id"] == rival.pk

    def test_must_be_named_when_there_is_no_default(self, api, db):
        response = api.post(PATH, S1, content_type=JSON)
        assert response.status_code == 400
        assert (response.json()["error"]["code"], response.json()["error"]["param"]) == (
            "merchant_missing",
            "merchant_id",
        )
        assert not Payment.objects.exists()

    @pytest.mark.parametrize("status", ["onboarding", "suspended", "closed"])
    def test_must_be_active(self, pay, status):
        Merchant.objects.update(status=status)
        response = pay()
        assert response.status_code == 422
        assert response.json()["error"]["code"] == "merchant_inactive"
        assert not Payment.objects.exists()

    def test_that_is_live_needs_a_provider(self, pay):
        Merchant.objects.update(mode="live")
        response = pay()
        assert response.status_code == 422
        assert response.json()["error"]["code"] == "provider_not_connected"
        assert not Payment.objects.exists()

    def test_that_is_live_takes_no_card_numbers(self, pay):
        Merchant.objects.update(mode="live")
        response = pay(**CARD)
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "live_card_refused"
        assert b"4111" not in response.content


class TestCustomer:
    def test_is_made_of_the_first_payment(self, pay, shop):
        pay(customer_phone="+1", customer_location="Here")
        customer = Customer.objects.get()
        assert (customer.email, customer.name, customer.phone, customer.location) == (
            "john@example.com",
            "John Doe",
            "+1",
            "Here",
        )
        assert customer.merchant == shop

    def test_is_never_changed_by_a_payment(self, pay):
        pay()
        before = Customer.objects.values().get()
        response = pay(
            customer_name="Mallory", customer_email="JOHN@example.com", customer_phone="+666", customer_location="There"
        )
        assert response.status_code == 201
        assert Customer.objects.values().get() == before
        payment = Payment.objects.get(pk=response.json()["payment"]["id"])
        assert (payment.customer_name, payment.customer_phone) == ("Mallory", "+666")
        assert payment.customer_email == response.json()["payment"]["customer_email"] == "john@example.com"

    def test_is_another_one_at_another_merchant(self, pay):
        rival = create_merchant(name="Rival", status="active")
        pay(), pay(merchant_id=rival.pk)
        assert Customer.objects.count() == 2


class TestOrder:
    @pytest.mark.parametrize("order_id", ["1", "a" * 64, "A.b_c:d-9", "..", "-", "order-1042", "0"])
    def test_has_a_name(self, pay, order_id):
        assert pay(order_id=order_id).json()["payment"]["order_id"] == order_id

    def test_may_be_a_whole_number(self, pay):
        assert pay(order_id=1042).json()["payment"]["order_id"] == "1042"

    def test_may_have_many_payments_before_one_succeeds(self, pay, shop):
        assert [pay(order_id="1").status_code for _n in range(3)] == [201] * 3
        assert set(Payment.objects.values_list("order_key", flat=True)) == {None}

    def test_tells_case_apart(self, pay, work, api):
        one, other = (pay(order_id=name, **CARD).json()["payment"]["id"] for name in ("order-a", "ORDER-A"))
        work()
        statuses = [api.get(f"{PATH}/{pk}").json()["payment"]["status"] for pk in (one, other)]
        assert statuses == ["completed", "completed"]

    def test_of_another_merchant_is_another_order(self, pay, work):
        rival = create_merchant(name="Rival", status="active")
        pay(order_id="1", **CARD), pay(order_id="1", merchant_id=rival.pk, **CARD)
        work()
        assert set(Payment.objects.values_list("status", flat=True)) == {"completed"}


class TestMethod:
    @pytest.mark.parametrize("method", ["credit_card", "debit_card", "paypal", "bank_transfer", "mobile_money"])
    def test_may_be_chosen_beforehand(self, pay, method):
        assert pay(payment_method=method).json()["payment"]["payment_method"] == method

    @pytest.mark.parametrize(("chosen", "answered"), [(None, "credit_card"), ("debit_card", "debit_card")])
    def test_of_a_card_is_a_card(self, pay, chosen, answered):
        assert pay(payment_method=chosen, **CARD).json()["payment"]["payment_method"] == answered


class TestMetadata:
    @pytest.mark.parametrize(
        "metadata",
        [
            {},
            {"k": ""},
            {"k" * 40: "v" * 500},
            {str(n): "x" for n in range(50)},
            {"é😀": "\n\t \x7f ‮ \u2028", "<b>": "</script>", "__proto__": "1", "a.b": "$x", " ": " "},
        ],
    )
    def test_is_kept_as_it_is(self, pay, metadata):
        assert pay(metadata=metadata).status_code == 201
        assert Payment.objects.get().metadata == metadata
        assert json.loads(Event.objects.get().payload)["metadata"] == metadata


class TestReference:
    def test_is_another_for_each(self, pay):
        references = [pay().json()["payment"]["reference"] for _n in range(20)]
        assert len(set(references)) == 20
