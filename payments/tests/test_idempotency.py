import json

import pytest

from accounts.models import Customer, Merchant
from accounts.services import create_merchant
from notifications.models import Event
from payments.models import Payment, Transaction

PATH = "/api/v1/payments"
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040, "card_cvv": "123"}


def key(value: str) -> dict[str, str]:
    return {"Idempotency-Key": value}


class TestSameKeySameBody:
    def test_answers_with_the_same_payment(self, pay):
        first, again = pay(headers=key("a")), pay(headers=key("a"))
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.content == again.content
        assert "Idempotent-Replayed" not in first
        assert again["Idempotent-Replayed"] == "true"

    def test_does_nothing_twice(self, pay, work):
        for _n in range(5):
            pay(headers=key("a"), **CARD)
        assert [model.objects.count() for model in (Payment, Customer, Transaction, Event)] == [1, 1, 1, 1]
        work()
        assert Payment.objects.get().amount_captured == 5000

    def test_answers_with_the_payment_as_it_is_now(self, pay, work):
        pay(headers=key("a"), **CARD)
        work()
        again = pay(headers=key("a"), **CARD)
        assert again.status_code == 201
        assert again.json()["payment"]["status"] == "completed"

    def test_shows_no_more_than_the_first_answer_did(self, pay):
        first, again = (pay(headers=key("a"), metadata={"a": "b"}).json()["payment"] for _n in range(2))
        assert list(first) == list(again)

    @pytest.mark.parametrize("amounts", [("50", "50.0"), ("50.00", '"50.00"'), ("50", '"050"'), ("50.0", '"50"')])
    def test_knows_an_amount_in_any_spelling(self, api, shop, amounts):
        bodies = [f'{{"customer_name":"J","customer_email":"j@example.com","amount":{amount}}}' for amount in amounts]
        answers = [api.post(PATH, body, content_type="application/json", headers=key("a")) for body in bodies]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert Payment.objects.count() == 1

    def test_knows_a_body_by_what_it_says(self, api, shop):
        bodies = [
            '{"customer_name":"J","customer_email":"j@example.com","amount":50}',
            '{ "amount" : 50.00 , "customer_email":"j@example.com","customer_name":"\\u004a"}\n',
            f'{{"customer_name":"J","customer_email":"j@example.com","amount":50,"currency":"USD","merchant_id":"{shop.pk}"}}',
            '{"customer_name":" J ","customer_email":"J@Example.COM","amount":"50","idempotency_key":"a"}',
        ]
        answers = [api.post(PATH, body, content_type="application/json", headers=key("a")) for body in bodies]
        assert [answer.status_code for answer in answers] == [201] * 4
        assert Payment.objects.count() == 1

    def test_does_not_look_at_the_security_code(self, pay):
        pay(headers=key("a"), **CARD)
        assert pay(headers=key("a"), **{**CARD, "card_cvv": "999"})["Idempotent-Replayed"] == "true"


class TestSameKeyOtherBody:
    @pytest.mark.parametrize(
        "change",
        [
            {"amount": 50.01},
            {"currency": "EUR"},
            {"customer_name": "Jane Doe"},
            {"customer_email": "jane@example.com"},
            {"customer_phone": "+1"},
            {"customer_location": "Elsewhere"},
            {"description": "Another"},
            {"order_id": "2"},
            {"metadata": {"a": "c"}},
            {"metadata": {}},
            {"return_url": "https://shop.example.com/"},
            {"capture_method": "manual"},
            {"payment_method": "debit_card"},
            {"card_number": "4000000000000002"},
            {"card_expiry_month": 11},
            {"card_expiry_year": 2041},
            {"card_number": None, "card_expiry_month": None, "card_expiry_year": None, "card_cvv": None},
        ],
        ids=str,
    )
    def test_is_refused(self, pay, change):
        body = {"customer_name": "Secret Name", "metadata": {"a": "b"}, **CARD}
        first = pay(headers=key("a"), **body)
        assert first.status_code == 201
        response = pay(headers=key("a"), **{**body, **change})
        assert response.status_code == 422
        error = response.json()["error"]
        assert (error["type"], error["code"]) == ("idempotency", "idempotency_key_reused")
        assert Payment.objects.count() == 1

    def test_shows_nothing_of_the_payment_that_there_is(self, pay):
        stored = pay(headers=key("a"), customer_name="Secret Name").json()["payment"]
        answer = pay(headers=key("a"), amount=1).content.decode()
        for value in (stored["id"], stored["reference"], "Secret", "john@example.com", "50.00"):
            assert value not in answer


class TestKey:
    def test_may_stand_in_header_body_or_both(self, pay):
        answers = [pay(headers=key("a")), pay(idempotency_key="a"), pay(headers=key("a"), idempotency_key="a")]
        assert len({answer.json()["payment"]["id"] for answer in answers}) == 1
        assert [answer.get("Idempotent-Replayed") for answer in answers] == [None, "true", "true"]

    @pytest.mark.parametrize(("header", "body"), [("a", "b"), ("a", "A"), ("key", "key-")])
    def test_that_differs_in_header_and_body_is_refused(self, pay, header, body):
        response = pay(headers=key(header), idempotency_key=body)
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "idempotency_key_conflict"
        assert not Payment.objects.exists()

    @pytest.mark.parametrize(
        "value",
        [
            "", " ", "a b", "a ", " a", "é", "\xff", "a\tb", "a\r\nSet-Cookie: x=y", "\x00", "\x7f", "a" * 256,
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("place", ["header", "body"])
    def test_is_visible_ascii(self, pay, value, place):
        response = pay(headers=key(value)) if place == "header" else pay(idempotency_key=value)
        assert response.status_code == 400
        error = response.json()["error"]
        if value != "\x00" or place == "header":
            assert (error["code"], error["param"]) == ("idempotency_key_invalid", "idempotency_key")
        assert "Set-Cookie" not in response
        assert not Payment.objects.exists()

    @pytest.mark.parametrize("value", [5, True, [], {}, 1.5])
    def test_is_a_text(self, pay, value):
        response = pay(idempotency_key=value)
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "idempotency_key_invalid"

    def test_tells_case_apart(self, pay):
        assert len({pay(headers=key(value)).json()["payment"]["id"] for value in ("key", "KEY", "Key", "kEy")}) == 4

    def test_may_be_long(self, pay):
        longest = "k" * 254
        assert len({pay(headers=key(longest + end)).json()["payment"]["id"] for end in ("a", "b", "a")}) == 2

    def test_belongs_to_one_merchant(self, pay):
        rival = create_merchant(name="Rival", status="active")
        mine, theirs = pay(headers=key("a")), pay(headers=key("a"), merchant_id=rival.pk, amount=1)
        assert (mine.status_code, theirs.status_code) == (201, 201)
        assert "Idempotent-Replayed" not in theirs
        assert mine.json()["payment"]["id"] != theirs.json()["payment"]["id"]

    def test_is_not_needed(self, pay):
        assert pay().json()["payment"]["id"] != pay().json()["payment"]["id"]

    def test_is_never_stored_or_shown(self, pay):
        response = pay(headers=key("my-secret-key"))
        assert b"my-secret-key" not in response.content
        row = Payment.objects.get()
        assert "my-secret-key" not in json.dumps([row.idempotency_key, row.fingerprint, row.metadata])
        assert len(row.idempotency_key) == len(row.fingerprint) == 64


class TestRefusal:
    @pytest.mark.parametrize(
        "fault",
        [
            {"amount": -1}, {"customer_name": None}, {"currency": "usd"}, {"x": 1}, {"merchant_id": "x"},
        ],
    )  # fmt: skip
    def test_uses_up_no_key(self, pay, fault):
        assert pay(headers=key("a"), **fault).status_code == 400
        response = pay(headers=key("a"))
        assert response.status_code == 201
        assert "Idempotent-Replayed" not in response

    def test_of_an_inactive_merchant_uses_up_no_key(self, pay):
        Merchant.objects.update(status="suspended")
        assert pay(headers=key("a")).status_code == 422
        Merchant.objects.update(status="active")
        assert pay(headers=key("a")).status_code == 201

    def test_of_today_does_not_touch_what_was_made_before(self, pay):
        """Suspended, or an origin no longer allowed: the retry of a request that was taken gets its answer."""
        first = pay(headers=key("a"), return_url="https://shop.example.com/done")
        Merchant.objects.update(status="suspended", return_origins=[])
        again = pay(headers=key("a"), return_url="https://shop.example.com/done")
        assert (again.status_code, again.content) == (201, first.content)
        assert pay(headers=key("b")).status_code == 422

    def test_of_a_reused_key_leaves_it_to_its_payment(self, pay):
        first = pay(headers=key("a"))
        assert pay(headers=key("a"), amount=1).status_code == 422
        assert pay(headers=key("a")).content == first.content
