"""What a merchant changes about a payment: PATCH and cancel."""

import pytest

from core.queue import run_due
from notifications.models import Event
from payments.models import Payment, Transaction

JSON = "application/json"
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2030}
SECURE_CARD = {**CARD, "card_number": "4000002500003155"}


@pytest.fixture
def change(api, owner):
    return lambda payment, **body: api.patch(
        f"/api/v1/payments/{payment['id']}", body, headers=owner, content_type=JSON
    )


@pytest.fixture
def cancel(api, owner):
    return lambda payment, **body: api.post(
        f"/api/v1/payments/{payment['id']}/cancel", body, headers=owner, content_type=JSON
    )


@pytest.fixture
def payment(pay):
    return pay(description="Tickets", metadata={"seat": "14C", "row": "F"}).json()["payment"]


def status_of(payment):
    return Payment.objects.get(pk=payment["id"]).status


class TestTexts:
    def test_are_replaced_and_merged(self, change, payment):
        changed = change(payment, description="Two tickets", metadata={"seat": "15C", "note": "window", "row": None})
        assert changed.status_code == 200
        changed = changed.json()["payment"]
        assert changed["description"] == "Two tickets"
        assert changed["metadata"] == {"seat": "15C", "note": "window"}

    def test_that_are_not_sent_stay(self, change, payment):
        changed = change(payment, description="").json()["payment"]
        assert (changed["description"], changed["metadata"]) == (None, {"seat": "14C", "row": "F"})

    def test_of_a_finished_payment_may_change_too(self, change, payment):
        change(payment, status="failed")
        assert change(payment, description="Kept").json()["payment"]["description"] == "Kept"

    def test_do_not_grow_past_fifty_keys(self, change, payment):
        refused = change(payment, metadata={f"k{number}": "v" for number in range(49)})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "metadata")

    @pytest.mark.parametrize(
        ("body", "code", "param"),
        [
            ({"description": "4242 4242 4242 4242"}, "live_card_refused", "description"),
            ({"metadata": {"note": "card 4242424242424242"}}, "live_card_refused", "metadata"),
            ({"metadata": {"k": 5}}, "parameter_invalid", "metadata"),
            ({"metadata": {"k" * 41: "v"}}, "parameter_invalid", "metadata"),
            ({"metadata": None}, "parameter_missing", "metadata"),
            ({"description": "x" * 501}, "parameter_invalid", "description"),
            ({"amount": 1}, "parameter_unknown", "amount"),
            ({"status": "SUCCESS"}, "parameter_invalid", "status"),
            ({"status": "refunded", "amount_captured": 5}, "parameter_unknown", "amount_captured"),
            ({"cancellation_reason": "duplicate"}, "parameter_invalid", "cancellation_reason"),
            ({"status": "cancelled", "cancellation_reason": "expired"}, "parameter_invalid", "cancellation_reason"),
        ],
    )
    def test_refuse_nonsense_and_change_nothing(self, change, payment, body, code, param):
        before = Payment.objects.values().get(pk=payment["id"])
        error = change(payment, **body).json()["error"]
        assert (error["code"], error["param"] or param) == (code, param)
        assert Payment.objects.values().get(pk=payment["id"]) == before


class TestCancel:
    def test_gives_an_unpaid_payment_up(self, cancel, payment, api, owner):
        answer = cancel(payment)
        assert answer.status_code == 200
        assert (answer.json()["payment"]["status"], answer.json()["payment"]["cancellation_reason"]) == (
            "cancelled",
            "requested_by_customer",
        )
        assert api.get(f"/api/v1/payments/{payment['id']}").json()["payment"]["status"] == "cancelled"

    def test_keeps_the_reason(self, cancel, payment):
        assert cancel(payment, reason="duplicate").json()["payment"]["cancellation_reason"] == "duplicate"

    def test_by_patch_is_the_same(self, change, payment):
        answer = change(payment, status="cancelled", cancellation_reason="fraudulent").json()["payment"]
        assert (answer["status"], answer["cancellation_reason"]) == ("cancelled", "fraudulent")

    @pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
    def test_of_a_finished_payment_is_refused(self, change, cancel, payment, status):
        change(payment, status=status)
        refused = cancel(payment)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "illegal_transition")
        assert status_of(payment) == status

    def test_waits_for_the_provider(self, pay, cancel, settings):
        settings.SANDBOX_SETTLE_SECONDS = 60
        payment = pay(**CARD).json()["payment"]
        run_due()
        refused = cancel(payment)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "payment_in_flight")
        assert status_of(payment) == "processing"

    def test_is_an_event_like_every_change(self, cancel, payment):
        cancel(payment)
        events = Event.objects.filter(object_id=payment["id"]).order_by("sequence")
        assert [event.type for event in events] == ["payment.created", "payment.cancelled"]


class TestInstructions:
    """A sandbox merchant tells the emulated provider what becomes of a payment."""

    @pytest.mark.parametrize("method", [None, "credit_card", "paypal", "bank_transfer", "mobile_money"])
    @pytest.mark.parametrize("status", ["completed", "failed", "requires_action"])
    def test_are_carried_out_at_once(self, pay, change, method, status):
        payment = pay(payment_method=method, customer_phone="+15550100").json()["payment"]
        answer = change(payment, status=status)
        assert answer.status_code == 200
        if (method, status) == ("bank_transfer", "requires_action"):  # to wait for a transfer is to be pending
            status = "pending"
        assert answer.json()["payment"]["status"] == status
        run_due()
        assert status_of(payment) == status

    def test_completed_is_captured_with_a_transaction(self, change, payment):
        answer = change(payment, status="completed").json()["payment"]
        assert answer["amount_captured"] == 50.00
        txn = Transaction.objects.get(payment_id=payment["id"])
        assert (txn.kind, txn.status, txn.amount) == ("sale", "succeeded", 5000)

    def test_authorized_goes_with_manual_capture_only(self, pay, change, payment):
        refused = change(payment, status="authorized")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "illegal_transition")
        manual = pay(capture_method="manual").json()["payment"]
        assert change(manual, status="completed").status_code == 409
        answer = change(manual, status="authorized").json()["payment"]
        assert (answer["status"], answer["amount_captured"]) == ("authorized", 0.00)

    def test_decide_about_a_payer_who_is_at_the_provider(self, pay, change, work):
        payment = pay(**SECURE_CARD).json()["payment"]
        work()
        assert status_of(payment) == "requires_action"
        assert change(payment, status="completed").json()["payment"]["status"] == "completed"

    def test_decide_about_a_charge_that_is_on_its_way(self, pay, change, settings):
        settings.SANDBOX_SETTLE_SECONDS = 60
        payment = pay(**CARD).json()["payment"]
        run_due()
        assert status_of(payment) == "processing"
        assert change(payment, status="failed").json()["payment"]["status"] == "failed"

    def test_send_a_payer_back_though_another_holds_the_order(self, pay, start, attempt, decide, change, settings):
        payment = start(order_id="order-1")
        attempt(payment, method="bank_transfer")
        run_due()
        settings.SANDBOX_SETTLE_SECONDS = 600
        pay(**CARD, order_id="order-1")
        decide(payment, approve=True)
        run_due()
        assert change({"id": payment.pk}, status="requires_action").json()["payment"]["status"] == "pending"
        txn = Transaction.objects.get(payment=payment)
        assert (txn.status, txn.last_error) == ("requires_action", "")

    def test_failed_is_final_and_says_why(self, change, payment):
        answer = change(payment, status="failed").json()["payment"]
        assert answer["failure"]["code"] == "card_declined"
        assert change(payment, status="completed").status_code == 409

    @pytest.mark.parametrize("status", ["pending", "processing", "refunded"])
    def test_do_not_reach_other_statuses(self, change, payment, status):
        refused = change(payment, status=status, description="New")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "illegal_transition")
        kept = Payment.objects.get(pk=payment["id"])
        assert (kept.status, kept.description) == ("pending", "Tickets")

    def test_keep_to_one_success_per_order(self, pay, change):
        first, second = (pay(order_id="order-7").json()["payment"] for _n in range(2))
        assert change(first, status="completed").status_code == 200
        refused = change(second, status="completed")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "order_already_paid")
        assert status_of(second) == "pending"

    @pytest.mark.parametrize("fault", ["silent", "down", "garbage"])
    def test_are_found_out_later_when_the_provider_does_not_answer(self, change, payment, settings, fault):
        settings.SANDBOX_FAULT = fault
        answer = change(payment, status="completed")
        assert answer.status_code == 200
        assert answer.json()["payment"]["status"] == "processing"
        settings.SANDBOX_FAULT = ""
        Transaction.objects.update(due_at=Payment.objects.get(pk=payment["id"]).created_at)
        run_due()
        assert status_of(payment) == "completed"

    def test_are_not_for_live_merchants(self, change, payment, shop):
        shop.mode = "live"
        shop.save()
        Payment.objects.filter(pk=payment["id"]).update(provider="stripe")
        refused = change(payment, status="completed")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "illegal_transition")
