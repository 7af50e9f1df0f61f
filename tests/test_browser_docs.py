"""The API's documentation in a real Chromium: it draws, it sends a request, and nothing leaves this machine."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def read(chromium, live_server) -> Iterator[Callable[[str], Page]]:
    """Opens a page; a complaint in its console, or a request to anywhere else, fails the test."""
    complaints: list[str] = []
    window = chromium.new_context(viewport={"width": 1280, "height": 900})

    def start(path: str) -> Page:
        page = window.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("request", lambda request: complaints.append(request.url) if leaves(request.url) else None)
        page.goto(live_server.url + path, wait_until="networkidle")
        return page

    yield start
    window.close()
    assert complaints == []


def leaves(url: str) -> bool:
    return not url.startswith(("data:", "blob:")) and urlsplit(url).hostname not in ("localhost", "127.0.0.1")


class TestSwagger:
    def test_sends_a_request(self, read, shop):
        page = read("/api/docs")
        operation = page.locator("#operations-Payments-createPayment")
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Execute").click()
        answer = operation.locator(".live-responses-table")
        expect(answer.locator(".response-col_status").last).to_contain_text("201")
        expect(answer).to_contain_text("checkout_url")
        expect(answer).to_contain_text("request-id")

    def test_shows_every_operation(self, read, client):
        paths = client.get("/api/schema").json()["paths"].values()
        operations = [method for path in paths for method in path]
        expect(read("/api/docs").locator(".opblock")).to_have_count(len(operations))


class TestRedoc:
    def test_shows_the_api(self, read):
        page = read("/api/redoc")
        expect(page.get_by_role("heading", name="Start a payment")).to_be_visible()
        expect(page.get_by_text("idempotency_key_reused").first).to_be_attached()

    def test_finds_what_is_searched_for(self, read):
        page = read("/api/redoc")
        page.get_by_placeholder("Search").press_sequentially("readiness")
        expect(page.get_by_role("menuitem", name="Does everything it needs answer?").first).to_be_visible()


class TestErrors:
    def test_leads_to_its_code(self, read):
        page = read("/api/errors#amount_precision")
        expect(page.locator("#amount_precision")).to_be_in_viewport()
