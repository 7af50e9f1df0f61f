"""What payers and the team are told of a refund, from the request to the last news of the bank."""

import pytest
from django.utils import timezone

from accounts.models import Merchant
from core.mail import Email
from payments.models import Payment, Transaction
from refunds.models import Refund
from sandbox.models import Operation

JSON = "application/json"
CARD = {"card_expiry_month": 12, "card_expiry_year": 2030}
AT_ONCE, FAILS_LATER = "4242424242424242", "4000000000005126"


@pytest.fixture
def paid(pay, work, mailoutbox):
    """A payment of 50.00 that went through, its receipt read and gone."""

    def make(number=AT_ONCE):
        payment_id = pay(card_number=number, **CARD).json()["payment"]["id"]
        work()
        mailoutbox.clear()
        return Payment.objects.get(pk=payment_id)

    return make


@pytest.fixture
def refund(api, owner):
    def post(payment, **body):
        path = f"/api/v1/payments/{payment.pk}/refund"
        return api.post(path, body, headers=owner, content_type=JSON).json()["refund"]["id"]

    return post


def read(mailoutbox):
    return [(mail.to[0], mail.subject) for mail in mailoutbox]


class TestRefund:
    def test_that_was_made_is_told_to_the_payer(self, paid, refund, work, mailoutbox):
        payment = paid()
        refund(payment, amount=20)
        work()
        assert read(mailoutbox) == [("john@example.com", "Your refund from Acme")]
        for said in ("$20.00", payment.reference, f"/pay/{payment.pk}"):
            assert said in mailoutbox[0].body

    def test_on_its_way_is_told_where_the_merchant_wants_it(self, paid, refund, work, mailoutbox):
        Merchant.objects.update(email_choices={"refund_started": True})
        refund(paid(), amount=20)
        work()
        assert [subject for _to, subject in read(mailoutbox)] == [
            "Your refund from Acme is on its way",
            "Your refund from Acme",
        ]

    def test_that_the_bank_sends_back_is_told_to_both(self, paid, refund, work, mailoutbox):
        payment = paid(FAILS_LATER)
        refund(payment)
        work()
        mailoutbox.clear()
        Operation.objects.update(due_at=timezone.now())
        work()
        assert sorted(read(mailoutbox)) == [
            ("john@example.com", "Your refund did not reach you"),
            ("owner@shop.example.com", "A refund of $50.00 has failed"),
        ]

    def test_that_failed_late_sends_no_second_receipt(self, paid, refund, work):
        payment = paid(FAILS_LATER)
        refund(payment)
        work()
        assert Payment.objects.get().status == "refunded"
        Operation.objects.update(due_at=timezone.now())
        work()
        assert Payment.objects.get().status == "completed"
        assert Email.objects.filter(template="receipt").count() == 1

    def test_that_waits_is_told_to_those_who_may_approve(self, paid, refund, member, work, mailoutbox):
        Merchant.objects.update(refund_approval_limit=1000)
        member("finance")
        member("developer")
        refund_id = refund(paid(), amount=20, reason="product_not_received")
        work()
        assert sorted(read(mailoutbox)) == [
            ("finance@shop.example.com", "A refund of $20.00 waits for approval"),
            ("owner@shop.example.com", "A refund of $20.00 waits for approval"),
        ]
        assert Refund.objects.get(pk=refund_id).status == "requires_approval"
        assert "Product not received" in mailoutbox[0].body

    def test_of_what_came_twice_says_so(self, paid, work, mailoutbox):
        payment = paid()
        Payment.objects.update(status="cancelled", completed_at=None, surplus_due_at=timezone.now(), order_key=None)
        Transaction.objects.update(is_surplus=True)
        work()
        (mail,) = mailoutbox
        assert mail.to == [payment.customer_email]
        assert "This money came twice, or too late." in mail.body
