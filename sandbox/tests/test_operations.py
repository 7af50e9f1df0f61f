"""Captures, voids and refunds."""

import json

import pytest

from sandbox import services
from sandbox.models import Operation

pytestmark = pytest.mark.django_db


@pytest.fixture
def authorized(paid):
    held = paid(capture=False)
    assert (held["status"], held["amount_captured"]) == ("authorized", 0)
    return held["id"]


def now():
    return services.retrieve_charge(key="txn_1")


class TestCapture:
    def test_takes_the_whole_amount(self, authorized):
        answer = services.capture_charge(key="cap_1", charge_id=authorized, amount=5000)
        assert answer == {
            "id": answer["id"],
            "object": "capture",
            "key": "cap_1",
            "charge": authorized,
            "amount": 5000,
            "currency": "USD",
            "status": "succeeded",
            "failure_code": "",
        }
        assert json.loads(json.dumps(answer)) == answer
        assert (now()["status"], now()["amount_captured"]) == ("succeeded", 5000)

    def test_of_a_part_releases_the_rest(self, authorized):
        services.capture_charge(key="cap_1", charge_id=authorized, amount=2000)
        again = services.capture_charge(key="cap_2", charge_id=authorized, amount=3000)
        assert (again["status"], again["failure_code"]) == ("failed", "charge_not_authorized")
        assert now()["amount_captured"] == 2000

    def test_above_the_authorized_amount_fails_and_takes_nothing(self, authorized):
        answer = services.capture_charge(key="cap_1", charge_id=authorized, amount=5001)
        assert (answer["status"], answer["failure_code"]) == ("failed", "amount_too_large")
        assert (now()["status"], now()["amount_captured"]) == ("authorized", 0)

    def test_of_a_charge_captured_at_once_fails(self, paid):
        answer = services.capture_charge(key="cap_1", charge_id=paid()["id"], amount=5000)
        assert answer["failure_code"] == "charge_not_authorized"

    def test_works_after_3ds(self, paid, settle):
        services.decide(charge_id=paid(token="tok_three_d_secure", capture=False)["id"], approve=True)
        settle()
        assert now()["status"] == "authorized"


class TestVoid:
    def test_cancels_the_charge(self, authorized):
        answer = services.void_charge(key="void_1", charge_id=authorized)
        assert (answer["object"], answer["status"], answer["amount"]) == ("void", "succeeded", 5000)
        assert (now()["status"], now()["amount_captured"]) == ("cancelled", 0)

    def test_after_a_capture_fails(self, authorized):
        services.capture_charge(key="cap_1", charge_id=authorized, amount=5000)
        answer = services.void_charge(key="void_1", charge_id=authorized)
        assert (answer["status"], answer["failure_code"]) == ("failed", "charge_not_authorized")
        assert now()["status"] == "succeeded"

    def test_of_a_charge_that_is_still_processing_fails(self, charge):
        answer = services.void_charge(key="void_1", charge_id=charge(capture=False)["id"])
        assert answer["failure_code"] == "charge_not_authorized"


class TestRefund:
    def test_gives_money_back_in_parts_until_nothing_is_left(self, paid):
        charge_id = paid()["id"]
        first = services.create_refund(key="re_1", charge_id=charge_id, amount=2000)
        assert (first["object"], first["status"], now()["amount_refunded"]) == ("refund", "succeeded", 2000)
        services.create_refund(key="re_2", charge_id=charge_id, amount=3000)
        assert now()["amount_refunded"] == 5000
        third = services.create_refund(key="re_3", charge_id=charge_id, amount=1)
        assert (third["status"], third["failure_code"]) == ("failed", "amount_too_large")

    def test_never_exceeds_what_was_captured(self, authorized):
        services.capture_charge(key="cap_1", charge_id=authorized, amount=2000)
        answer = services.create_refund(key="re_1", charge_id=authorized, amount=2001)
        assert (answer["status"], answer["failure_code"]) == ("failed", "amount_too_large")
        assert now()["amount_refunded"] == 0

    @pytest.mark.parametrize("token", ["tok_card_declined", "tok_three_d_secure"])
    def test_of_a_charge_that_was_not_captured_fails(self, paid, token):
        answer = services.create_refund(key="re_1", charge_id=paid(token=token)["id"], amount=1)
        assert (answer["status"], answer["failure_code"]) == ("failed", "charge_not_captured")

    def test_may_be_pending_first_and_counts_already(self, paid, settle):
        charge_id = paid(token="tok_refund_pending")["id"]
        assert services.create_refund(key="re_1", charge_id=charge_id, amount=5000)["status"] == "pending"
        over = services.create_refund(key="re_2", charge_id=charge_id, amount=1)
        assert over["failure_code"] == "amount_too_large"
        settle()
        assert services.retrieve_operation(key="re_1")["status"] == "succeeded"
        assert now()["amount_refunded"] == 5000

    def test_may_fail_later_and_gives_the_amount_back(self, paid, settle, later):
        charge_id = paid(token="tok_refund_fails")["id"]
        assert services.create_refund(key="re_1", charge_id=charge_id, amount=5000)["status"] == "succeeded"
        settle()
        assert services.retrieve_operation(key="re_1")["status"] == "succeeded"
        later()
        failed = services.retrieve_operation(key="re_1")
        assert (failed["status"], failed["failure_code"]) == ("failed", "refund_failed")
        assert now()["amount_refunded"] == 0
        assert services.create_refund(key="re_2", charge_id=charge_id, amount=5000)["status"] == "succeeded"

    @pytest.mark.parametrize("method", ["mobile_money", "paypal", "bank_transfer"])
    def test_of_other_methods_is_pending_first(self, charge, settle, method):
        charge_id = charge(method=method)["id"]
        services.decide(charge_id=charge_id, approve=True)
        settle()
        assert services.create_refund(key="re_1", charge_id=charge_id, amount=1)["status"] == "pending"
        settle()
        assert services.retrieve_operation(key="re_1")["status"] == "succeeded"

    def test_settling_twice_gives_back_once(self, paid):
        services.create_refund(key="re_1", charge_id=paid(token="tok_refund_fails")["id"], amount=3000)
        claimed = Operation.objects.get()
        services.settle_operation(claimed)
        services.settle_operation(claimed)
        assert now()["amount_refunded"] == 0


class TestKey:
    def test_the_same_key_answers_with_the_same_operation(self, paid):
        charge_id = paid()["id"]
        first = services.create_refund(key="re_1", charge_id=charge_id, amount=1000)
        assert services.create_refund(key="re_1", charge_id=charge_id, amount=1000) == first
        assert now()["amount_refunded"] == 1000

    def test_a_failed_operation_stays_failed_under_its_key(self, charge, settle):
        charge_id = charge(capture=False)["id"]
        assert services.capture_charge(key="cap_1", charge_id=charge_id, amount=1)["status"] == "failed"
        settle()
        assert services.capture_charge(key="cap_1", charge_id=charge_id, amount=1)["status"] == "failed"
        assert services.capture_charge(key="cap_2", charge_id=charge_id, amount=1)["status"] == "succeeded"

    def test_another_amount_charge_or_kind_is_refused(self, paid):
        first, second = paid()["id"], paid(key="txn_2")["id"]
        services.create_refund(key="re_1", charge_id=first, amount=1000)
        for call in (
            lambda: services.create_refund(key="re_1", charge_id=first, amount=999),
            lambda: services.create_refund(key="re_1", charge_id=second, amount=1000),
            lambda: services.capture_charge(key="re_1", charge_id=first, amount=1000),
            lambda: services.void_charge(key="re_1", charge_id=first),
        ):
            with pytest.raises(services.SandboxRefused) as refused:
                call()
            assert refused.value.code == "idempotency_error"
        assert Operation.objects.count() == 1

    def test_an_operation_that_was_never_made_is_not_found(self):
        with pytest.raises(services.SandboxNotFound):
            services.retrieve_operation(key="re_1")


class TestRefusals:
    @pytest.mark.parametrize("charge_id", ["ch_01m7xt2s0arrqj7g231der0e2g", "ch_unknown", "ch_\x00", None])
    def test_an_unknown_charge_is_refused(self, charge_id):
        with pytest.raises(services.SandboxRefused) as refused:
            services.create_refund(key="re_1", charge_id=charge_id, amount=1)
        assert refused.value.code == "charge_not_found"

    @pytest.mark.parametrize("amount", [0, -1, True, 1.0, "1", None, 10**30])
    def test_a_bad_amount_is_refused_and_uses_up_no_key(self, paid, amount):
        charge_id = paid()["id"]
        with pytest.raises(services.SandboxRefused) as refused:
            services.create_refund(key="re_1", charge_id=charge_id, amount=amount)
        assert refused.value.code == "amount_invalid"
        assert services.create_refund(key="re_1", charge_id=charge_id, amount=1)["status"] == "succeeded"
