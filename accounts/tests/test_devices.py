"""A log-in from where its owner has not been before: they get a mail, and nobody else can read where they have been."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Device, User
from accounts.services import prune_logins
from accounts.services.logins import KEPT, shown_device
from accounts.services.registration import set_password
from accounts.tests.conftest import ADA, PASSWORD
from core.mail import Email, send_emails

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 Version/19.1 Safari/604.1"


@pytest.fixture
def log_in_from(post, ada):
    """`log_in_from("192.0.2.1", FIREFOX)` logs Ada in, and answers with how many mails that has queued so far."""

    def attempt(address="192.0.2.1", program=FIREFOX, password=PASSWORD):
        post("auth/token", {"User-Agent": program}, address, email=ADA, password=password)
        return Email.objects.filter(template="new_login").count()

    return attempt


@pytest.fixture
def at_home(log_in_from):
    assert log_in_from() == 0


class TestUnconfirmedAddress:
    def test_is_told_of_nothing(self, log_in_from, at_home):
        """It may be that of somebody who has never heard of us, registered by whoever logs in here."""
        User.objects.update(email_verified_at=None)
        assert log_in_from(program=SAFARI) == 0
        set_password(User.objects.get(), "another long enough password")
        assert not Email.objects.exists()

    def test_of_staff_is_told(self, log_in_from, at_home):
        User.objects.update(email_verified_at=None, is_staff=True)
        assert log_in_from(program=SAFARI) == 1


class TestFirstLogIn:
    def test_is_no_news(self, log_in_from):
        assert log_in_from() == 0
        assert Device.objects.count() == 1


@pytest.mark.usefixtures("at_home")
class TestKnownDevice:
    @pytest.mark.parametrize("address", ["192.0.2.1", "192.0.2.254"])
    def test_is_a_neighbour_in_the_same_network(self, log_in_from, address):
        assert log_in_from(address) == 0

    def test_is_the_same_program_in_another_version(self, log_in_from):
        assert log_in_from(program=FIREFOX.replace("140", "141")) == 0

    def test_is_forgotten_when_it_was_not_seen_for_long(self, log_in_from, time_machine):
        log_in_from("198.51.100.1")
        time_machine.move_to(timezone.now() + KEPT - timedelta(hours=1))
        log_in_from("198.51.100.1")
        time_machine.shift(timedelta(hours=2))
        prune_logins()
        assert Device.objects.count() == 1
        assert log_in_from() == 2


@pytest.mark.usefixtures("at_home")
class TestNewDevice:
    @pytest.mark.parametrize(
        ("address", "program"),
        [("192.0.3.1", FIREFOX), ("2001:db8::1", FIREFOX), ("192.0.2.1", SAFARI), ("192.0.2.1", "")],
    )
    def test_is_told_once(self, log_in_from, address, program):
        assert log_in_from(address, program) == 1
        assert log_in_from(address, program) == 1

    def test_of_ipv6_is_a_site(self, log_in_from):
        assert [log_in_from(f"2001:db8:1:{n}::1") for n in range(3)] == [1, 1, 1]
        assert log_in_from("2001:db8:2::1") == 2

    def test_is_described_to_its_owner(self, log_in_from, mailoutbox):
        log_in_from("203.0.113.77", SAFARI)
        send_emails()
        (mail,) = mailoutbox
        assert (mail.to, mail.subject) == ([ADA], "A log-in from a new device")
        for said in ("Hello Ada Lovelace", "Safari, iPhone", "203.0.113.0/24", "change it at once"):
            assert said in mail.body
        assert "203.0.113.77" not in mail.body

    def test_is_not_told_by_a_wrong_password(self, log_in_from):
        assert log_in_from("203.0.113.77", password="a wrong one 77") == 0
        assert Device.objects.count() == 1

    def test_is_told_of_the_back_office_too(self, client):
        User.objects.update(is_staff=True)
        body = {"username": ADA, "password": PASSWORD}
        for program, told in ((FIREFOX, 1), (FIREFOX, 1), (SAFARI, 2)):
            client.post("/admin/login/", body, REMOTE_ADDR="198.51.100.7", headers={"User-Agent": program})
            assert Email.objects.filter(template="new_login").count() == told
            client.post("/admin/logout/")

    @pytest.mark.parametrize("program", ["<script>alert(1)</script>", "x" * 5000, "évil.example/1", "\x7f"])
    def test_of_any_name_is_words(self, log_in_from, mailoutbox, program):
        assert log_in_from(program=program.encode("latin-1").decode("latin-1")) == 1
        send_emails()
        assert "<script" not in mailoutbox[0].alternatives[0].content


@pytest.mark.usefixtures("at_home")
class TestPrivacy:
    def test_keeps_neither_address_nor_program(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM accounts_device")
            row = str(cursor.fetchall())
        for trace in ("192.0.2", "Firefox", "Mozilla"):
            assert trace not in row

    def test_tells_no_two_people_at_one_place(self, post):
        other = User.objects.create_user("bob@example.com", PASSWORD)
        post("auth/token", {"User-Agent": FIREFOX}, email="bob@example.com", password=PASSWORD)
        assert Device.objects.get(user=other).digest != Device.objects.exclude(user=other).get().digest


class TestShownDevice:
    @pytest.mark.parametrize(
        ("program", "shown"),
        [
            (FIREFOX, "Firefox, Linux"),
            (SAFARI, "Safari, iPhone"),
            ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/142.0 Safari/537.36 Edg/142.0", "Edge, Windows"),
            ("Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/142.0 Mobile Safari/537.36", "Chrome, Android"),
            ("curl/8.5.0", "curl"),
            ("", "?"),
        ],
    )
    def test_is_what_people_call_it(self, program, shown):
        assert shown_device(program) == shown
