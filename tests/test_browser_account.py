"""The pages that mailed links lead to in a real Chromium, on a phone and on a desk, light and dark, without JavaScript.

A page that breaks its security policy, logs an error or hangs over the side fails its test. What was seen is under
var/screenshots/.
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

SCREENSHOTS = settings.BASE_DIR / "var" / "screenshots"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
PATIENCE_MS = 15_000
PASSWORD, NEW = "correct horse 9", "another battery 7"
OWNER, NEWCOMER = "owner@example.com", "new@example.com"

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(params=[PHONE, DESK], ids=["phone", "desk"])
def viewport(request) -> dict[str, int]:
    return request.param


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
    page.set_default_timeout(PATIENCE_MS)
    page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    yield page
    window.close()
    assert complaints == []


def is_complaint(message: ConsoleMessage) -> bool:
    """Errors and warnings, a policy violation among them; that something was refused (4xx) is an answer."""
    return message.type in ("error", "warning") and "with a status of 4" not in message.text


@pytest.fixture
def snap(page, viewport, scheme) -> Callable[[str], None]:
    """Keeps a picture, and checks what a picture must have: nothing hangs over the side, all is large enough."""

    def take(name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"account-{name}-{scheme}-{viewport['width']}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert (
            page.evaluate(
                "[...document.querySelectorAll('button, a.button, .input')]"
                ".filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"
            )
            == []
        )

    return take


@pytest.fixture
def user(db) -> User:
    return User.objects.create_user(OWNER, PASSWORD, name="Olivia")


def mailed(template: str) -> str:
    """The link in the last mail of this kind."""
    return json.loads(Email.objects.filter(template=template).latest("pk").context)["url"]


def expect_heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", name=text, level=1)).to_be_visible()


class TestVerify:
    def test_is_confirmed_by_the_password(self, page, user, snap):
        services.send_verification(user)
        page.goto(mailed("verify_email"))
        snap("verify")
        password = page.get_by_label("Password")
        password.fill("wrong")
        page.get_by_role("button", name="Confirm the address").click()
        expect(password).to_be_focused()
        expect(password).to_have_accessible_description("This is not the password of the account.")
        snap("verify-wrong")
        password.fill(PASSWORD)
        password.press("Enter")
        expect_heading(page, "Your address is confirmed")
        snap("verified")

    def test_leads_to_a_new_password(self, page, user, snap):
        services.send_verification(user)
        page.goto(mailed("verify_email"))
        page.get_by_role("button", name="Send me a link for a new password").click()
        expect_heading(page, "Look into your mailbox")
        snap("reset-sent")

    def test_link_that_is_cut_in_two(self, page, user, snap):
        services.send_verification(user)
        page.goto(mailed("verify_email")[:-20])
        expect_heading(page, "This link is not valid")
        snap("verify-gone")

    def test_locks_out_who_guesses(self, page, user, snap):
        services.send_verification(user)
        page.goto(mailed("verify_email"))
        for n in range(settings.AXES_FAILURE_LIMIT):
            page.get_by_label("Password").fill(f"guess {n}")
            page.get_by_role("button", name="Confirm the address").click()
        expect_heading(page, "Too many tries")
        snap("locked-out")
        page.get_by_role("link", name="Forgot the password?").click()
        expect_heading(page, "Set a new password")


class TestReset:
    def test_sets_a_password(self, page, user, snap):
        page.goto(f"{settings.SITE_URL}/account/reset")
        snap("ask-for-reset")
        page.get_by_label("Email address").fill(OWNER)
        page.get_by_role("button", name="Send me the link").click()
        expect_heading(page, "Look into your mailbox")
        page.goto(mailed("password_reset"))
        snap("reset")
        page.get_by_label("New password").fill("password")
        page.get_by_role("button", name="Set the password").click()
        snap("reset-weak")
        page.get_by_label("New password").fill(NEW)
        page.get_by_role("button", name="Set the password").click()
        expect_heading(page, "Your new password is set")
        snap("reset-done")
        page.goto(mailed("password_reset"))
        expect_heading(page, "This link is not valid")
        snap("reset-gone")


class TestJoin:
    @pytest.fixture
    def invitation(self, shop: Merchant, user: User) -> str:
        services.invite_member(shop, by=user, by_role="owner", email=NEWCOMER, role="developer", key=None)
        return mailed("invitation")

    def test_makes_an_account(self, page, invitation, snap):
        page.goto(invitation)
        snap("join-new")
        page.get_by_label("Your name").fill("Nora")
        page.get_by_label("New password").fill("password")
        page.get_by_role("button", name="Join").click()
        snap("join-weak")
        page.get_by_label("New password").fill(NEW)
        page.get_by_role("button", name="Join").click()
        expect_heading(page, "Welcome to the team")
        snap("joined")

    def test_is_one_button_for_who_has_an_account(self, page, invitation, snap):
        known = User.objects.create_user(NEWCOMER, PASSWORD, email_verified_at=timezone.now())
        Merchant.objects.update(name="Société d’exploitation des marchés couverts et " + "W" * 80)
        page.goto(invitation)
        snap("join")
        page.get_by_role("button", name="Join").click()
        expect_heading(page, "Welcome to the team")
        assert Membership.objects.get(email=NEWCOMER).user == known

    def test_of_an_invitation_that_was_withdrawn(self, page, invitation, snap):
        Membership.objects.all().delete()
        page.goto(invitation)
        expect_heading(page, "This invitation is not valid")
        snap("join-gone")
