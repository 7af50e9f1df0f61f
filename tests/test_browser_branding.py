"""A merchant's colour in a real Chromium: what is computed can be read, by day and by night, on a phone and a desk.

Pictures of all of it are under var/screenshots/. Skipped where no Chromium is installed.
"""

from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from accounts.models import Merchant
from checkout.tests.colours import contrast
from payments.models import Payment
from tests.conftest import is_complaint

READABLE, VISIBLE = 4.5, 3.0  # WCAG 2.2 AA: text; edges of controls and focus rings
WHITE, BLACK, YELLOW, BLUE = "#ffffff", "#000000", "#ffff00", "#1f5eff"
COLOURS = [WHITE, BLACK, YELLOW, BLUE]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def brand(shop) -> Callable[..., None]:
    """Gives the merchant these settings, and a name and an address besides."""

    def change(**fields) -> None:
        known = {"brand_name": "Boulangerie Dupont", "support_email": "help@example.com"}
        Merchant.objects.filter(pk=shop.pk).update(**{**known, **fields})

    return change


@pytest.fixture
def payment(pay) -> Callable[..., Payment]:
    """A payment of 129.99 USD in whatever state the fields make."""

    def start(**fields) -> Payment:
        answer = pay(amount=129.99, description="Two tickets, Saturday evening", order_id="order-1042")
        row = Payment.objects.get(pk=answer.json()["payment"]["id"])
        Payment.objects.filter(pk=row.pk).update(**{"updated_at": timezone.now(), **fields})
        return row

    return start


@pytest.fixture(params=["light", "dark"])
def scheme(request) -> str:
    return request.param


@pytest.fixture
def visit(chromium, server_url, viewport, scheme) -> Iterator[Callable[..., Page]]:
    """Opens a payment's page, or one below it. Whatever the browser complains about fails the test."""
    complaints: list[str] = []
    window = chromium.new_context(viewport=viewport, base_url=server_url, color_scheme=scheme)

    def start(payment: Payment, below: str = "") -> Page:
        page = window.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
        page.goto(f"/pay/{payment.pk}{below}")
        return page

    yield start
    window.close()
    assert complaints == []


def style(element: Locator, name: str) -> str:
    """A computed colour as #rrggbb, when nothing moves any more."""
    channels = element.evaluate(
        """async (element, name) => {
             await Promise.all(document.getAnimations().map(animation => animation.finished));
             return getComputedStyle(element)[name].match(/^rgb\\((\\d+), (\\d+), (\\d+)\\)$/).slice(1).map(Number);
           }""",
        name,
    )
    return "#" + bytes(channels).hex()


def text_contrast(element: Locator) -> float:
    return contrast(style(element, "color"), style(element, "backgroundColor"))


def button(page: Page) -> Locator:
    return page.get_by_role("button", name="Pay $129.99")


@pytest.mark.parametrize("colour", COLOURS)
class TestColour:
    def test_is_the_buttons_and_its_text_can_be_read(self, visit, payment, brand, snap, scheme, colour):
        brand(brand_color=colour)
        page = visit(payment())
        snap(page, f"brand-{colour[1:]}-{scheme}")
        ground = style(page.locator("main"), "backgroundColor")
        assert style(button(page), "backgroundColor") == colour
        assert text_contrast(button(page)) >= READABLE
        assert contrast(style(button(page), "borderTopColor"), ground) >= VISIBLE
        button(page).hover()
        assert style(button(page), "backgroundColor") != colour
        assert text_contrast(button(page)) >= READABLE

    def test_leaves_the_header_readable(self, visit, payment, brand, scheme, colour):
        brand(brand_color=colour)
        page = visit(payment())
        header = page.get_by_role("banner")
        ground = style(header, "backgroundColor")
        assert (ground == colour) == (scheme == "light" or colour == BLACK)
        for text in (page.locator(".summary-amount"), page.locator(".summary-label"), header.locator("dt").first):
            assert contrast(style(text, "color"), ground) >= READABLE
        assert text_contrast(page.locator(".monogram")) >= READABLE

    def test_leaves_a_focus_ring_that_can_be_seen(self, visit, payment, brand, colour):
        brand(brand_color=colour)
        page = visit(payment())
        ground = style(page.locator("main"), "backgroundColor")
        page.get_by_label("Security code").focus()
        assert contrast(style(page.get_by_label("Security code"), "outlineColor"), ground) >= VISIBLE
        page.keyboard.press("Tab")
        expect(button(page)).to_be_focused()
        assert contrast(style(button(page), "outlineColor"), ground) >= VISIBLE

    def test_leaves_links_that_can_be_read(self, visit, payment, brand, snap, scheme, colour):
        brand(brand_color=colour)
        page = visit(payment(status="failed", failure_code="card_declined"))
        snap(page, f"brand-failed-{colour[1:]}-{scheme}")
        link = page.get_by_role("link", name="help@example.com")
        ground = style(page.locator("main"), "backgroundColor")
        assert contrast(style(link, "color"), ground) >= READABLE
        link.hover()
        assert contrast(style(link, "color"), ground) >= READABLE

    def test_is_on_the_receipt(self, visit, payment, brand, snap, scheme, colour):
        brand(brand_color=colour)
        row = payment(status="completed", amount_captured=12999, completed_at=timezone.now(), payment_method="paypal")
        page = visit(row, "/receipt")
        snap(page, f"brand-receipt-{colour[1:]}-{scheme}")
        link = page.get_by_role("link", name="help@example.com")
        assert contrast(style(link, "color"), style(page.locator(".receipt"), "backgroundColor")) >= READABLE
        assert page.title() == f"Receipt {row.reference} · Boulangerie Dupont"


class TestStylesheet:
    def test_is_fetched_once_for_many_pages(self, visit, payment, brand):
        brand(brand_color=BLUE)
        row = payment()
        sizes = [
            visit(row).evaluate(
                """performance.getEntriesByType("resource")
                     .filter(entry => entry.name.includes("/brand/")).map(entry => entry.transferSize)"""
            )
            for _page in range(2)
        ]
        assert len(sizes[0]) == len(sizes[1]) == 1
        assert sizes[0][0] > 0
        assert sizes[1][0] == 0


class TestOneMethod:
    def test_is_open_without_a_choice(self, visit, payment, brand, snap, scheme):
        brand(brand_color=BLUE, payment_methods=["credit_card"])
        page = visit(payment())
        snap(page, f"one-method-{scheme}")
        expect(page.get_by_role("radio")).to_have_count(0)
        page.get_by_text("Test cards", exact=True).click()
        page.get_by_role("button", name="Use 5555 5555 5555 4444").click()
        expect(page.get_by_label("Card number")).to_have_value("5555 5555 5555 4444")
        button(page).click()
        expect(page.get_by_role("heading", name="Confirming your payment")).to_be_visible()

    def test_without_fields_says_what_comes(self, visit, payment, brand, snap, scheme):
        brand(brand_color=BLUE, payment_methods=["bank_transfer"])
        page = visit(payment())
        snap(page, f"one-method-transfer-{scheme}")
        expect(page.get_by_text("You get the account to send the money to.")).to_be_visible()
