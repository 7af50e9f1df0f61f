"""The pages that mailed links lead to in a real Chromium, on a phone and on a desk, light and dark, without JavaScript.

A page that breaks its security policy or logs an error fails its test, and so does one that hangs over the side or has
something too small for a thumb. What was seen is under var/screenshots/.
"""

import json
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import ConsoleMessage, Page, expect

from accounts import services
from accounts.models import Membership, Merchant, User
from core.mail import Email
from tests.conftest import is_complaint

THUMB = 44  # pixels (WCAG 2.5.5)
PASSWORD, NEW = "correct horse 9", "another battery 7"
OWNER, NEWCOMER = "owner@example.com", "new@example.com"
LONG_NAME = "Société d’exploitation des marchés couverts et " + "W" * 80

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(params=["light", "dark"])
def scheme(request) -> str:
    return request.param


@pytest.fixture
def page(chromium, live_server, settings, viewport, scheme) -> Iterator[Page]:
    """A browser window without JavaScript. Whatever it complains about fails the test."""
    settings.SITE_URL = live_server.url
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    complaints: list[str] = []
    window = chromium.new_context(viewport=viewport, color_scheme=scheme, java_script_enabled=False)
    page = window.new_page()
    page.on("console", lambda said: complaints.append(said.text) if is_complaint(said) and not refuses(said) else None)
    yield page
    window.close()
    assert complaints == []


def refuses(message: ConsoleMessage) -> bool:
    """A page that says no (4xx) is an answer."""
    return "with a status of 4" in message.text


@pytest.fixture
def see(page, snap, scheme) -> Callable[[str], None]:
    """Takes a picture, and measures what can be pressed."""

    def look(name: str) -> None:
        snap(page, f"account-{name}-{scheme}")
        pressed = page.locator("button, a.button, .input").all()
        assert [box for box in (control.bounding_box() for control in pressed) if box and box["height"] < THUMB] == []

    return look


@pytest.fixture
def user(db) -> User:
    return User.objects.create_user(OWNER, PASSWORD, name="Olivia")


def mailed(template: str) -> str:
    """The link in the last mail of this kind."""
    return json.loads(Email.objects.filter(template=template).latest("pk").context)["url"]


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def expect_heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", name=text, level=1)).to_be_visible()


class TestVerify:
    @pytest.fixture
    def link(self, page: Page, user: User) -> str:
        services.send_verification(user)
        return mailed("verify_email")

    def test_is_confirmed_by_the_password(self, page, link, see):
        page.goto(link)
        see("verify")
        password = page.get_by_label("Password")
        password.fill("wrong")
        press(page, "Confirm the address")
        expect(password).to_be_focused()
        expect(password).to_have_accessible_description("This is not the password of the account.")
        see("verify-wrong")
        password.fill(PASSWORD)
        password.press("Enter")
        expect_heading(page, "Your address is confirmed")
        see("verified")

    def test_leads_to_a_new_password(self, page, link, see):
        page.goto(link)
        press(page, "Send me a link for a new password")
        expect_heading(page, "Look into your mailbox")
        see("reset-sent")

    def test_says_what_to_do_with_a_link_that_was_cut_in_two(self, page, link, see):
        page.goto(link[:-20])
        expect_heading(page, "This link is not valid")
        see("verify-gone")
        page.get_by_role("link", name="Set a new password").click()
        expect_heading(page, "Set a new password")

    def test_locks_out_who_guesses(self, page, link, see):
        page.goto(link)
        for n in range(settings.AXES_FAILURE_LIMIT):
            page.get_by_label("Password").fill(f"guess {n}")
            press(page, "Confirm the address")
        expect_heading(page, "Too many tries")
        see("locked-out")
        page.get_by_role("link", name="Forgot the password?").click()
        expect_heading(page, "Set a new password")


class TestReset:
    def test_sets_a_password_once(self, page, user, see):
        page.goto(f"{settings.SITE_URL}/account/reset")
        see("ask-for-reset")
        page.get_by_label("Email address").fill(OWNER)
        press(page, "Send me the link")
        expect_heading(page, "Look into your mailbox")
        page.goto(mailed("password_reset"))
        see("reset")
        page.get_by_label("New password").fill("password")
        press(page, "Set the password")
        see("reset-weak")
        page.get_by_label("New password").fill(NEW)
        press(page, "Set the password")
        expect_heading(page, "Your new password is set")
        see("reset-done")
        page.goto(mailed("password_reset"))
        expect_heading(page, "This link is not valid")
        see("reset-gone")


class TestJoin:
    @pytest.fixture
    def link(self, page: Page, shop: Merchant, user: User) -> str:
        user.email_verified_at = timezone.now()
        user.save()
        services.invite_member(shop, by=user, by_role="owner", email=NEWCOMER, role="developer", key=None)
        return mailed("invitation")

    def test_makes_an_account(self, page, link, see):
        page.goto(link)
        see("join-new")
        page.get_by_label("Your name").fill("Nora")
        page.get_by_label("Password").fill("password")
        press(page, "Join")
        expect(page.get_by_label("Your name")).to_have_value("Nora")
        see("join-weak")
        page.get_by_label("Password").fill(NEW)
        press(page, "Join")
        expect_heading(page, "Welcome to the team")
        see("joined")

    def test_is_one_button_for_who_has_an_account(self, page, link, see):
        known = User.objects.create_user(NEWCOMER, PASSWORD, email_verified_at=timezone.now())
        Merchant.objects.update(name=LONG_NAME)
        page.goto(link)
        see("join")
        press(page, "Join")
        expect_heading(page, "Welcome to the team")
        assert Membership.objects.get(email=NEWCOMER).user == known

    def test_says_that_an_invitation_was_withdrawn(self, page, link, see):
        Membership.objects.all().delete()
        page.goto(link)
        expect_heading(page, "This invitation is not valid")
        see("join-gone")
