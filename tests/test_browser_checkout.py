"""Paying in a real Chromium, on a phone and on a desk, light and dark, with JavaScript and without.

A page that breaks its security policy, logs an error or misses a file fails its test. What was seen is under
var/screenshots/. Skipped where no Chromium is installed.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from django.db import connections
from playwright.sync_api import BrowserContext, Page, expect

from core import queue
from payments.models import Payment
from tests.conftest import UNPROCESSABLE, is_complaint

WORKER_PAUSE_SECONDS = 0.1

VISA, MASTERCARD = "4242424242424242", "5555555555554444"
DECLINED, THREE_D_SECURE = "4000000000000002", "4000002500003155"

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


# --- The product and the browser --------------------------------------------------------------
@pytest.fixture
def site(chromium, live_server, settings) -> Iterator[str]:
    """The product, served on a port of this machine, with a worker beside it."""
    settings.SITE_URL = live_server.url
    stop = threading.Event()
    worker = threading.Thread(target=_work, args=[stop])
    worker.start()
    yield live_server.url
    stop.set()
    worker.join()


def _work(stop: threading.Event) -> None:
    while not stop.wait(WORKER_PAUSE_SECONDS):
        queue.run_due()
    connections.close_all()


@pytest.fixture
def visit(chromium, site, viewport, request) -> Iterator[Callable[..., Page]]:
    """A fresh browser window on a new payment's page. Whatever it complains about fails the test."""
    complaints: list[str] = []
    windows: list[BrowserContext] = []

    def start(payment: Payment, **options) -> Page:
        windows.append(chromium.new_context(viewport=viewport, base_url=site, **options))
        page = windows[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
        page.goto(f"/pay/{payment.pk}")
        return page

    yield start
    for window in windows:
        window.close()
    assert complaints == []


@pytest.fixture
def payment(site, pay) -> Callable[..., Payment]:
    """Starts a payment of 129.99 USD, unless told otherwise."""

    def start(**fields) -> Payment:
        shown = {"amount": 129.99, "description": "Two tickets, Saturday evening", "order_id": "order-1042"}
        answer = pay(**{**shown, "return_url": "https://shop.example.com/done", **fields})
        return Payment.objects.get(pk=answer.json()["payment"]["id"])

    return start


# --- What a payer does ------------------------------------------------------------------------
def pay_by_card(page: Page, number: str) -> None:
    page.get_by_label("Card number").press_sequentially(number)
    page.get_by_label("Expiry").press_sequentially("1240")
    page.get_by_label("Security code").press_sequentially("123")
    press_pay(page)


def press_pay(page: Page) -> None:
    page.get_by_role("button", name=re.compile(r"^Pay \$")).click()


def choose(page: Page, method: str) -> None:
    page.get_by_text(method, exact=True).click()


def expect_heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", name=text, level=1)).to_be_visible()


class TestCard:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_is_paid_and_ends_in_a_receipt(self, visit, payment, snap, scheme):
        row = payment()
        page = visit(row, color_scheme=scheme)
        snap(page, f"form-{scheme}")
        pay_by_card(page, VISA)
        expect_heading(page, "Payment complete")
        snap(page, f"completed-{scheme}")
        assert page.title() == "Payment complete · Acme"
        link = page.get_by_role("link", name="Return to Acme")
        expect(link).to_have_attribute("href", f"https://shop.example.com/done?payment_id={row.pk}&status=completed")
        page.get_by_role("link", name="Receipt").click()
        expect_heading(page, "Receipt")
        snap(page, f"receipt-{scheme}")

    def test_is_grouped_while_it_is_typed(self, visit, payment):
        page = visit(payment())
        number, expiry = page.get_by_label("Card number"), page.get_by_label("Expiry")
        number.press_sequentially("378282246310005")
        expect(number).to_have_value("3782 822463 10005")
        number.press("Home")
        number.press("Delete")
        number.press_sequentially("3")
        expect(number).to_have_value("3782 822463 10005")
        expiry.press_sequentially("830")
        expect(expiry).to_have_value("08 / 30")

    def test_from_the_list_of_test_cards_fills_the_form(self, visit, payment, snap):
        page = visit(payment())
        page.get_by_text("Test cards", exact=True).click()
        snap(page, "test-cards")
        page.get_by_role("button", name="Use 5555 5555 5555 4444").click()
        press_pay(page)
        expect_heading(page, "Payment complete")

    def test_that_is_declined_may_be_tried_again(self, visit, payment, snap):
        page = visit(payment())
        pay_by_card(page, DECLINED)
        expect(page.get_by_role("alert")).to_contain_text("The card was declined.")
        snap(page, "declined")
        assert page.evaluate("document.activeElement.getAttribute('role')") == "alert"
        expect(page.get_by_label("Card number")).to_have_value("")
        pay_by_card(page, MASTERCARD)
        expect_heading(page, "Payment complete")

    def test_with_mistakes_shows_them_beside_their_fields(self, visit, payment, snap):
        page = visit(payment())
        page.get_by_label("Expiry").press_sequentially("0120")
        with page.expect_response(lambda answer: answer.request.method == "POST") as posted:
            press_pay(page)
        assert posted.value.status == UNPROCESSABLE
        snap(page, "mistakes")
        page.get_by_role("link", name="Enter the card number.").click()
        expect(page.get_by_label("Card number")).to_be_focused()
        expect(page.get_by_label("Card number")).to_have_accessible_description("Enter the card number.")

    @pytest.mark.parametrize(
        ("decision", "heading"), [("Yes, confirm the payment", "Payment complete"), ("No, stop it", None)]
    )
    def test_by_three_d_secure(self, visit, payment, snap, decision, heading):
        page = visit(payment())
        pay_by_card(page, THREE_D_SECURE)
        expect_heading(page, "Is it you?")
        snap(page, "three-d-secure")
        page.get_by_role("button", name=decision).click()
        if heading:
            expect_heading(page, heading)
        else:
            expect(page.get_by_role("alert")).to_contain_text("The payment was not confirmed.")

    def test_somebody_who_turns_back_is_not_sent_to_the_bank_again(self, visit, payment, snap):
        row = payment()
        page = visit(row)
        pay_by_card(page, THREE_D_SECURE)
        expect_heading(page, "Is it you?")
        page.goto(f"/pay/{row.pk}/return")
        expect_heading(page, "One more step")
        snap(page, "one-more-step")
        page.get_by_text("Cancel this payment").click()
        page.get_by_role("button", name="Yes, cancel it").click()
        expect_heading(page, "Payment cancelled")


class TestOtherMethods:
    def test_mobile_money_is_confirmed_at_the_provider(self, visit, payment, snap):
        page = visit(payment())
        choose(page, "Mobile money")
        expect(page.get_by_label("Card number")).to_be_hidden()
        snap(page, "mobile-money")
        page.get_by_label("Mobile number").fill("+233 20 123 4567")
        press_pay(page)
        expect_heading(page, "Approve on your phone")
        snap(page, "mobile-money-provider")
        page.get_by_role("button", name="Enter PIN and approve").click()
        expect_heading(page, "Payment complete")

    def test_paypal_is_agreed_to_at_the_provider(self, visit, payment):
        page = visit(payment())
        choose(page, "PayPal")
        press_pay(page)
        page.get_by_role("button", name="Agree and pay").click()
        expect_heading(page, "Payment complete")

    def test_a_bank_transfer_shows_live_when_it_arrives(self, visit, payment, snap):
        page = visit(payment())
        choose(page, "Bank transfer")
        press_pay(page)
        expect_heading(page, "Pay by bank transfer")
        snap(page, "bank-transfer")
        with page.context.expect_page() as other:
            page.get_by_role("link", name="Pretend to send it").click(modifiers=["Control"])
        other.value.get_by_role("button", name="The transfer arrives").click()
        expect_heading(page, "Payment complete")


class TestWithoutJavaScript:
    @pytest.fixture
    def visit(self, visit) -> Callable[..., Page]:
        return lambda payment: visit(payment, java_script_enabled=False)

    def test_a_card_is_paid(self, visit, payment):
        page = visit(payment())
        expect(page.get_by_role("button", name="Copy")).to_have_count(0)
        pay_by_card(page, VISA)
        expect_heading(page, "Payment complete")

    def test_three_d_secure_is_one_button_away(self, visit, payment):
        page = visit(payment())
        pay_by_card(page, THREE_D_SECURE)
        page.get_by_role("link", name="Continue to verification").click()
        page.get_by_role("button", name="Yes, confirm the payment").click()
        expect_heading(page, "Payment complete")

    def test_only_the_chosen_methods_fields_are_shown(self, visit, payment):
        page = visit(payment())
        choose(page, "Mobile money")
        expect(page.get_by_label("Mobile number")).to_be_visible()
        expect(page.get_by_label("Card number")).to_be_hidden()
        page.get_by_label("Mobile number").fill("+233 20 123 4567")
        press_pay(page)
        page.get_by_role("link", name="Continue to verification").click()
        page.get_by_role("button", name="Refuse").click()
        expect(page.get_by_role("alert")).to_contain_text("The payment was not confirmed.")

    def test_a_bank_transfer_arrives(self, visit, payment):
        page = visit(payment())
        choose(page, "Bank transfer")
        press_pay(page)
        page.get_by_role("link", name="Pretend to send it").click()
        page.get_by_role("button", name="The transfer arrives").click()
        expect_heading(page, "Payment complete")


class TestFrontPage:
    def test_leads_to_a_payment(self, chromium, site, shop, viewport, snap):
        with closing(chromium.new_context(viewport=viewport)) as window:
            page = window.new_page()
            page.goto(site)
            snap(page, "landing")
            page.get_by_role("button", name="Try a payment of 50.00 USD").click()
            snap(page, "form-demo")
            expect(page.get_by_text("$50.00").first).to_be_visible()


class TestKeyboardAndEyes:
    def test_a_card_can_be_paid_by_keyboard_alone(self, visit, payment):
        page = visit(payment())
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.get_by_role("radio", name="Card").focus()
        for text in ("", VISA, "1240", "123"):
            page.keyboard.type(text)
            page.keyboard.press("Tab")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        expect_heading(page, "Payment complete")

    def test_what_can_be_pressed_is_large_enough_for_a_thumb(self, visit, payment):
        page = visit(payment())
        small = page.evaluate(
            """[...document.querySelectorAll("button, summary, .method-choice, .input")]
               .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"""
        )
        assert small == []

    def test_speaks_french(self, visit, payment, snap):
        page = visit(payment(), locale="fr-FR")
        expect(page.get_by_role("button", name="Payer 129,99")).to_be_visible()
        snap(page, "french")

    def test_nothing_moves_for_somebody_who_wants_no_motion(self, visit, payment):
        page = visit(payment(), reduced_motion="reduce")
        durations = page.evaluate("document.getAnimations().map(a => a.effect.getComputedTiming().duration)")
        assert all(duration <= 1 for duration in durations)
