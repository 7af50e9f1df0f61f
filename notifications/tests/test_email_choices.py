"""Which mails a merchant has sent, and the log of what became of them, by API."""

import pytest
from django.db import transaction

from accounts.models import Merchant
from core.ids import new_id
from core.mail import Email, Status, queue_email, send_emails
from core.money import Money
from core.tests.conftest import server  # noqa: F401
from core.tests.mail_contexts import CONTEXTS
from core.tests.mail_server import MailServer
from notifications.mails import MAILS, Payer
from notifications.services import publish

JSON = "application/json"
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
PAYER = Payer("john@example.com", "John Doe", "TG-7K2M9QX4ZB", "https://pay.example.com/pay/pay_1")
DEFAULTS = {mail.template: mail.default for mail in MAILS}


@pytest.fixture
def ask(api, owner):
    """`ask("emails?status=sent")` as the shop's owner."""
    return lambda path, headers=owner: api.get(f"/api/v1/{path}", headers=headers)


@pytest.fixture
def choose(api, owner):
    def patch(headers=owner, **choices):
        return api.patch("/api/v1/merchant/emails", choices, headers=headers, content_type=JSON)

    return patch


@pytest.fixture
def log(ask):
    """`log()` is what the merchant's log says of its mails, the newest first, without the times."""
    return lambda query="": ask(f"emails?{query}").json()["emails"]


@pytest.fixture
def tell(shop):
    def publish_one(event_type):
        with transaction.atomic():
            data = {"amount": Money(5000, "USD")}
            publish(event_type, merchant_id=shop.pk, object_id=new_id("pay"), data=data, payer=PAYER)

    return publish_one


def enabled(answer):
    return {mail["template"]: mail["enabled"] for mail in answer.json()["email_choices"]["emails"]}


class TestChoices:
    def test_are_shown_with_what_each_mail_is(self, ask):
        answer = ask("merchant/emails")
        assert enabled(answer) == DEFAULTS
        receipt = answer.json()["email_choices"]["emails"][0]
        assert receipt == {
            "template": "receipt",
            "audience": "customer",
            "event_types": ["payment.completed"],
            "description": "A payment has succeeded",
            "enabled": True,
        }

    def test_change_one_by_one(self, ask, choose):
        answer = choose(receipt=False, payment_received=True)
        assert (
            enabled(answer)
            == enabled(ask("merchant/emails"))
            == DEFAULTS | {"receipt": False, "payment_received": True}
        )
        choose(receipt=True)
        assert enabled(ask("merchant/emails")) == DEFAULTS | {"payment_received": True}

    def test_that_are_the_default_are_not_kept(self, choose, shop):
        choose(receipt=True, payout_paid=False)
        choose(payout_paid=True)
        shop.refresh_from_db()
        assert shop.email_choices == {}

    @pytest.mark.parametrize("template", ["password_changed", "new_login", "new_api_key", "invitation", "nonsense"])
    def test_do_not_reach_what_keeps_an_account_safe(self, choose, template):
        answer = choose(**{template: False})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "parameter_unknown")

    @pytest.mark.parametrize("value", ["false", 0, None, [], {}])
    def test_are_true_or_false(self, choose, value):
        assert choose(receipt=value).status_code == 400

    def test_are_made_by_whoever_changes_settings(self, choose, ask, member):
        finance = member("finance")
        assert ask("merchant/emails", finance).status_code == 200
        assert choose(finance, receipt=False).status_code == 403


class TestSwitchedOff:
    def test_sends_nothing_and_says_so_in_the_log(self, choose, pay, work, log, mailoutbox):
        choose(receipt=False)
        pay(**CARD)
        work()
        assert mailoutbox == []
        (line,) = log()
        assert (line["template"], line["to"], line["status"]) == ("receipt", "john@example.com", "skipped")
        assert (line["reason"], line["sent_at"]) == ("switched_off", None)

    def test_for_a_team_is_one_line(self, choose, tell, log, member):
        member("finance")
        choose(payout_paid=False)
        tell("payout.paid")
        assert [(line["template"], line["to"], line["reason"]) for line in log()] == [
            ("payout_paid", None, "switched_off")
        ]

    def test_that_nobody_chose_leaves_no_line(self, tell, log):
        tell("payment.completed")
        assert [line["template"] for line in log()] == ["receipt"]

    def test_that_was_chosen_on_is_sent(self, choose, tell, log):
        choose(payment_received=True)
        tell("payment.completed")
        assert {(line["template"], line["to"]) for line in log()} == {
            ("receipt", "john@example.com"),
            ("payment_received", "owner@shop.example.com"),
        }

    def test_is_what_a_closed_merchant_is(self, tell, log, shop):
        Merchant.objects.filter(pk=shop.pk).update(status=Merchant.Status.CLOSED)
        tell("refund.succeeded")
        assert [line["reason"] for line in log()] == ["merchant_closed"]


class TestLog:
    def test_says_what_went_to_whom_and_when(self, pay, work, log, ask):
        pay(**CARD)
        work()
        (line,) = log()
        assert (line["template"], line["to"], line["status"], line["reason"]) == (
            "receipt",
            "john@example.com",
            "sent",
            None,
        )
        assert line["sent_at"] >= line["created_at"]
        assert ask(f"events/{line['event_id']}").json()["event"]["type"] == "payment.completed"

    def test_never_says_what_a_mail_said(self, pay, work, ask):
        reference = pay(**CARD).json()["payment"]["reference"]
        work()
        assert reference not in ask("emails").content.decode()
        assert "context" not in ask("emails").content.decode()

    def test_says_why_the_server_refused(self, server: MailServer, tell, log):  # noqa: F811
        server.replies["rcpt"] = "550 No such user"
        tell("refund.succeeded")
        send_emails()
        (line,) = log()
        assert (line["status"], line["reason"]) == ("failed", "refused")
        assert "No such user" in line["answer"]

    def test_keeps_the_operators_troubles_to_itself(self, server: MailServer, tell, log):  # noqa: F811
        server.replies["rcpt"] = "451 Our disk is full"
        tell("refund.succeeded")
        send_emails()
        (line,) = log()
        assert (line["status"], line["reason"], line["answer"]) == ("queued", None, None)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("", ["refund_succeeded", "receipt"]),
            ("template=receipt", ["receipt"]),
            ("to=John@Example.com", ["refund_succeeded", "receipt"]),
            ("to=jane@example.com", []),
            ("status=queued", ["refund_succeeded"]),
            ("status=sent", ["receipt"]),
            ("created_before=2020-01-01", []),
            ("ordering=created", ["receipt", "refund_succeeded"]),
        ],
    )
    def test_is_filtered(self, tell, log, query, found):
        tell("payment.completed")
        send_emails()
        tell("refund.succeeded")
        assert [line["template"] for line in log(query)] == found

    @pytest.mark.parametrize("query", ["status=lost", "template=love_letter", "to=nobody", "subject=x", "cursor=x"])
    def test_refuses_parameters_that_make_no_sense(self, ask, query):
        assert ask(f"emails?{query}").status_code == 400

    def test_has_nothing_of_a_person(self, log, owner_user):
        queue_email("password_changed", to=owner_user.email, context=CONTEXTS["password_changed"])
        assert log() == []

    def test_goes_on_page_by_page(self, tell, ask):
        for _again in range(3):
            tell("payment.completed")
        page = ask("emails?page_size=2").json()
        assert len(page["emails"]) == 2
        assert page["next"]

    def test_is_of_all_statuses_that_there_are(self, shop, ask):
        for status in Status:
            assert ask(f"emails?status={status}").status_code == 200
        assert not Email.objects.exists()
