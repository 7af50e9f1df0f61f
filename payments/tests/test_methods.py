"""A merchant's payments are made by the methods that it offers, and by no other."""

import pytest

from payments import services
from payments.models import Payment

CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}


@pytest.fixture
def offer(shop):
    """The merchant offers these from now on."""

    def change(*methods):
        shop.payment_methods = list(methods)
        shop.save(update_fields=["payment_methods"])

    return change


@pytest.mark.parametrize(
    "fields",
    [{"payment_method": "paypal"}, {"payment_method": "debit_card"}, CARD, {"payment_method": "debit_card", **CARD}],
)
def test_a_request_for_another_one_is_refused(pay, offer, fields):
    offer("bank_transfer", "mobile_money")
    answer = pay(**fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "payment_method_unavailable", "payment_method")
    assert not Payment.objects.exists()


def test_a_refusal_uses_up_no_key(pay, offer):
    offer("bank_transfer")
    assert pay({"Idempotency-Key": "once"}, payment_method="paypal").status_code == 400
    offer("bank_transfer", "paypal")
    assert pay({"Idempotency-Key": "once"}, payment_method="paypal").status_code == 201


@pytest.mark.parametrize("fields", [{"payment_method": "paypal"}, CARD])
def test_a_replay_is_answered_though_the_method_is_gone(pay, offer, fields):
    first = pay({"Idempotency-Key": "once"}, **fields)
    offer("bank_transfer")
    again = pay({"Idempotency-Key": "once"}, **fields)
    assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
    assert again.json()["payment"]["id"] == first.json()["payment"]["id"]


def test_a_request_that_leaves_the_choice_to_the_payer_is_taken(pay, offer):
    offer("bank_transfer")
    assert pay().status_code == 201


def test_an_attempt_with_a_method_that_was_taken_back_is_refused(pay, offer):
    payment = Payment.objects.get(pk=pay(payment_method="paypal").json()["payment"]["id"])
    offer("bank_transfer")
    with pytest.raises(services.MethodUnavailable):
        services.start_attempt(payment_id=payment.pk, attempt=0, method="paypal")
    payment.refresh_from_db()
    assert (payment.payer_attempts, payment.transactions.count()) == (0, 0)


def test_a_card_that_is_being_charged_is_charged_though_cards_are_gone(pay, offer, work):
    payment = Payment.objects.get(pk=pay(**CARD).json()["payment"]["id"])
    offer("bank_transfer")
    work()
    payment.refresh_from_db()
    assert payment.status == "completed"
