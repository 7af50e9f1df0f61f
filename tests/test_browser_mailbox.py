"""The demo's mailbox in a real Chromium: every mail can be read on a phone and on a desk, light and dark, and its
link works. What was seen is under var/screenshots/."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, Page, expect

from core.mail import Email, queue_email, send_emails
from core.mail_content import render
from core.tests.mail_contexts import CONTEXTS, TO_PAYER
from tests.conftest import DESK, PHONE, photograph

SCHEMES = ("light", "dark")
LONG_NAME = "W" * 200
BRAND = {"from_name": "Northwind Tickets", "reply_to": "help@shop.example.com"}

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(params=[PHONE, DESK], ids=["phone", "desk"])
def window(request, chromium: Browser, live_server) -> Iterator[BrowserContext]:
    """A complaint in its console, a breach of the policy among them, fails the test."""
    complaints: list[str] = []
    opened = chromium.new_context(viewport=request.param, base_url=live_server.url, locale="en")
    opened.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    yield opened
    opened.close()
    assert complaints == []


@pytest.fixture
def send(settings, tmp_path) -> Callable[..., Email]:
    """Sends a mail to the mailbox: one to a payer as a sandbox merchant with a brand does, others as ours."""
    settings.EMAIL_BACKEND = "config.demo_mail.MailboxBackend"
    settings.DEMO_MAIL_DIR = tmp_path

    def to_mailbox(template: str, **changes: str) -> Email:
        context, options = CONTEXTS[template] | changes, {}
        if TO_PAYER.items() <= context.items():
            context, options = context | {"brand_color": "#6d28d9", "sandbox": "yes"}, BRAND
        email = queue_email(template, to="jane@example.com", context=context, **options)
        send_emails()
        return email

    return to_mailbox


def photograph_in_both(page: Page, name: str) -> None:
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        photograph(page, f"{name}-{scheme}")


def fits(part: Page | Frame) -> bool:
    return part.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_every_mail_can_be_read(window, send, request):
    page = window.new_page()
    for template in sorted(CONTEXTS):
        page.goto(f"/demo/mail/{send(template).pk}/html")
        expect(page.get_by_role("heading")).to_be_visible()
        photograph_in_both(page, f"mail-{template}-{request.node.callspec.id}")
        assert fits(page), template


def test_every_mail_fits_whatever_people_are_called(window):
    page = window.new_page()
    for template, context in sorted(CONTEXTS.items()):
        long = {name: LONG_NAME for name in context if name != "url"}
        page.set_content(render(template, context | long, brand=LONG_NAME, language="en").html)
        assert fits(page), template


def test_the_mailbox_leads_to_a_mail(window, send, request):
    send("receipt")
    page = window.new_page()
    page.goto("/demo/mail")
    photograph_in_both(page, f"mailbox-{request.node.callspec.id}")
    page.get_by_role("main").get_by_role("link").first.click()
    page.get_by_role("heading", name="As text").wait_for()
    photograph_in_both(page, f"mailbox-mail-{request.node.callspec.id}")
    expect(page.frames[1].get_by_role("heading")).to_be_visible()
    assert fits(page)
    assert fits(page.frames[1])


def test_a_link_opens_in_a_tab_of_its_own(window, send, live_server):
    page = window.new_page()
    page.goto(f"/demo/mail/{send('verify_email', url=f'{live_server.url}/api/errors').pk}")
    with page.expect_popup() as opened:
        page.frame_locator("iframe").get_by_role("link", name="Confirm the address").click()
    expect(opened.value.get_by_role("heading", level=1)).to_be_visible()
