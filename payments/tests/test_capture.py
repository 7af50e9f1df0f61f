"""Authorize now, take the money later: by the API."""

import pytest

from core.queue import run_due
from payments.tests.conftest import CARD, error_of, shown, told
from sandbox.models import Charge, Operation
from tests.books import disagreements


class TestCapture:
    def test_takes_the_whole_amount_at_once(self, authorized, capture):
        payment_id = authorized()
        assert shown(capture(payment_id)) == (201, "completed", 100.00)
        charge = Charge.objects.get()
        assert (charge.status, charge.amount_captured) == ("succeeded", 10000)
        assert told(payment_id)[-2:] == ["payment.authorized", "payment.completed"]
        assert disagreements() == []

    def test_of_a_part_releases_the_rest(self, authorized, capture):
        payment_id = authorized()
        assert shown(capture(payment_id, amount="60.00")) == (201, "completed", 60.00)
        assert Charge.objects.get().amount_captured == 6000
        assert error_of(capture(payment_id, amount=40)) == (409, "payment_not_authorized")

    def test_is_a_transaction_of_its_own(self, api, owner, authorized, capture):
        payment_id = authorized()
        capture(payment_id, amount=60)
        transactions = api.get(f"/api/v1/payments/{payment_id}/transactions", headers=owner).json()["transactions"]
        rows = [(it["kind"], it["status"], it["amount"]) for it in transactions]
        assert rows == [("capture", "succeeded", 60.00), ("authorization", "succeeded", 100.00)]
        assert transactions[0]["provider_reference"] == Operation.objects.get().pk

    def test_keeps_the_order_for_good(self, pay, authorized, capture):
        capture(authorized(order_id="order-1"))
        assert error_of(pay(order_id="order-1")) == (409, "order_already_paid")

    def test_is_given_back_up_to_what_was_captured(self, authorized, capture, post, read):
        payment_id = authorized()
        capture(payment_id, amount=60)
        assert error_of(post("refund", payment_id, amount="60.01")) == (422, "refund_too_large")
        assert post("refund", payment_id, amount=60).status_code == 201
        run_due()
        assert (read(payment_id)["status"], read(payment_id)["amount_refunded"]) == ("refunded", 60.00)
        assert Charge.objects.get().amount_refunded == 6000
        assert disagreements() == []

    @pytest.mark.parametrize("currency", ["JPY", "KWD"])
    def test_counts_in_the_currencys_own_units(self, authorized, capture, currency):
        assert shown(capture(authorized(currency=currency), amount=7)) == (201, "completed", 7)


class TestWhatCannotBeCaptured:
    def test_is_more_than_was_authorized(self, authorized, capture, read):
        payment_id = authorized()
        answer = capture(payment_id, amount="100.01")
        assert error_of(answer) == (422, "capture_too_large")
        assert "100.00 USD" in answer.json()["error"]["message"]
        assert (read(payment_id)["status"], Operation.objects.count()) == ("authorized", 0)

    @pytest.mark.parametrize(
        ("amount", "code"),
        [
            (0, "amount_invalid"),
            ("-1", "amount_invalid"),
            ("1.001", "amount_precision"),
            ("1e1", "amount_invalid"),
            (True, "amount_invalid"),
            ([1], "amount_invalid"),
            (None, "parameter_missing"),
            ("9" * 30, "amount_too_large"),
        ],
    )
    def test_is_an_amount_that_is_none(self, authorized, capture, amount, code):
        assert error_of(capture(authorized(), amount=amount)) == (400, code)
        assert not Operation.objects.exists()

    def test_is_a_payment_that_was_paid_or_not_at_all(self, pay, capture):
        unpaid = pay(capture_method="manual").json()["payment"]["id"]
        paid = pay(**CARD).json()["payment"]["id"]
        run_due()
        for payment_id in (unpaid, paid):
            assert error_of(capture(payment_id)) == (409, "payment_not_authorized")

    def test_is_one_that_was_cancelled(self, authorized, capture, cancel):
        payment_id = authorized()
        cancel(payment_id)
        assert error_of(capture(payment_id)) == (409, "payment_not_authorized")

    def test_is_what_the_body_names_wrongly(self, authorized, capture):
        assert error_of(capture(authorized(), amout=5)) == (400, "parameter_unknown")


class TestIdempotency:
    KEY = {"Idempotency-Key": "capture-1"}

    def test_a_repeated_request_is_one_capture(self, authorized, capture):
        payment_id = authorized()
        capture(payment_id, self.KEY, amount=60)
        again = capture(payment_id, self.KEY, amount="60.00")
        assert shown(again) == (201, "completed", 60.00)
        assert again["Idempotent-Replayed"] == "true"
        assert Operation.objects.count() == 1

    def test_a_repeated_request_is_not_sent_while_the_first_is_in_flight(self, authorized, capture, settings):
        payment_id = authorized()
        settings.SANDBOX_FAULT = "down"
        capture(payment_id, self.KEY)
        settings.SANDBOX_FAULT = ""
        again = capture(payment_id, self.KEY)
        assert (shown(again), again["Idempotent-Replayed"]) == ((201, "authorized", 0), "true")
        assert not Operation.objects.exists()

    def test_another_body_or_payment_is_refused(self, authorized, capture):
        payment_id = authorized()
        capture(payment_id, self.KEY, amount=60)
        assert error_of(capture(payment_id, self.KEY, amount=61)) == (422, "idempotency_key_reused")
        assert error_of(capture(authorized(), self.KEY, amount=60)) == (422, "idempotency_key_reused")

    def test_a_refused_request_uses_up_no_key(self, authorized, capture):
        payment_id = authorized()
        capture(payment_id, self.KEY, amount=101)
        assert shown(capture(payment_id, self.KEY, amount=100)) == (201, "completed", 100.00)
