"""What becomes of a charge: it depends on its token, its method and the payer's decision alone."""

import json

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction
from django.utils import timezone

from core.ids import new_id
from core.state import IllegalTransition, can_move, move_to
from sandbox import services, tasks
from sandbox.cards import CARDS, DISPUTES, FAILURE_MESSAGES
from sandbox.models import Charge

pytestmark = pytest.mark.django_db

OUTCOMES = {
    "tok_visa": ("succeeded", "", ""),
    "tok_mastercard": ("succeeded", "", ""),
    "tok_amex": ("succeeded", "", ""),
    "tok_card_declined": ("failed", "card_declined", "generic_decline"),
    "tok_charge_declined": ("failed", "card_declined", "generic_decline"),
    "tok_insufficient_funds": ("failed", "insufficient_funds", ""),
    "tok_lost_card": ("failed", "card_declined", "lost_card"),
    "tok_stolen_card": ("failed", "card_declined", "stolen_card"),
    "tok_expired_card": ("failed", "expired_card", ""),
    "tok_incorrect_cvc": ("failed", "incorrect_cvc", ""),
    "tok_incorrect_number": ("failed", "incorrect_number", ""),
    "tok_processing_error": ("failed", "processing_error", ""),
    "tok_velocity_exceeded": ("failed", "card_declined", "card_velocity_exceeded"),
    "tok_fraud_blocked": ("failed", "card_declined", "fraudulent"),
    "tok_dispute_fraudulent": ("succeeded", "", ""),
    "tok_dispute_not_received": ("succeeded", "", ""),
    "tok_dispute_inquiry": ("succeeded", "", ""),
    "tok_early_fraud_warning": ("succeeded", "", ""),
    "tok_multiple_disputes": ("succeeded", "", ""),
    "tok_refund_pending": ("succeeded", "", ""),
    "tok_refund_fails": ("succeeded", "", ""),
}
OUTCOMES_3DS = {
    "tok_three_d_secure": ("succeeded", "", ""),
    "tok_three_d_secure_2": ("succeeded", "", ""),
    "tok_three_d_secure_required": ("succeeded", "", ""),
    "tok_three_d_secure_declined": ("failed", "card_declined", "generic_decline"),
    "tok_three_d_secure_insufficient_funds": ("failed", "insufficient_funds", ""),
}


def outcome(key="txn_1"):
    answer = services.retrieve_charge(key=key)
    return answer["status"], answer["failure_code"], answer["decline_code"]


class TestTokens:
    def test_every_token_has_its_outcome_here(self):
        assert set(CARDS) == {*OUTCOMES, *OUTCOMES_3DS}
        assert {card.failure_code for card in CARDS.values()} <= {"", *FAILURE_MESSAGES}
        assert {card.dispute for card in CARDS.values()} <= {"", *DISPUTES}

    @pytest.mark.parametrize(("token", "expected"), OUTCOMES.items())
    def test_a_card_ends_as_its_token_says(self, charge, settle, token, expected):
        assert charge(token=token)["status"] == "processing"
        settle()
        assert outcome() == expected

    @pytest.mark.parametrize(("token", "expected"), OUTCOMES_3DS.items())
    def test_a_3ds_card_asks_the_payer_and_then_ends_as_its_token_says(self, charge, settle, token, expected):
        started = charge(token=token)
        assert (started["status"], started["next_action"]) == ("processing", None)
        settle()
        asked = services.retrieve_charge(key="txn_1")
        assert asked["status"] == "requires_action"
        assert asked["next_action"] == {
            "type": "redirect",
            "url": f"http://testserver/sandbox/charges/{started['id']}",
        }
        services.decide(charge_id=started["id"], approve=True)
        assert outcome()[0] == "processing"
        settle()
        assert outcome() == expected

    @pytest.mark.parametrize("token", OUTCOMES_3DS)
    def test_a_payer_who_declines_3ds_fails_authentication(self, paid, settle, token):
        services.decide(charge_id=paid(token=token)["id"], approve=False)
        settle()
        assert outcome() == ("failed", "authentication_failed", "")

    def test_an_unknown_token_is_refused_and_leaves_nothing(self, charge):
        with pytest.raises(services.SandboxRefused) as refused:
            charge(token="tok_nope")
        assert refused.value.code == "invalid_token"
        assert not Charge.objects.exists()


class TestOtherMethods:
    @pytest.mark.parametrize("method", ["mobile_money", "paypal"])
    def test_a_wallet_waits_for_the_payer_at_once(self, charge, settle, method):
        started = charge(method=method, phone="+233200000000")
        assert started["status"] == "requires_action"
        assert started["next_action"]["type"] == "redirect"
        assert started["card"] is None
        settle()
        assert outcome()[0] == "requires_action"
        services.decide(charge_id=started["id"], approve=True)
        settle()
        assert outcome() == ("succeeded", "", "")

    @pytest.mark.parametrize("method", ["mobile_money", "paypal"])
    def test_a_wallet_that_declines_fails(self, charge, method):
        services.decide(charge_id=charge(method=method)["id"], approve=False)
        assert outcome() == ("failed", "authentication_failed", "")

    def test_a_bank_transfer_says_where_to_send_the_money_always_the_same(self, charge):
        started = charge(method="bank_transfer")
        assert started["status"] == "awaiting_transfer"
        action = started["next_action"]
        assert action["type"] == "bank_transfer"
        assert (action["bank_name"], action["account_name"]) == ("Sandbox Bank", "Demo Store")
        assert len(action["account_number"]) == 10
        assert action["account_number"].isdigit()
        assert action["reference"]
        assert action["url"] == f"http://testserver/sandbox/charges/{started['id']}"
        assert services.retrieve_charge(key="txn_1")["next_action"] == action

    @pytest.mark.parametrize(
        ("approve", "expected"),
        [(True, ("succeeded", "", "")), (False, ("failed", "processing_error", ""))],
    )
    def test_a_bank_transfer_ends_as_the_payer_says(self, charge, settle, approve, expected):
        services.decide(charge_id=charge(method="bank_transfer")["id"], approve=approve)
        settle()
        assert outcome() == expected


class TestAnswer:
    def test_is_plain_json_with_every_field(self, charge):
        started = charge()
        assert json.loads(json.dumps(started)) == started
        assert started == {
            "id": started["id"],
            "object": "charge",
            "key": "txn_1",
            "account": "mer_1",
            "amount": 5000,
            "amount_captured": 0,
            "amount_refunded": 0,
            "currency": "USD",
            "method": "card",
            "status": "processing",
            "failure_code": "",
            "failure_message": "",
            "decline_code": "",
            "next_action": None,
            "card": {"brand": "visa", "last4": "4242"},
        }

    def test_says_in_a_sentence_why_it_failed(self, paid):
        assert paid(token="tok_expired_card")["failure_message"] == "The card has expired."

    def test_a_settled_charge_is_captured_in_full(self, paid):
        assert paid()["amount_captured"] == 5000

    def test_settles_after_its_seconds_and_not_before(self, charge, settle, settings):
        settings.SANDBOX_SETTLE_SECONDS = 60
        charge()
        settle()
        assert outcome()[0] == "processing"
        Charge.objects.update(due_at=timezone.now())
        settle()
        assert outcome()[0] == "succeeded"

    def test_a_key_that_was_never_used_is_not_found(self):
        with pytest.raises(services.SandboxNotFound):
            services.retrieve_charge(key="txn_1")


class TestKey:
    def test_the_same_key_answers_with_the_same_charge_as_it_is_now(self, charge, settle):
        first = charge()
        settle()
        again = charge()
        assert (again["id"], again["status"]) == (first["id"], "succeeded")
        assert Charge.objects.count() == 1

    @pytest.mark.parametrize(
        "other",
        [{"amount": 5001}, {"currency": "EUR"}, {"token": "tok_amex"}, {"account": "mer_2"}, {"capture": False}],
    )
    def test_the_same_key_with_other_terms_is_refused(self, charge, other):
        charge()
        with pytest.raises(services.SandboxRefused) as refused:
            charge(**other)
        assert refused.value.code == "idempotency_error"
        assert Charge.objects.count() == 1

    def test_an_edited_description_is_no_other_request(self, charge):
        assert charge()["id"] == charge(description="Three loaves", account_name="Renamed Store")["id"]

    @pytest.mark.parametrize("key", ["", "with space", "x" * 256, "caf\u00e9", "nul\x00", None])
    def test_a_key_that_cannot_be_one_is_refused(self, charge, key):
        with pytest.raises(services.SandboxRefused) as refused:
            charge(key=key)
        assert refused.value.code == "key_invalid"

    def test_keys_that_differ_in_case_are_two_keys(self, charge):
        assert charge(key="txn_a")["id"] != charge(key="txn_A")["id"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("parameters", "code"),
        [
            ({"amount": 0}, "amount_invalid"),
            ({"amount": -1}, "amount_invalid"),
            ({"amount": True}, "amount_invalid"),
            ({"amount": 50.0}, "amount_invalid"),
            ({"amount": "5000"}, "amount_invalid"),
            ({"amount": 10**30}, "amount_invalid"),
            ({"currency": "usd"}, "currency_invalid"),
            ({"currency": "XAU"}, "currency_invalid"),
            ({"method": "cheque"}, "parameter_invalid"),
            ({"method": "paypal", "token": "tok_visa"}, "parameter_invalid"),
            ({"account": ""}, "parameter_invalid"),
            ({"return_url": "x" * 3000}, "parameter_invalid"),
            ({"capture": None}, "parameter_invalid"),
        ],
    )
    def test_a_bad_request_is_refused_and_uses_up_no_key(self, charge, parameters, code):
        with pytest.raises(services.SandboxRefused) as refused:
            charge(**parameters)
        assert refused.value.code == code
        assert charge()["status"] == "processing"


class TestBooks:
    @pytest.mark.parametrize("start", Charge.Status.values)
    @pytest.mark.parametrize("end", Charge.Status.values)
    def test_a_status_moves_along_its_table_only(self, start, end):
        row = Charge(status=start)
        if can_move(row, end):
            move_to(row, end)
            assert row.status == end
        else:
            with pytest.raises(IllegalTransition):
                move_to(row, end)

    def test_final_statuses_are_final(self):
        assert set(Charge.Status) - set(Charge.TRANSITIONS) == {"succeeded", "failed", "cancelled"}

    @pytest.mark.parametrize(
        "amounts",
        [
            {"amount": 0},
            {"amount_captured": 5001},
            {"amount_captured": 100, "amount_refunded": 101},
            {"amount_refunded": 1},
        ],
    )
    def test_the_database_refuses_impossible_amounts(self, charge, amounts):
        charge()
        with pytest.raises(IntegrityError), transaction.atomic():
            Charge.objects.update(**amounts)

    def test_settling_twice_changes_nothing(self, charge, notices):
        charge()
        claimed = Charge.objects.get()
        services.settle_charge(claimed)
        services.settle_charge(claimed)
        assert outcome()[0] == "succeeded"
        assert notices() == [("charge.succeeded", "txn_1")]

    def test_a_second_decision_changes_nothing(self, charge, notices):
        started = charge(method="paypal")
        assert services.decide(charge_id=started["id"], approve=False)
        assert not services.decide(charge_id=started["id"], approve=True)
        assert outcome()[0] == "failed"
        assert notices() == [("charge.failed", "txn_1")]

    def test_a_decision_about_nothing_does_not_count(self):
        assert not services.decide(charge_id="ch_unknown", approve=True)

    def test_a_settlement_that_crashes_is_tried_again(self, charge, monkeypatch):
        charge()
        with monkeypatch.context() as patch:
            patch.setattr(services, "_tell", lambda *_: (_ for _ in ()).throw(ImproperlyConfigured("boom")))
            tasks.settle()
        row = Charge.objects.get()
        assert (row.status, row.last_error) == ("processing", "ImproperlyConfigured: boom")
        Charge.objects.update(due_at=timezone.now())
        tasks.settle()
        assert outcome()[0] == "succeeded"


@pytest.mark.django_db(transaction=True)
class TestOwnCommits:
    @pytest.mark.parametrize(
        "call",
        [
            lambda: services.capture_charge(key="c", charge_id=new_id("ch"), amount=1),
            lambda: services.decide(charge_id="ch_1", approve=True),
            lambda: services.acknowledge(notice_id="ntf_1"),
        ],
    )
    def test_no_call_may_run_inside_a_callers_transaction(self, call):
        with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
            call()

    def test_no_charge_may_start_inside_a_callers_transaction(self, charge):
        with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
            charge()
        assert not Charge.objects.exists()
