"""The signature debugger in a real Chromium, on a phone and on a desk, light and dark, without JavaScript.

A page that breaks its security policy or logs an error fails its test, and so does one that hangs over the side or has
something too small for a thumb. What was seen is under var/screenshots/.
"""

import re
from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from notifications.signatures import new_secret, signed_headers
from tests.conftest import is_complaint

THUMB = 44  # pixels (WCAG 2.5.5)
BODY = '{"id":"evt_01m7xt2s0arrqj7g231der0e2g","type":"payment.completed","data":{"amount":50.00,"name":"Zoë"}}'

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(params=["light", "dark"])
def scheme(request) -> str:
    return request.param


@pytest.fixture
def visit(chromium, live_server, viewport, scheme) -> Iterator[Callable[..., Page]]:
    """Opens the debugger without JavaScript. Whatever the browser complains about fails the test."""
    complaints: list[str] = []
    windows = []

    def start(locale: str = "en") -> Page:
        options = {"viewport": viewport, "color_scheme": scheme, "locale": locale, "java_script_enabled": False}
        windows.append(chromium.new_context(**options))
        page = windows[-1].new_page()
        page.on("console", lambda said: complaints.append(said.text) if is_complaint(said) else None)
        page.goto(f"{live_server.url}/webhooks/debugger")
        return page

    yield start
    for window in windows:
        window.close()
    assert complaints == []


@pytest.fixture
def see(snap, scheme) -> Callable[[Page, str], None]:
    """Takes a picture, and measures what can be pressed."""

    def look(page: Page, name: str) -> None:
        snap(page, f"debugger-{name}-{scheme}")
        pressed = page.locator("button, a.button, .input").all()
        assert [box for box in (control.bounding_box() for control in pressed) if box and box["height"] < THUMB] == []

    return look


@pytest.fixture
def secret() -> str:
    return new_secret()


@pytest.fixture
def paste(secret) -> Callable[..., None]:
    """Fills the form with a good message, or with something changed, and sends it."""

    def fill(page: Page, body: str = BODY, secret: str = secret, age: int = 0, button: str = "Find the step") -> None:
        timestamp = int(timezone.now().timestamp()) - age
        headers = signed_headers([fill.secret], message_id="evt_1", timestamp=timestamp, body=BODY.encode())
        page.locator("#id_headers").fill("\n".join(f"{name}: {value}" for name, value in headers.items()))
        page.locator("#id_body").fill(body)
        page.locator("#id_secret").fill(secret)
        page.get_by_role("button", name=button).click()

    fill.secret = secret
    return fill


class TestDebugger:
    def test_verifies_a_message(self, visit, paste, see):
        page = visit()
        assert page.get_by_label("Body").get_attribute("placeholder") == '{"id":"evt_01…","type":"payment.completed",…}'
        see(page, "empty")
        paste(page)
        verdict = page.get_by_role("heading", name="It verifies")
        expect(verdict).to_be_focused()
        expect(page.get_by_label("Body")).to_have_value(BODY)
        expect(page.get_by_label("Secret")).to_have_value("")
        see(page, "verified")

    def test_names_the_step_that_differs(self, visit, paste, see):
        page = visit()
        paste(page, body=BODY.replace("50.00", "50"))
        expect(page.get_by_role("heading", name="It does not verify")).to_be_in_viewport()
        failed = page.get_by_role("listitem").filter(has_text="Failed:")
        expect(failed).to_have_count(1)
        expect(failed).to_contain_text("neither this body nor this secret")
        see(page, "failed")

    def test_knows_an_old_message(self, visit, paste, see):
        page = visit()
        paste(page, age=86_400)
        expect(page.get_by_role("heading", name="but it is not fresh")).to_be_visible()
        see(page, "old")

    def test_says_what_is_missing(self, visit, see):
        page = visit()
        for field in page.locator(".input").all():
            field.fill(" ")  # the browser takes it for filled in
        page.get_by_role("button", name="Find the step").click()
        expect(page.get_by_label("Secret")).to_have_accessible_description(re.compile("^Paste the endpoint's secret."))
        see(page, "missing")

    def test_speaks_french(self, visit, paste, see):
        page = visit("fr")
        paste(page, secret="whsec_abc", button="Trouver l’étape")
        expect(page.get_by_role("heading", name="La vérification échoue")).to_be_visible()
        see(page, "french")
