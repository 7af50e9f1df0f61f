"""Mails in the back office: who got which, never what it said, and a second chance for those that were given up."""

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from accounts.models import User
from accounts.services import support_group
from core.mail import Email, Status, queue_email, send_emails

pytestmark = pytest.mark.django_db

PATH = "/admin/core/email/"
SECRET = "one-time-secret"


@pytest.fixture
def desk(client):
    user = User.objects.create_user("support@example.com", is_staff=True)
    user.groups.add(support_group())
    client.force_login(user)
    return client


@pytest.fixture
def email():
    def make(to="jane@example.com", **changes):
        url = f"https://pay.example.com/{SECRET}"
        made = queue_email("verify_email", to=to, context={"name": "Jane", "url": url})
        Email.objects.filter(pk=made.pk).update(**changes)
        return Email.objects.get(pk=made.pk)

    return make


@pytest.fixture
def given_up(email):
    return lambda **changes: email(status=Status.FAILED, due_at=None, attempts=3, last_error="550 no", **changes)


class TestList:
    def test_shows_who_got_which(self, desk, email):
        email()
        page = desk.get(PATH).content.decode()
        for text in ("jane@example.com", "verify_email", "Queued"):
            assert text in page

    @pytest.mark.parametrize("look", ["id", "address", "address in capitals", "start of the address"])
    def test_finds(self, desk, email, look):
        wanted = email(to="jane@example.com")
        email(to="john@example.com")
        term = {
            "id": wanted.pk.upper(),
            "address": "jane@example.com",
            "address in capitals": "Jane@Example.com",
            "start of the address": "jan",
        }[look]
        assert list(desk.get(PATH, {"q": term}).context["cl"].result_list) == [wanted]

    def test_decrypts_nothing(self, desk, email, settings):
        made = email()
        settings.ENCRYPTION_KEYS = ["Dh0cEgKxUjHbVq4ZC5JcNKTGgnKFpnoXSZbXkqLzGn0="]
        assert desk.get(PATH).status_code == desk.get(f"{PATH}{made.pk}/change/").status_code == 200


class TestSecrecy:
    def test_what_a_mail_says_is_on_no_page(self, desk, email, given_up):
        for made in (email(), given_up()):
            page = desk.get(f"{PATH}{made.pk}/change/").content.decode()
            assert made.to in page
            assert SECRET not in page
            assert "context" not in page.lower().replace("contextmenu", "")

    def test_and_nothing_is_edited(self, desk, email):
        made = email()
        assert desk.post(f"{PATH}{made.pk}/change/", {"to": "thief@example.com"}).status_code == 403
        assert desk.post(f"{PATH}{made.pk}/delete/", {"post": "yes"}).status_code == 403
        assert Email.objects.get().to == "jane@example.com"


class TestSendingAgain:
    def test_from_the_list(self, desk, given_up, mailoutbox):
        first, second = given_up(), given_up(to="john@example.com")
        desk.post(PATH, {"action": "send_these", "_selected_action": [first.pk, second.pk]})
        send_emails()
        assert {sent.to[0] for sent in mailoutbox} == {"jane@example.com", "john@example.com"}
        assert LogEntry.objects.filter(object_id=first.pk).count() == 1

    def test_from_its_page(self, desk, given_up, mailoutbox):
        made = given_up()
        path = f"{PATH}{made.pk}/"
        assert "/send_this/" in desk.get(f"{path}change/").content.decode()
        assert desk.get(f"{path}send_this/").status_code == 200
        assert Email.objects.get().status == Status.FAILED
        assert "HX-Redirect" in desk.post(f"{path}send_this/", {"_form_submitted": "True"})
        send_emails()
        assert len(mailoutbox) == 1

    def test_is_not_offered_for_others(self, desk, email, given_up, mailoutbox):
        sent = email(status=Status.SENT, sent_at=timezone.now(), due_at=None, context=None)
        for made in (sent, given_up(context=None)):
            assert "/send_this/" not in desk.get(f"{PATH}{made.pk}/change/").content.decode()
            assert desk.post(f"{PATH}{made.pk}/send_this/", {"_form_submitted": "True"}).status_code == 403
        answer = desk.post(PATH, {"action": "send_these", "_selected_action": [sent.pk]}, follow=True)
        assert "can be sent again" in answer.content.decode()
        send_emails()
        assert mailoutbox == []

    def test_is_for_staff_who_may_look(self, client, given_up):
        made = given_up()
        client.force_login(User.objects.create_user("new@example.com", is_staff=True))
        assert client.post(f"{PATH}{made.pk}/send_this/", {"_form_submitted": "True"}).status_code == 403
        client.post(PATH, {"action": "send_these", "_selected_action": [made.pk]})
        assert Email.objects.get().status == Status.FAILED
