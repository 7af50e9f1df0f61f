"""Giving a payment back, by the API."""

from datetime import timedelta

import pytest
from django.utils import timezone

from notifications.models import Event
from payments.models import Payment, Transaction
from refunds.models import Refund
from refunds.services import return_surplus
from sandbox.models import Charge, Operation
from sandbox.services import decide

JSON = "application/json"
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2030}


def error_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


class TestFull:
    def test_is_set_aside_at_once_and_given_back_by_the_worker(self, paid, refund, read, work):
        payment_id = paid()
        answer = refund(payment_id, reason="product_not_received", note="Lost in the mail")
        assert answer.status_code == 201
        shown = answer.json()["refund"]
        assert shown["id"].startswith("re_")
        assert (shown["status"], shown["amount"], shown["currency"]) == ("pending", 50.00, "USD")
        assert (shown["reason"], shown["note"]) == ("product_not_received", "Lost in the mail")
        payment = read(payment_id)
        assert (payment["amount_refund_pending"], payment["amount_refunded"]) == (50.00, 0)
        work()
        payment = read(payment_id)
        assert payment["status"] == "refunded"
        assert (payment["amount_refund_pending"], payment["amount_refunded"]) == (0, 50.00)

    def test_is_a_transaction_of_its_own(self, api, owner, paid, refund, work):
        payment_id = paid()
        refund(payment_id)
        work()
        path = f"/api/v1/payments/{payment_id}/transactions"
        kinds = {it["kind"]: it["status"] for it in api.get(path, headers=owner).json()["transactions"]}
        assert kinds == {"sale": "succeeded", "refund": "succeeded"}

    def test_tells_every_step(self, paid, refund, work):
        refund_id = refund(paid()).json()["refund"]["id"]
        work()
        types = Event.objects.filter(object_id=refund_id).order_by("sequence").values_list("type", flat=True)
        assert list(types) == ["refund.created", "refund.processing", "refund.succeeded"]


class TestPartial:
    def test_leaves_the_payment_completed_until_nothing_is_left(self, paid, refund, read, work):
        payment_id = paid()
        for amount, status in (("20.00", "completed"), (29.99, "completed"), ("0.01", "refunded")):
            assert refund(payment_id, amount=amount).status_code == 201
            work()
            assert read(payment_id)["status"] == status

    def test_without_an_amount_is_all_that_is_left(self, paid, refund):
        payment_id = paid()
        refund(payment_id, amount=20)
        assert refund(payment_id).json()["refund"]["amount"] == 30.00

    def test_more_than_is_left_is_refused_with_what_is(self, paid, refund):
        payment_id = paid()
        refund(payment_id, amount=20)
        answer = refund(payment_id, amount="30.01")
        assert error_of(answer) == (422, "refund_too_large")
        assert "30.00 USD" in answer.json()["error"]["message"]

    def test_that_may_be_a_repeated_request_tells_how_to_repeat(self, paid, refund):
        payment_id = paid()
        refund(payment_id, amount=30)
        assert "Idempotency-Key" in refund(payment_id, amount=30).json()["error"]["message"]
        keyed = refund(payment_id, amount=30, headers={"Idempotency-Key": "1"})
        assert "Idempotency-Key" not in keyed.json()["error"]["message"]

    def test_of_a_payment_that_is_refunded_already_tells_so_and_how_to_repeat(self, paid, refund, work):
        payment_id = paid()
        refund(payment_id)
        work()
        again, keyed = refund(payment_id), refund(payment_id, {"Idempotency-Key": "1"})
        assert error_of(again) == error_of(keyed) == (409, "payment_not_refundable")
        assert again.json()["message"].startswith("This payment is refunded already. ")
        assert "Idempotency-Key" in again.json()["message"]
        assert keyed.json()["message"] == "This payment is refunded already."

    def test_nothing_left_is_refused(self, paid, refund):
        payment_id = paid()
        refund(payment_id)
        answer = refund(payment_id)
        assert error_of(answer) == (422, "refund_too_large")
        assert answer.json()["message"].startswith("Nothing of this payment is left to refund.")

    @pytest.mark.parametrize(
        ("amount", "code"),
        [
            (0, "amount_invalid"),
            ("-1", "amount_invalid"),
            ("1.001", "amount_precision"),
            ("1e1", "amount_invalid"),
            (True, "amount_invalid"),
            (None, "parameter_missing"),
            ("", "amount_invalid"),
            ("١", "amount_invalid"),
        ],
    )
    def test_an_amount_that_is_none_is_refused(self, paid, refund, amount, code):
        assert error_of(refund(paid(), amount=amount)) == (400, code)
        assert not Refund.objects.exists()

    def test_currencies_without_decimals_have_none(self, paid, refund):
        payment_id = paid(amount=5000, currency="JPY")
        assert error_of(refund(payment_id, amount="10.5")) == (400, "amount_precision")
        assert b'"amount":10,' in refund(payment_id, amount=10).content


class TestWhatCannotBeGivenBack:
    @pytest.mark.parametrize("number", ["4000000000000002", "4000002500003155"])
    def test_an_unpaid_payment(self, paid, refund, number):
        assert error_of(refund(paid(number))) == (409, "payment_not_refundable")

    def test_a_pending_one(self, pay, refund):
        assert error_of(refund(pay().json()["payment"]["id"])) == (409, "payment_not_refundable")

    def test_a_disputed_one(self, paid, refund):
        payment_id = paid()
        Payment.objects.update(amount_disputed=100)
        assert error_of(refund(payment_id)) == (409, "payment_disputed")

    @pytest.mark.parametrize(
        "payment_id", ["pay_01m7xt2s0arrqj7g231der0e2g", "pay_x", "txn_01m7xt2s0arrqj7g231der0e2g"]
    )
    def test_one_that_does_not_exist(self, api, owner, refund, payment_id):
        assert refund(payment_id).status_code == 404
        answer = api.post("/api/v1/refunds", {"payment_id": payment_id}, headers=owner, content_type=JSON)
        assert answer.status_code == 404

    def test_a_card_number_in_the_note(self, paid, refund):
        assert error_of(refund(paid(), note="to 4242424242424242")) == (400, "live_card_refused")


class TestIdempotency:
    def test_a_repeated_request_is_one_refund(self, paid, refund, work):
        payment_id = paid()
        first = refund(payment_id, {"Idempotency-Key": "k"}, amount=10)
        work()
        again = refund(payment_id, {"Idempotency-Key": "k"}, amount="10.00")
        assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
        assert again.json()["refund"]["id"] == first.json()["refund"]["id"]
        assert again.json()["refund"]["status"] == "succeeded"
        assert Refund.objects.count() == 1

    def test_the_key_may_be_in_the_body(self, api, owner, paid, refund):
        payment_id = paid()
        first = refund(payment_id, amount=10, idempotency_key="k").json()["refund"]["id"]
        again = refund(payment_id, {"Idempotency-Key": "k"}, amount=10)
        assert (again["Idempotent-Replayed"], again.json()["refund"]["id"]) == ("true", first)
        body = {"payment_id": payment_id, "amount": 10, "idempotency_key": "k"}
        assert api.post("/api/v1/refunds", body, headers=owner, content_type=JSON).json()["refund"]["id"] == first
        differing = refund(payment_id, {"Idempotency-Key": "k"}, amount=10, idempotency_key="other")
        assert error_of(differing) == (400, "idempotency_key_conflict")

    @pytest.mark.parametrize("written_out", [{"reason": "requested_by_customer"}, {"note": ""}])
    def test_a_default_that_is_written_out_is_no_other_body(self, paid, refund, written_out):
        payment_id = paid()
        refund(payment_id, {"Idempotency-Key": "k"}, amount=10)
        assert refund(payment_id, {"Idempotency-Key": "k"}, amount=10, **written_out).status_code == 201
        assert Refund.objects.count() == 1

    def test_another_body_is_refused(self, paid, refund):
        payment_id = paid()
        refund(payment_id, {"Idempotency-Key": "k"}, amount=10)
        answer = refund(payment_id, {"Idempotency-Key": "k"}, amount=11)
        assert error_of(answer) == (422, "idempotency_key_reused")
        assert "10" not in answer.json()["error"]["message"]


class TestCancel:
    def test_frees_the_amount_while_the_provider_was_not_asked(self, api, owner, paid, refund, read, work):
        payment_id = paid()
        refund_id = refund(payment_id).json()["refund"]["id"]
        answer = api.post(f"/api/v1/refunds/{refund_id}/cancel", content_type="application/json", headers=owner)
        assert answer.json()["refund"]["status"] == "cancelled"
        work()
        payment = read(payment_id)
        assert (payment["status"], payment["amount_refund_pending"], payment["amount_refunded"]) == ("completed", 0, 0)

    def test_comes_too_late_afterwards(self, api, owner, paid, refund, work):
        refund_id = refund(paid()).json()["refund"]["id"]
        work()
        assert error_of(
            api.post(f"/api/v1/refunds/{refund_id}/cancel", content_type="application/json", headers=owner)
        ) == (409, "illegal_transition")

    def test_waits_for_the_provider(self, api, owner, paid, refund, work, settings):
        payment_id = paid()
        settings.SANDBOX_FAULT = "silent"
        refund_id = refund(payment_id).json()["refund"]["id"]
        work()
        assert error_of(
            api.post(f"/api/v1/refunds/{refund_id}/cancel", content_type="application/json", headers=owner)
        ) == (409, "refund_under_way")


class TestProvider:
    @pytest.mark.parametrize("fault", ["silent", "down", "garbage"])
    def test_that_does_not_answer_is_asked_again_and_pays_once(self, paid, refund, read, work, settings, fault):
        payment_id = paid()
        settings.SANDBOX_FAULT = fault
        refund(payment_id)
        work()
        assert Refund.objects.get().status == "processing"
        assert read(payment_id)["amount_refund_pending"] == 50.00
        settings.SANDBOX_FAULT = ""
        Transaction.objects.filter(kind="refund").update(due_at=Payment.objects.get().created_at)
        work()
        assert read(payment_id)["amount_refunded"] == 50.00
        assert Operation.objects.count() == 1
        assert Charge.objects.get().amount_refunded == 5000

    def test_that_takes_its_time_is_waited_for(self, paid, refund, read, work, settings):
        payment_id = paid("4000000000007726")
        settings.SANDBOX_SETTLE_SECONDS = 60
        refund(payment_id)
        work()
        assert (Refund.objects.get().status, read(payment_id)["amount_refund_pending"]) == ("processing", 50.00)
        Operation.objects.update(due_at=timezone.now())
        work()
        assert (Refund.objects.get().status, read(payment_id)["status"]) == ("succeeded", "refunded")

    def test_that_fails_after_the_fact_gives_the_money_back(self, paid, refund, read, work, time_machine):
        payment_id = paid("4000000000005126")
        refund(payment_id)
        work()
        assert read(payment_id)["status"] == "refunded"
        time_machine.move_to(timezone.now() + timedelta(seconds=10))
        work()
        payment = read(payment_id)
        assert (payment["status"], payment["amount_refunded"]) == ("completed", 0)
        assert Refund.objects.get().status == "failed"
        assert refund(payment_id).status_code == 201

    def test_that_speaks_of_another_amount_is_not_believed(self, paid, refund, read, work, settings):
        payment_id = paid("4000000000007726")
        settings.SANDBOX_SETTLE_SECONDS = 60
        refund(payment_id, amount=10)
        work()
        Operation.objects.update(amount=999)
        Transaction.objects.filter(kind="refund").update(due_at=timezone.now())
        work()
        assert "9.99 USD" in Transaction.objects.get(kind="refund").review_reason
        assert read(payment_id)["amount_refunded"] == 0


class TestSurplus:
    """Money that may not stay goes back by itself."""

    def test_of_a_second_payment_for_an_order(self, api, owner, pay, paid, work, read):
        late = pay(**{**CARD, "card_number": "4000002500003155"}, order_id="o-1").json()["payment"]["id"]
        work()
        first = paid(order_id="o-1")
        decide(charge_id=Charge.objects.get(key=Transaction.objects.get(payment_id=late).pk).pk, approve=True)
        work()
        assert read(first)["status"] == "completed"
        assert (read(late)["status"], read(late)["amount_refunded"]) == ("refunded", 50.00)
        refunds = api.get("/api/v1/refunds", headers=owner).json()["refunds"]
        assert [(it["payment_id"], it["reason"], it["requested_by"]) for it in refunds] == [(late, "duplicate", None)]

    def test_is_given_back_once(self, pay, work):
        payment_id = pay().json()["payment"]["id"]
        payment = Payment.objects.get(pk=payment_id)
        assert return_surplus(payment.pk) == []
        assert not Refund.objects.exists()

    def test_needs_nobodys_approval(self, shop, pay, paid, work):
        shop.refund_approval_limit = 1
        shop.save()
        late = pay(**{**CARD, "card_number": "4000002500003155"}, order_id="o-1").json()["payment"]["id"]
        work()
        paid(order_id="o-1")
        decide(charge_id=Charge.objects.get(key=Transaction.objects.get(payment_id=late).pk).pk, approve=True)
        work()
        assert Payment.objects.get(pk=late).status == "refunded"


class TestList:
    def test_shows_the_merchants_refunds(self, api, owner, paid, refund):
        payment_id = paid()
        first, second = (refund(payment_id, amount=amount).json()["refund"]["id"] for amount in (1, 2))
        answer = api.get("/api/v1/refunds?status=pending", headers=owner)
        assert [it["id"] for it in answer.json()["refunds"]] == [second, first]
        answer = api.get(f"/api/v1/refunds?payment_id={payment_id}&ordering=created", headers=owner)
        assert [it["id"] for it in answer.json()["refunds"]] == [first, second]
        assert api.get(f"/api/v1/refunds/{first}", headers=owner).json()["refund"]["amount"] == 1.00

    @pytest.mark.parametrize("query", ["status=x", "reason=", "payment_id=pay_x", "amount=1", "cursor=after.re_x"])
    def test_refuses_parameters_that_make_no_sense(self, api, owner, query):
        assert api.get(f"/api/v1/refunds?{query}", headers=owner).status_code == 400
