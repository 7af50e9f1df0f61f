"""The demo's mailbox in a real Chromium: every mail can be read on a phone and on a desk, light and dark, and its
link works. What was seen is under var/screenshots/."""

from collections.abc import Callable, Iterator

import pytest
from django.conf import settings as django_settings
from playwright.sync_api import BrowserContext, Page, expect

from core.mail import queue_email, send_emails
from core.tests.mail_contexts import CONTEXTS

SCREENSHOTS = django_settings.BASE_DIR / "var" / "screenshots"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
PATIENCE_MS = 8_000
LONG_NAME = "W" * 200

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(
    params=[(PHONE, "light"), (PHONE, "dark"), (DESK, "light"), (DESK, "dark")],
    ids=["phone-light", "phone-dark", "desk-light", "desk-dark"],
)
def window(request, chromium, live_server) -> Iterator[BrowserContext]:
    """A complaint in its console, a breach of the policy among them, fails the test."""
    viewport, scheme = request.param
    complaints: list[str] = []
    opened = chromium.new_context(viewport=viewport, color_scheme=scheme, base_url=live_server.url, locale="en")
    opened.set_default_timeout(PATIENCE_MS)
    opened.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    yield opened
    opened.close()
    assert complaints == []


@pytest.fixture
def receive(settings, tmp_path, window, live_server, request) -> Callable[..., Page]:
    """Sends a mail, and opens it from the mailbox."""
    settings.EMAIL_BACKEND = "config.demo_mail.MailboxBackend"
    settings.DEMO_MAIL_DIR = tmp_path

    def start(template: str, **changes: str) -> Page:
        context = CONTEXTS[template] | {name: value for name, value in changes.items() if name in CONTEXTS[template]}
        queue_email(template, to="jane@example.com", context=context)
        send_emails()
        page = window.new_page()
        page.goto("/demo/mail")
        page.get_by_role("main").get_by_role("link").first.click()
        page.get_by_role("heading", name="As text").wait_for()
        page.screenshot(path=SCREENSHOTS / f"mail-{template}-{request.node.callspec.id}.png", full_page=True)
        return page

    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return start


def test_every_mail_fits_its_window(receive):
    for template in sorted(CONTEXTS):
        page = receive(template, name=LONG_NAME, merchant=LONG_NAME, inviter=LONG_NAME)
        frame = page.frames[1]
        expect(frame.get_by_role("heading")).to_be_visible()
        for part in (page, frame):
            assert part.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_link_opens_in_a_tab_of_its_own(receive, live_server):
    page = receive("verify_email", url=f"{live_server.url}/api/errors")
    with page.expect_popup() as opened:
        page.frame_locator("iframe").get_by_role("link", name="Confirm the address").click()
    expect(opened.value.get_by_role("heading", level=1)).to_be_visible()
