"""Above the merchant's limit a second person looks at a refund."""

import pytest

from accounts.models import ApiKey
from accounts.services import create_key
from payments.models import Transaction
from refunds.models import Refund


def error_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


class TestApproval:
    @pytest.fixture(autouse=True)
    def _limit(self, shop):
        shop.refund_approval_limit = 2000
        shop.save()

    @pytest.fixture
    def decide(self, api):
        return lambda refund_id, verb, headers: api.post(
            f"/api/v1/refunds/{refund_id}/{verb}", content_type="application/json", headers=headers
        )

    def test_up_to_the_limit_takes_nobody(self, paid, refund):
        assert refund(paid(), amount=20).json()["refund"]["status"] == "pending"

    def test_above_it_takes_a_second_person(self, paid, refund, decide, member, read, work):
        payment_id = paid()
        answer = refund(payment_id, amount="20.01").json()
        assert answer["message"] == "Refund requires approval."
        waiting = answer["refund"]
        assert (waiting["status"], waiting["transaction_id"]) == ("requires_approval", None)
        work()
        assert read(payment_id)["amount_refund_pending"] == 20.01
        approved = decide(waiting["id"], "approve", member("finance"))
        assert approved.status_code == 200
        assert approved.json()["refund"]["status"] == "pending"
        work()
        assert read(payment_id)["amount_refunded"] == 20.01

    def test_is_not_for_whoever_asked(self, paid, refund, decide, owner, work):
        waiting = refund(paid(), amount=30).json()["refund"]
        assert error_of(decide(waiting["id"], "approve", owner)) == (403, "approval_not_yours")
        work()
        assert Refund.objects.get().status == "requires_approval"

    def test_is_not_for_whoever_made_the_key_that_asked(self, shop, owner, owner_user, paid, refund, decide, member):
        _key, secret = create_key(shop, by=owner_user, by_role="owner", key=None, name="Shop", scopes=["refunds:write"])
        waiting = refund(paid(), {"Authorization": f"Bearer {secret}"}, amount=30).json()["refund"]
        assert (waiting["status"], waiting["requested_by"]) == ("requires_approval", owner_user.pk)
        assert error_of(decide(waiting["id"], "approve", owner)) == (403, "approval_not_yours")
        assert decide(waiting["id"], "approve", member("finance")).status_code == 200

    def test_is_for_anybody_where_the_keys_maker_is_gone(self, shop, owner, owner_user, paid, refund, decide):
        key, secret = create_key(shop, by=owner_user, by_role="owner", key=None, name="Shop", scopes=["refunds:write"])
        ApiKey.objects.filter(pk=key.pk).update(created_by=None)
        waiting = refund(paid(), {"Authorization": f"Bearer {secret}"}, amount=30).json()["refund"]
        assert waiting["requested_by"] is None
        assert decide(waiting["id"], "approve", owner).status_code == 200

    def test_is_asked_for_parts_that_come_to_more_together(self, paid, refund, work):
        payment_id = paid()
        statuses = []
        for amount in ("10.00", "10.00", "0.01"):
            statuses.append(refund(payment_id, amount=amount).json()["refund"]["status"])
            work()
        assert statuses == ["pending", "pending", "requires_approval"]
        assert refund(paid(), amount=20).json()["refund"]["status"] == "pending"  # another payment

    def test_is_given_once(self, paid, refund, decide, member):
        finance = member("finance")
        waiting = refund(paid(), amount=30).json()["refund"]
        decide(waiting["id"], "approve", finance)
        assert error_of(decide(waiting["id"], "approve", finance)) == (409, "illegal_transition")
        assert Transaction.objects.filter(kind="refund").count() == 1

    def test_may_be_withheld(self, paid, refund, decide, member, read):
        payment_id = paid()
        waiting = refund(payment_id, amount=30).json()["refund"]
        assert decide(waiting["id"], "cancel", member("finance")).json()["refund"]["status"] == "cancelled"
        assert read(payment_id)["amount_refund_pending"] == 0

    def test_is_always_asked_in_another_currency(self, paid, refund):
        payment_id = paid(amount=5, currency="EUR")
        assert refund(payment_id).json()["refund"]["status"] == "requires_approval"
