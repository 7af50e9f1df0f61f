"""The emulated webhooks, and the disputes that they tell of."""

import json
from datetime import datetime

import pytest
from django.db import IntegrityError

from sandbox import services
from sandbox.models import Charge, Dispute, Notice

pytestmark = pytest.mark.django_db


class TestNotices:
    def test_tell_of_every_change_of_a_charge(self, charge, settle, notices):
        started = charge(token="tok_three_d_secure", capture=False)
        settle()
        services.decide(charge_id=started["id"], approve=True)
        settle()
        services.capture_charge(key="cap_1", charge_id=started["id"], amount=5000)
        types = ["requires_action", "processing", "authorized", "succeeded"]
        assert notices() == [(f"charge.{status}", "txn_1") for status in types]

    @pytest.mark.parametrize(
        ("token", "expected"), [("tok_visa", "charge.succeeded"), ("tok_lost_card", "charge.failed")]
    )
    def test_tell_of_the_outcome_with_the_charge_as_it_was(self, paid, token, expected):
        answer = paid(token=token)
        [notice] = services.pending_notices()
        assert notice == {
            "id": notice["id"],
            "kind": "payment",
            "type": expected,
            "key": "txn_1",
            "payload": answer,
            "created_at": notice["created_at"],
        }
        assert json.loads(json.dumps(notice)) == notice
        assert datetime.fromisoformat(notice["created_at"]).tzinfo

    def test_tell_of_a_void(self, paid, notices):
        services.void_charge(key="void_1", charge_id=paid(capture=False)["id"])
        assert notices()[-1] == ("charge.cancelled", "txn_1")

    def test_tell_of_a_refund_under_the_refunds_key(self, paid):
        services.create_refund(key="re_1", charge_id=paid()["id"], amount=1000)
        notice = services.pending_notices()[-1]
        assert (notice["kind"], notice["type"], notice["key"]) == ("refund", "refund.succeeded", "re_1")
        assert notice["payload"] == services.retrieve_operation(key="re_1")

    def test_tell_of_a_pending_refund_when_it_succeeds(self, paid, settle, notices):
        services.create_refund(key="re_1", charge_id=paid(token="tok_refund_pending")["id"], amount=1000)
        assert len(notices()) == 1
        settle()
        assert notices()[1:] == [("refund.succeeded", "re_1")]

    def test_tell_of_a_refund_that_fails_later(self, paid, later, notices):
        services.create_refund(key="re_1", charge_id=paid(token="tok_refund_fails")["id"], amount=1000)
        later()
        assert notices()[1:] == [("refund.succeeded", "re_1"), ("refund.failed", "re_1")]

    def test_do_not_tell_of_what_was_refused(self, paid, notices):
        services.create_refund(key="re_1", charge_id=paid()["id"], amount=9999)
        assert notices() == [("charge.succeeded", "txn_1")]

    def test_come_again_until_they_are_acknowledged(self, paid, notices):
        paid()
        [notice] = services.pending_notices()
        assert services.pending_notices() == [notice]
        services.acknowledge(notice_id=notice["id"])
        services.acknowledge(notice_id=notice["id"])
        services.acknowledge(notice_id="ntf_unknown")
        assert services.pending_notices() == []
        assert Notice.objects.get().delivered_at

    def test_come_in_bounded_numbers(self, paid):
        for number in range(3):
            paid(key=f"txn_{number}")
        assert len(services.pending_notices(limit=2)) == 2

    def test_are_written_in_the_commit_of_the_change_or_the_change_is_not_made(self, charge, monkeypatch):
        def full_disk(**_):
            raise IntegrityError("disk full")

        charge()
        monkeypatch.setattr(Notice.objects, "create", full_disk)
        with pytest.raises(IntegrityError):
            services.settle_charge(Charge.objects.get())
        assert Charge.objects.get().status == "processing"


class TestDisputes:
    @pytest.mark.parametrize(
        ("token", "expected"),
        [
            ("tok_dispute_fraudulent", [("chargeback", "fraudulent", 5001)]),
            ("tok_dispute_not_received", [("chargeback", "product_not_received", 5001)]),
            ("tok_dispute_inquiry", [("inquiry", "general", 5001)]),
            (
                "tok_multiple_disputes",
                [("chargeback", "fraudulent", 2500), ("chargeback", "product_not_received", 2501)],
            ),
        ],
    )
    def test_follow_the_capture_of_a_card_that_disputes(self, paid, later, token, expected):
        charge_id = paid(token=token, amount=5001)["id"]
        assert not Dispute.objects.exists()
        later()
        rows = Dispute.objects.order_by("amount")
        assert [(row.stage, row.reason, row.amount) for row in rows] == expected
        told = [n for n in services.pending_notices() if n["kind"] == "dispute"]
        assert len(told) == len(expected)
        for notice in told:
            assert (notice["type"], notice["key"]) == ("dispute.created", "txn_1")
            payload = notice["payload"]
            assert payload == Dispute.objects.get(pk=payload["id"]).as_dict()
            assert (payload["charge"], payload["key"], payload["currency"]) == (charge_id, "txn_1", "USD")
            assert payload["status"] == "needs_response"

    def test_an_early_fraud_warning_is_a_notice_only(self, paid, later):
        charge_id = paid(token="tok_early_fraud_warning")["id"]
        later()
        assert not Dispute.objects.exists()
        notice = services.pending_notices()[-1]
        assert (notice["kind"], notice["type"]) == ("dispute", "early_fraud_warning.created")
        assert notice["payload"]["charge"] == charge_id

    def test_wait_for_the_capture(self, paid, later):
        charge_id = paid(token="tok_dispute_fraudulent", capture=False)["id"]
        later()
        assert not Dispute.objects.exists()
        services.capture_charge(key="cap_1", charge_id=charge_id, amount=3000)
        later()
        assert Dispute.objects.get().amount == 3000

    def test_leave_a_refunded_charge_alone(self, paid, later):
        charge_id = paid(token="tok_multiple_disputes")["id"]
        services.create_refund(key="re_1", charge_id=charge_id, amount=5000)
        later()
        assert not Dispute.objects.exists()

    def test_are_opened_once(self, paid, later):
        paid(token="tok_dispute_fraudulent")
        claimed = Charge.objects.get()
        services.settle_charge(claimed)
        services.settle_charge(claimed)
        later()
        assert Dispute.objects.count() == 1

    def test_never_follow_any_other_card(self, paid, later):
        paid()
        later()
        assert Charge.objects.get().due_at is None
        assert not Dispute.objects.exists()
