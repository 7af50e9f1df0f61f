"""The merchant's name, colour and address for questions on the payer's pages."""

import re

import pytest
from django.conf import settings
from hypothesis import example, given
from hypothesis import strategies as st

from checkout.branding import stylesheet
from checkout.tests.colours import contrast, schemes

GROUNDS = ("paper", "surface", "surface-2")
READABLE, VISIBLE = 4.5, 3.0  # WCAG 2.2 AA: text; edges of controls and focus rings
TEXTS = [
    ("action-ink", "action"),
    ("action-ink", "action-strong"),
    ("till-ink", "till"),
    ("till-soft", "till"),
    ("good-ink", "good"),
    *[(text, ground) for text in ("link", "link-strong") for ground in GROUNDS],
]
BROWN, YELLOW = "#8a4b08", "#ffff00"


def too_faint(tokens, pairs, least):
    return [(one, other) for one, other in pairs if contrast(tokens[one], tokens[other]) < least]


@pytest.fixture
def brand(shop):
    """Gives the merchant these settings."""

    def change(**fields):
        for name, value in fields.items():
            setattr(shop, name, value)
        shop.save(update_fields=list(fields))

    return change


@pytest.fixture
def receipt(open_page, submit, payment, work):
    """The receipt of a payment that was just made."""

    def pay_and_open():
        row = payment()
        submit(row)
        work()
        return open_page(row, "/receipt").content.decode()

    return pay_and_open


def link_of(response):
    """The address of the brand's stylesheet on a page."""
    found = re.findall(r'<link rel="stylesheet" href="(/brand/[^"]+)">', response.content.decode())
    return found[0] if found else None


class TestEveryColour:
    colours = st.integers(0, 0xFFFFFF).map("#{:06x}".format)

    @given(colours)
    @example("#ffffff")
    @example("#000000")
    @example(YELLOW)
    @example("#767676")
    @example("#0000ff")
    def test_gives_texts_that_can_be_read(self, colour):
        for tokens in schemes(stylesheet(colour)).values():
            assert too_faint(tokens, TEXTS, READABLE) == []

    @given(colours)
    @example("#ffffff")
    @example("#000000")
    @example(YELLOW)
    def test_gives_edges_and_focus_rings_that_can_be_seen(self, colour):
        signs = [(sign, ground) for sign in ("focus", "action-line") for ground in GROUNDS]
        for tokens in schemes(stylesheet(colour)).values():
            assert too_faint(tokens, signs, VISIBLE) == []

    @given(colours)
    def test_is_the_buttons_and_by_day_the_headers(self, colour):
        both = schemes(stylesheet(colour))
        assert (both["light"]["action"], both["dark"]["action"], both["light"]["till"]) == (colour, colour, colour)

    @given(colours)
    @example("#ffffff")
    @example("#000000")
    def test_answers_to_the_pointer(self, colour):
        for tokens in schemes(stylesheet(colour)).values():
            assert contrast(tokens["action"], tokens["action-strong"]) > 1.1

    @given(colours)
    @example("#ffffff")
    def test_does_not_glare_at_night(self, colour):
        dark = schemes(stylesheet(colour))["dark"]
        assert contrast(dark["till"], dark["paper"]) < 2.5

    def test_needs_none_for_our_own(self):
        for tokens in schemes("").values():
            assert too_faint(tokens, TEXTS, READABLE) == []
            assert too_faint(tokens, [("focus", ground) for ground in GROUNDS], VISIBLE) == []


class TestStylesheet:
    def test_is_on_the_page_and_the_receipt(self, client, open_page, submit, payment, brand, work):
        brand(brand_color=BROWN)
        row = payment()
        address = link_of(open_page(row))
        assert address.startswith("/brand/8a4b08.")
        assert f"--action:{BROWN}" in client.get(address).content.decode()
        submit(row)
        work()
        assert link_of(open_page(row, "/receipt")) == address

    def test_stands_after_the_tokens_that_it_changes(self, open_page, payment, brand):
        brand(brand_color=BROWN)
        sheets = re.findall(r'rel="stylesheet" href="([^"]+)"', open_page(payment()).content.decode())
        assert ["tokens.css" in sheet for sheet in sheets].index(True) < ["/brand/" in s for s in sheets].index(True)

    def test_changes_only_tokens_that_there_are(self):
        known = set(re.findall(r"--[a-z0-9-]+(?=:)", (settings.BASE_DIR / "static/css/tokens.css").read_text()))
        assert set(re.findall(r"--[a-z0-9-]+(?=:)", stylesheet(BROWN))) <= known

    def test_may_be_kept_for_ever_by_anybody(self, client, open_page, payment, brand):
        brand(brand_color=BROWN)
        response = client.get(link_of(open_page(payment())))
        assert response["Content-Type"] == "text/css; charset=utf-8"
        assert set(response["Cache-Control"].split(", ")) == {"public", "max-age=31536000", "immutable"}
        assert "Cookie" not in response["Vary"]
        assert not response.cookies

    def test_asks_no_database(self, client, open_page, payment, brand, django_assert_num_queries):
        brand(brand_color=BROWN)
        address = link_of(open_page(payment()))
        with django_assert_num_queries(0):
            client.get(address)

    def test_is_the_same_for_two_merchants_of_one_colour(self, open_page, payment, brand):
        brand(brand_color=BROWN)
        before = link_of(open_page(payment()))
        brand(name="Another")
        assert link_of(open_page(payment())) == before

    @pytest.mark.parametrize(
        "name",
        [
            "8a4b08.css",
            "8a4b08.00000000.css",
            "8A4B08.{digest}.css",
            "8a4b0.{digest}.css",
            "8a4b088.{digest}.css",
            "8a4b08.{digest}.css%0A",
            "8a4b08.{digest}.js",
            "red.{digest}.css",
            "%D9%A8a4b08.{digest}.css",
            "8a4b08;}}body{{display:none.{digest}.css",
            "ffff00.{digest}.css",
        ],
    )
    def test_there_is_none_under_another_address(self, client, open_page, payment, brand, name):
        brand(brand_color=BROWN)
        digest = link_of(open_page(payment())).split(".")[1]
        response = client.get("/brand/" + name.format(digest=digest))
        assert response.status_code == 404
        assert "immutable" not in response.get("Cache-Control", "")

    def test_is_not_to_be_posted_to(self, client, open_page, payment, brand):
        brand(brand_color=BROWN)
        assert client.post(link_of(open_page(payment()))).status_code == 405

    @pytest.mark.parametrize("colour", ["", "red", "#FFF000", "#fff", "#8a4b0;"])
    def test_there_is_none_without_a_colour(self, open_page, payment, brand, colour):
        brand(brand_color=colour)
        response = open_page(payment())
        assert link_of(response) is None
        assert b'content="#11322a"' in response.content

    def test_gives_its_colour_to_the_browsers_bar(self, open_page, payment, brand):
        brand(brand_color=YELLOW)
        html = open_page(payment()).content.decode()
        by_day, by_night = re.findall(r'name="theme-color" content="(#[0-9a-f]{6})"', html)
        assert by_day == YELLOW
        assert by_night == schemes(stylesheet(YELLOW))["dark"]["till"]

    def test_keeps_the_strict_policy(self, open_page, payment, brand):
        brand(brand_color=BROWN)
        response = open_page(payment())
        assert "style-src 'self';" in response["Content-Security-Policy"] + ";"
        assert b" style=" not in response.content


class TestName:
    def test_is_the_brands_on_the_page_and_in_its_title(self, open_page, payment, brand):
        brand(brand_name="Boulangerie Dupont")
        html = open_page(payment()).content.decode()
        assert "<title>Pay · Boulangerie Dupont</title>" in html
        assert "Ask Boulangerie Dupont" in html
        assert "Acme" not in html

    def test_is_the_brands_in_what_htmx_brings(self, submit, seen, payment, brand, work):
        brand(brand_name="Boulangerie Dupont")
        row = payment()
        submit(row)
        work()
        html = seen(row, "processing").content.decode()
        assert "<title>Payment complete · Boulangerie Dupont</title>" in html
        assert "You paid $50.00 to Boulangerie Dupont." in html

    def test_is_the_brands_on_the_receipt(self, receipt, brand):
        brand(brand_name="Boulangerie Dupont")
        html = receipt()
        assert "· Boulangerie Dupont</title>" in html
        assert "<dd>Boulangerie Dupont</dd>" in html
        assert "Acme" not in html

    def test_is_the_merchants_where_it_has_no_other(self, open_page, payment):
        assert b"<title>Pay \xc2\xb7 Acme</title>" in open_page(payment()).content

    @pytest.mark.parametrize("field", ["name", "brand_name"])
    def test_is_text_and_not_markup(self, open_page, receipt, payment, brand, field):
        brand(**{field: "</title><script>alert(1)</script>"})
        for html in (open_page(payment()).content.decode(), receipt()):
            assert "<script>alert" not in html
            assert "&lt;script&gt;alert" in html


class TestQuestions:
    @pytest.mark.parametrize("state", ["failed", "already_paid", "expired", "slow"])
    def test_go_to_the_merchant_with_the_reference_when_something_is_amiss(self, open_page, in_state, brand, state):
        brand(support_email="help@example.com")
        row = in_state(state)
        response = open_page(row)
        assert response.context["state"] == state
        assert f'<a href="mailto:help@example.com?subject={row.reference}">' in response.content.decode()

    @pytest.mark.parametrize("state", ["payable", "processing", "completed", "cancelled"])
    def test_are_not_asked_for_when_nothing_is(self, open_page, in_state, brand, state):
        brand(support_email="help@example.com")
        assert b"mailto:" not in open_page(in_state(state)).content

    def test_go_to_nobody_without_an_address(self, open_page, receipt, in_state):
        assert b"mailto:" not in open_page(in_state("failed")).content
        assert "Questions?" not in receipt()

    def test_are_welcome_on_the_receipt(self, receipt, brand):
        brand(support_email="help@example.com")
        html = receipt()
        assert "Questions?" in html
        assert 'href="mailto:help@example.com?subject=TG-' in html

    def test_are_asked_in_french_too(self, open_page, in_state, brand):
        brand(support_email="aide@example.com")
        html = open_page(in_state("expired"), headers={"Accept-Language": "fr"}).content.decode()
        assert "Des questions ?" in html

    def test_cannot_be_led_elsewhere_by_an_odd_address(self, open_page, in_state, brand):
        brand(support_email="a?cc=b&c%d@example.com")
        html = open_page(in_state("failed")).content.decode()
        assert 'href="mailto:a%3Fcc%3Db%26c%25d@example.com?subject=' in html
        assert ">a?cc=b&amp;c%d@example.com</a>" in html
