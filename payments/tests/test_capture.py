"""Authorize now, take the money later, or let it go: by the API."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core.queue import LEASE, run_due
from notifications.models import Event
from payments.models import Payment, Transaction
from payments.providers import OperationResult
from payments.services.authorizations import LAPSE_RETRY, apply_operation
from payments.services.status import AUTHORIZATION_LIFETIME
from sandbox import services as sandbox
from sandbox.models import Charge, Operation
from tests.books import disagreements

JSON = "application/json"
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
FAULTS = ["silent", "down", "garbage"]


@pytest.fixture
def authorized(pay):
    """`authorized(amount=…)` is the id of a payment whose money is reserved."""

    def make(**fields):
        payment_id = pay(**{**CARD, "capture_method": "manual", "amount": 100, **fields}).json()["payment"]["id"]
        run_due()
        return payment_id

    return make


@pytest.fixture
def post(api, owner):
    """`post("capture", payment_id, amount=60)` does it as the shop's owner."""

    def send(verb, payment_id, headers=None, **body):
        path = f"/api/v1/payments/{payment_id}/{verb}"
        return api.post(path, body, headers={**owner, **(headers or {})}, content_type=JSON)

    return send


@pytest.fixture
def capture(post):
    return lambda payment_id, headers=None, **body: post("capture", payment_id, headers, **body)


@pytest.fixture
def cancel(post):
    return lambda payment_id, **body: post("cancel", payment_id, **body)


@pytest.fixture
def read(api, owner):
    return lambda payment_id: api.get(f"/api/v1/payments/{payment_id}", headers=owner).json()["payment"]


def error_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


def shown(answer):
    payment = answer.json()["payment"]
    return answer.status_code, payment["status"], payment["amount_captured"]


def told(payment_id):
    return list(Event.objects.filter(object_id=payment_id).order_by("sequence").values_list("type", flat=True))


def status_and_reason(payment_id):
    """From the row: a log-in does not last as long as an authorization."""
    return Payment.objects.values_list("status", "cancellation_reason").get(pk=payment_id)


def operation():
    return Transaction.objects.get(kind__in=["capture", "void"])


def ask_again():
    Transaction.objects.filter(open_for__isnull=False).update(due_at=timezone.now())
    run_due()


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


class TestVoid:
    def test_releases_the_money(self, authorized, cancel, read):
        payment_id = authorized()
        assert shown(cancel(payment_id)) == (200, "cancelled", 0)
        assert read(payment_id)["cancellation_reason"] == "void"
        assert (Charge.objects.get().status, operation().kind) == ("cancelled", "void")
        assert told(payment_id)[-2:] == ["payment.authorized", "payment.cancelled"]
        assert disagreements() == []

    def test_keeps_the_merchants_reason(self, authorized, cancel, read):
        payment_id = authorized()
        cancel(payment_id, reason="fraudulent")
        assert read(payment_id)["cancellation_reason"] == "fraudulent"

    def test_by_patch_is_the_same(self, api, owner, authorized):
        path = f"/api/v1/payments/{authorized()}"
        answer = api.patch(path, {"status": "cancelled"}, headers=owner, content_type=JSON)
        assert shown(answer) == (200, "cancelled", 0)
        assert answer.json()["payment"]["cancellation_reason"] == "void"
        assert Charge.objects.get().status == "cancelled"

    def test_frees_the_order(self, pay, authorized, cancel):
        cancel(authorized(order_id="order-1"))
        assert pay(order_id="order-1").status_code == 201

    def test_a_second_time_is_refused(self, authorized, cancel):
        payment_id = authorized()
        cancel(payment_id)
        assert error_of(cancel(payment_id)) == (409, "illegal_transition")

    def test_of_a_captured_payment_is_refused(self, authorized, capture, cancel):
        payment_id = authorized()
        capture(payment_id)
        assert error_of(cancel(payment_id)) == (409, "illegal_transition")
        assert Charge.objects.get().status == "succeeded"

    def test_is_not_the_payers_to_ask(self, api, authorized, read):
        payment_id = authorized()
        api.post(f"/pay/{payment_id}/cancel")
        assert (read(payment_id)["status"], Charge.objects.get().status) == ("authorized", "authorized")


@pytest.mark.parametrize(("verb", "status"), [("capture", "completed"), ("cancel", "cancelled")])
class TestProvider:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_that_does_not_answer_is_asked_again_and_does_it_once(
        self, authorized, post, read, settings, fault, verb, status
    ):
        payment_id = authorized()
        settings.SANDBOX_FAULT = fault
        assert post(verb, payment_id).json()["payment"]["status"] == "authorized"
        settings.SANDBOX_FAULT = ""
        for second in ("capture", "cancel"):
            assert error_of(post(second, payment_id)) == (409, "payment_in_flight")
        ask_again()
        assert read(payment_id)["status"] == status
        assert Operation.objects.count() == 1
        assert disagreements() == []

    def test_is_asked_by_the_worker_when_whoever_began_is_gone(
        self, authorized, post, read, monkeypatch, time_machine, verb, status
    ):
        payment_id = authorized()
        for module in ("authorizations", "changes"):
            monkeypatch.setattr(f"payments.services.{module}.run_operation", lambda txn: None)
        assert post(verb, payment_id).json()["payment"]["status"] == "authorized"
        run_due()
        assert read(payment_id)["status"] == "authorized"
        time_machine.move_to(timezone.now() + LEASE + timedelta(seconds=1))
        run_due()
        assert read(payment_id)["status"] == status

    def test_that_has_released_the_money_by_itself_is_believed(self, authorized, post, read, verb, status):
        payment_id = authorized()
        sandbox.void_charge(key="by-the-bank", charge_id=Charge.objects.get().pk)
        post(verb, payment_id)
        payment = read(payment_id)
        assert (payment["status"], payment["cancellation_reason"]) == ("cancelled", "void")
        assert (operation().status, operation().provider_code) == ("failed", "charge_not_authorized")

    def test_that_took_money_unasked_is_left_to_a_person(self, authorized, post, read, verb, status):
        payment_id = authorized()
        sandbox.capture_charge(key="by-hand", charge_id=Charge.objects.get().pk, amount=4000)
        post(verb, payment_id)
        assert (read(payment_id)["status"], read(payment_id)["amount_captured"]) == ("authorized", 0)
        assert "40.00 USD" in operation().review_reason
        assert error_of(post(verb, payment_id)) == (409, "payment_in_flight")

    def test_that_refuses_leaves_the_payment_as_it_was(self, authorized, post, read, monkeypatch, verb, status):
        payment_id = authorized()
        with monkeypatch.context() as patch:
            patch.setattr("sandbox.services.WORK", dict.fromkeys(sandbox.WORK, lambda charge, operation: "declined"))
            post(verb, payment_id)
        payment = read(payment_id)
        assert (payment["status"], payment["cancellation_reason"], payment["failure"]) == ("authorized", None, None)
        assert (operation().failure_code, operation().provider_code) == ("processing_error", "declined")
        assert post(verb, payment_id).json()["payment"]["status"] == status

    def test_that_speaks_of_another_amount_is_not_believed(self, authorized, post, read, settings, verb, status):
        payment_id = authorized()
        settings.SANDBOX_FAULT = "silent"
        post(verb, payment_id)
        settings.SANDBOX_FAULT = ""
        Operation.objects.update(amount=999)
        ask_again()
        assert (read(payment_id)["status"], read(payment_id)["amount_captured"]) == ("authorized", 0)
        assert "9.99 USD" in operation().review_reason


class TestLapse:
    @pytest.fixture
    def in_time(self, time_machine):
        """`in_time(delta)`: that long after the money was reserved, with the worker at work."""

        def move(delta):
            time_machine.move_to(timezone.now() + delta)
            run_due()

        return move

    def test_releases_what_nobody_captured_in_seven_days(self, authorized, in_time):
        payment_id = authorized(order_id="order-1")
        in_time(timedelta(days=6, hours=23))
        assert status_and_reason(payment_id) == ("authorized", "")
        in_time(timedelta(hours=2))
        assert status_and_reason(payment_id) == ("cancelled", "expired")
        assert Charge.objects.get().status == "cancelled"
        assert disagreements() == []

    def test_is_announced_in_expires_at(self, authorized, read):
        before = timezone.now()
        payment_id = authorized()
        expires_at = Payment.objects.get(pk=payment_id).expires_at
        assert before <= expires_at - AUTHORIZATION_LIFETIME <= timezone.now()
        assert read(payment_id)["expires_at"][:16] == expires_at.isoformat()[:16]

    def test_leaves_a_captured_payment_alone(self, authorized, capture, in_time):
        payment_id = authorized()
        capture(payment_id)
        in_time(AUTHORIZATION_LIFETIME * 2)
        assert status_and_reason(payment_id) == ("completed", "")

    def test_waits_for_a_capture_in_flight(self, authorized, capture, settings, in_time):
        payment_id = authorized()
        settings.SANDBOX_FAULT = "silent"
        capture(payment_id)
        in_time(AUTHORIZATION_LIFETIME + timedelta(minutes=1))
        assert Payment.objects.get(pk=payment_id).due_at > timezone.now() + LAPSE_RETRY / 2
        settings.SANDBOX_FAULT = ""
        ask_again()
        assert status_and_reason(payment_id) == ("completed", "")

    def test_is_tried_again_when_the_provider_refuses(self, authorized, monkeypatch, in_time):
        payment_id = authorized()
        with monkeypatch.context() as patch:
            patch.setattr("sandbox.services.WORK", dict.fromkeys(sandbox.WORK, lambda charge, operation: "declined"))
            in_time(AUTHORIZATION_LIFETIME + timedelta(minutes=1))
        assert status_and_reason(payment_id) == ("authorized", "")
        in_time(LAPSE_RETRY + timedelta(minutes=1))
        assert status_and_reason(payment_id) == ("cancelled", "expired")


class TestAnAuthorizationThatComesTooLate:
    def test_is_released_again(self, pay, authorized, cancel, read):
        """The order's other payment has reserved its money while this one was with its bank."""
        late = pay(**{**CARD, "card_number": "4000002500003155"}, capture_method="manual", order_id="o-1")
        run_due()
        first = authorized(order_id="o-1")
        late = late.json()["payment"]["id"]
        late_charge = Charge.objects.get(key=Transaction.objects.get(payment_id=late).pk)
        sandbox.decide(charge_id=late_charge.pk, approve=True)
        run_due()
        late_charge.refresh_from_db()
        assert (read(first)["status"], read(late)["status"]) == ("authorized", "failed")
        assert (late_charge.status, operation().status) == ("cancelled", "succeeded")
        assert read(late)["failure"]["code"] == "order_already_paid"
        assert disagreements() == []


class TestAnswer:
    """What a provider says of a capture that is in flight, whoever brings it."""

    @pytest.fixture
    def txn(self, authorized, capture, settings):
        payment_id = authorized()
        settings.SANDBOX_FAULT = "down"
        capture(payment_id)
        return operation()

    @pytest.fixture
    def say(self, txn):
        def bring(status):
            result = OperationResult(status, txn.pk, "cap_1", txn.charge.provider_reference, txn.money)
            apply_operation(txn.pk, result)
            txn.refresh_from_db()
            return txn.status, txn.payment.status, Payment.objects.get().amount_captured

        return bring

    def test_that_it_is_still_at_work_keeps_it_in_flight(self, txn, say):
        assert say("processing") == ("processing", "authorized", 0)
        assert (txn.open_for, txn.due_at > timezone.now()) == (txn.payment_id, True)

    def test_told_twice_or_taken_back_changes_nothing(self, txn, say):
        say("succeeded")
        for status in ("succeeded", "failed", "processing"):
            assert say(status)[::2] == ("succeeded", 10000)
            assert (txn.open_for, txn.due_at) == (None, None)
        assert told(txn.payment_id).count("payment.completed") == 1
