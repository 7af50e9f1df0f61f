"""The mails that events send: to whom, saying what, once, and only if what they tell of has happened."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Merchant, User
from accounts.services import add_member
from core.mail import Email, Reason, Status, send_emails
from core.money import Money
from core.tests.test_mail_content import HOSTILE
from notifications.mails import CUSTOMER, MAILS, TEAM, Payer
from notifications.models import Event
from notifications.services import publish

NUMBER, CVV, KEY = "4242424242424242", "737", "a-key-that-nobody-else-may-know"
CARD = {"card_number": NUMBER, "card_expiry_month": 12, "card_expiry_year": 2040, "card_cvv": CVV}
DECLINED = "4000000000000002"
WORST = [*HOSTILE[:4], *HOSTILE[6:9]]
PAYER = Payer("john@example.com", "John Doe", "TG-7K2M9QX4ZB", "https://pay.example.com/pay/pay_1")
ROLES = ["owner", "admin", "finance", "support", "developer", "viewer"]
MONEY = {"amount": Money(5000, "USD"), "currency": "USD"}
MONEY_ROLES, PAYOUT_ROLES = {"owner", "admin", "finance", "support"}, {"owner", "admin", "finance"}
DUE_BY = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
# What happens, the mail to the team, the roles that get it, and words that it says.
TO_TEAM = [
    ("payment.surplus", {}, "payment_surplus", MONEY_ROLES, ["$50.00", "TG-7K2M9QX4ZB"]),
    ("refund.requires_approval", {"reason": "duplicate"}, "refund_approval", MONEY_ROLES, ["$50.00", "Duplicate"]),
    ("refund.failed", {"failure_code": "account_closed"}, "refund_problem", MONEY_ROLES, ["Account closed"]),
    (
        "dispute.created",
        {"reason": "fraudulent", "stage": "chargeback", "due_by": DUE_BY},
        "dispute_opened",
        MONEY_ROLES,
        ["Fraudulent", "Nov. 30, 2026, 11:59 p.m. UTC", "set aside"],
    ),
    ("dispute.created", {"stage": "inquiry"}, "dispute_opened", MONEY_ROLES, ["No money has been taken yet"]),
    ("dispute.under_review", {}, "dispute_answered", MONEY_ROLES, ["was answered"]),
    ("dispute.due_soon", {"due_by": DUE_BY}, "dispute_due", MONEY_ROLES, ["Nov. 30, 2026"]),
    ("dispute.won", {"status": "won"}, "dispute_closed", MONEY_ROLES, ["You have won", "stays with you"]),
    ("dispute.lost", {"status": "lost"}, "dispute_closed", MONEY_ROLES, ["You have lost", "goes back"]),
    ("dispute.accepted", {"status": "accepted"}, "dispute_closed", MONEY_ROLES, ["was accepted", "goes back"]),
    ("dispute.withdrawn", {"status": "withdrawn"}, "dispute_closed", MONEY_ROLES, ["was withdrawn", "stays with you"]),
    ("payout.paid", {}, "payout_paid", PAYOUT_ROLES, ["$50.00 was paid out"]),
    ("payout.failed", {"failure_code": "account_closed"}, "payout_failed", PAYOUT_ROLES, ["Account closed"]),
    ("payout.held", {}, "payout_held", PAYOUT_ROLES, ["held back"]),
    (
        "webhook_endpoint.disabled",
        {"url": "https://shop.example.com/hooks", "disabled_reason": "gone"},
        "endpoint_disabled",
        {"owner", "admin", "developer"},
        ["https://shop.example.com/hooks", "410 Gone"],
    ),
]


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append(tag)


@pytest.fixture
def tell(shop):
    def publish_one(event_type, payer=PAYER, object_id="pay_1", **data):
        with transaction.atomic():
            return publish(event_type, merchant_id=shop.pk, object_id=object_id, data=MONEY | data, payer=payer)

    return publish_one


@pytest.fixture
def team(shop):
    """Somebody in every role, and an owner who is not active any more."""
    for role in [*ROLES, "gone"]:
        user = User.objects.create(email=f"{role}@shop.example.com", name=role, is_active=role != "gone")
        add_member(shop, user, "owner" if role == "gone" else role)


@pytest.fixture
def received(mailoutbox):
    """The mails that have arrived once the worker has sent what is queued."""

    def after_sending():
        while send_emails():
            pass
        return mailoutbox

    return after_sending


def text_of(mail):
    return mail.body.replace("\u200c", "")


class TestReceipt:
    def test_goes_to_the_payer_in_the_merchants_name(self, shop, pay, work, mailoutbox):
        brand = {"brand_name": "Northwind", "brand_color": "#6d28d9", "support_email": "help@shop.example.com"}
        Merchant.objects.update(**brand)
        payment = pay(**CARD, description="Two concert tickets").json()["payment"]
        work()
        (mail,) = mailoutbox
        assert (mail.to, mail.subject) == (["john@example.com"], "Your receipt from Northwind")
        assert mail.from_email.startswith("Northwind <")
        assert mail.reply_to == ["help@shop.example.com"]
        for said in ("$50.00", payment["reference"], "Two concert tickets", "Visa ···· 4242", "help@shop.example.com"):
            assert said in text_of(mail)
        assert f"{payment['checkout_url']}/receipt" in mail.body
        assert mail.alternatives[0].content.count("background: #6d28d9") == 2

    def test_in_the_sandbox_says_that_no_money_moved(self, shop, tell, received):
        tell("payment.completed")
        Merchant.objects.update(mode="live")
        tell("payment.completed", object_id="pay_2")
        assert ["no real money moved" in text_of(mail) for mail in received()] == [True, False]

    def test_in_the_sandbox_goes_to_nobody_but_the_team(self, shop, team, tell, received, settings):
        settings.DEMO = False  # the demo sends nothing anywhere, so there it may
        User.objects.filter(email="viewer@shop.example.com").update(email_verified_at=timezone.now())
        names = ("john@example.com", "viewer@shop.example.com", "support@shop.example.com")
        for number, email in enumerate(names):
            tell("payment.completed", PAYER._replace(email=email), object_id=f"pay_{number}")
        assert [mail.to for mail in received()] == [["viewer@shop.example.com"]]
        skipped = Email.objects.filter(status=Status.SKIPPED, reason=Reason.STRANGER).order_by("pk")
        assert {email.to for email in skipped} == {"john@example.com", "support@shop.example.com"}
        Merchant.objects.update(mode="live")
        tell("payment.completed", object_id="pay_9")
        assert [mail.to for mail in received()][1:] == [["john@example.com"]]

    def test_says_what_was_taken(self, pay, api, owner, work, mailoutbox):
        payment = pay(**CARD, capture_method="manual").json()["payment"]
        work()
        assert mailoutbox == []
        path = f"/api/v1/payments/{payment['id']}/capture"
        api.post(path, {"amount": 20}, headers=owner, content_type="application/json")
        work()
        assert "$20.00" in text_of(mailoutbox[0])

    def test_speaks_the_payers_language(self, tell, received):
        tell("payment.completed", PAYER._replace(language="fr"), payment_method="bank_transfer")
        (mail,) = received()
        assert mail.subject == "Votre reçu de Acme"
        for said in ("50,00 $US", "Virement bancaire", "2026"):
            assert said in text_of(mail)

    def test_speaks_the_language_of_the_page_where_it_was_paid(self, client, pay, work, mailoutbox):
        payment = pay().json()["payment"]
        form = {"attempt": 0, "method": "credit_card", "card_number": NUMBER, "card_expiry": "12/40", "card_cvc": CVV}
        client.post(f"/pay/{payment['id']}", form, headers={"Accept-Language": "fr-CA"})
        work()
        assert mailoutbox[0].subject == "Votre reçu de Acme"


class TestFailure:
    def test_says_why_in_plain_words(self, pay, work, mailoutbox):
        payment = pay(**CARD | {"card_number": DECLINED}).json()["payment"]
        work()
        (mail,) = mailoutbox
        assert mail.subject == "Your payment did not go through"
        assert "The card was declined." in mail.body
        assert "Nothing was taken." in mail.body
        assert f"{payment['checkout_url']}\n" in mail.body

    def test_is_not_told_while_the_payer_may_try_again(self, client, pay, work, mailoutbox):
        payment = pay().json()["payment"]
        form = {"attempt": 0, "method": "credit_card", "card_number": DECLINED, "card_expiry": "12/40"}
        client.post(f"/pay/{payment['id']}", form | {"card_cvc": CVV})
        work()
        assert Event.objects.filter(type="payment.pending").exists()
        assert mailoutbox == []

    def test_of_a_paid_order_says_that_money_comes_back(self, tell, received):
        tell("payment.failed", failure={"code": "order_already_paid", "message": "This order has been paid already."})
        assert "paid already. If money was taken" in text_of(received()[0])


class TestTeam:
    @pytest.mark.parametrize(("event_type", "data", "template", "roles", "words"), TO_TEAM)
    def test_is_told_by_role(self, tell, team, received, event_type, data, template, roles, words):
        event = tell(event_type, **data)
        rows = Email.objects.filter(event_id=event.pk, template=template)
        assert {row.to.partition("@")[0] for row in rows} == roles
        mails = [mail for mail in received() if mail.to[0].endswith("@shop.example.com")]
        assert len(mails) == len(roles)
        assert mails[0].from_email.startswith("Tillgate <")
        for word in words:
            assert word in text_of(mails[0])

    def test_of_the_sandbox_is_told_at_confirmed_addresses(self, shop, tell, team, received, settings):
        """Whoever registers somebody else's address cannot have us write to it."""
        settings.DEMO = False
        User.objects.filter(email="owner@shop.example.com").update(email_verified_at=timezone.now())
        tell("payout.paid")
        assert [mail.to for mail in received()] == [["owner@shop.example.com"]]
        skipped = Email.objects.filter(status=Status.SKIPPED, reason=Reason.STRANGER)
        assert {email.to for email in skipped} == {"admin@shop.example.com", "finance@shop.example.com"}
        Merchant.objects.update(mode="live")
        tell("payout.paid", object_id="po_2")
        assert len(received()) == 1 + len(PAYOUT_ROLES)

    def test_of_nobody_is_noted(self, tell, shop):
        tell("payout.paid")
        row = Email.objects.get()
        assert (row.status, row.reason, row.to) == (Status.SKIPPED, Reason.NO_ADDRESS, "")

    def test_every_mail_of_the_table_to_the_team_is_tested(self):
        tested = {template for _type, _data, template, _roles, _words in TO_TEAM} | {"payment_received"}
        assert tested == {mail.template for mail in MAILS if mail.audience == TEAM}


class TestOnce:
    @pytest.mark.django_db(transaction=True)
    def test_is_never_when_nothing_happened(self, tell, received):
        with suppress(KeyError), transaction.atomic():
            tell("payment.completed")
            raise KeyError
        assert received() == []
        assert not Email.objects.exists()

    def test_is_kept_by_the_database(self, tell):
        tell("payment.completed")
        with pytest.raises(IntegrityError), transaction.atomic():
            Email.objects.bulk_create([Email(**again) for again in Email.objects.values("event_id", "template", "to")])

    def test_costs_the_merchant_and_one_insert(self, tell, django_assert_num_queries):
        with django_assert_num_queries(7):  # savepoint, sequence, event, endpoints, merchant, mails, release
            tell("payment.completed")

    def test_costs_no_more_for_a_large_team(self, tell, team, django_assert_num_queries):
        with django_assert_num_queries(8):  # the same, and the people
            tell("payout.paid")


class TestHostileWords:
    """core/tests/test_mail_content.py renders every template with them; these go all the way."""

    @pytest.mark.parametrize("event_type", sorted({mail.event_types[0] for mail in MAILS}))
    def test_are_words_in_every_mail(self, tell, team, shop, received, event_type):
        tell(event_type, description="Tickets", reason="x", failure_code="x", url="x", disabled_reason="x")
        friendly = received()[:]
        for number, hostile in enumerate(WORST):
            text = hostile.encode(errors="ignore").decode()  # no half of a surrogate pair gets past the API
            Merchant.objects.update(brand_name=text.replace("\0", ""))
            facts = dict.fromkeys(("description", "reason", "failure_code", "url", "disabled_reason"), text)
            received().clear()
            tell(event_type, Payer("john@example.com", text, text, PAYER.url), f"pay_{number}", **facts)
            for mail, plain in zip(received(), friendly, strict=True):
                assert mail.message().keys() == plain.message().keys()
                tags, plain_tags = (Tags(one.alternatives[0].content).found for one in (mail, plain))
                assert tags.count("a") == plain_tags.count("a")
                assert not {"script", "img"} & set(tags)


class TestSecrets:
    @pytest.mark.parametrize("number", [NUMBER, DECLINED])
    def test_are_in_no_mail(self, pay, owner, work, mailoutbox, number):
        pay(headers={"Idempotency-Key": KEY}, **CARD | {"card_number": number}, metadata={"note": "internal-note"})
        work()
        (mail,) = mailoutbox
        said = " ".join([mail.subject, mail.from_email, mail.body, mail.alternatives[0].content])
        assert not re.search(rf"\b{CVV}\b", said)  # a random id may have these digits in it
        for secret in (number, number[:8], KEY, "internal-note", "tok_visa"):
            assert secret not in said
        assert Email.objects.get(template__in=["receipt", "payment_failed"]).context is None


class TestTable:
    def test_sends_each_template_to_one_audience(self):
        assert len({mail.template for mail in MAILS}) == len(MAILS)
        assert {mail.audience for mail in MAILS} == {CUSTOMER, TEAM}
