"""What mails say: every one in both languages, as HTML and as text, whatever people are called."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from django.conf import settings
from django.utils.html import strip_tags
from hypothesis import given
from hypothesis import strategies as st

from core.mail import compose, queue_email
from core.mail_content import DEFAULT_COLOR, NON_JOINER, ContextIncomplete, harmless, ink_on, read, render
from core.tests.mail_contexts import CHOOSE_WORDS, CONTEXTS, LINK, OPTIONAL

TEMPLATES = settings.BASE_DIR / "templates" / "emails"
FRAMES = {"base", "button", "customer", "facts", "team"}
TOKENS = (settings.BASE_DIR / "static" / "css" / "tokens.css").read_text(encoding="utf-8")
HOSTILE = [
    "<script>alert(1)</script>",
    "</title></style><img src=x onerror=alert(1)>",
    '"><a href="https://evil.example">free money</a>',
    "Jane\r\nBcc: everybody@example.com\r\n\r\nHello",
    "Jane\u2028\u2029\x0b\x0c\x85Doe",
    "\x00\x08\x1b[31m\x7f\x9b\ud800",
    "Jane \u202eelpmaxe.live",
    "{{ url }}{% include 'base.html' %}",
    "%(url)s %s %d 100%",
    "&lt;b&gt; &amp; &#60;",
    "x" * 200,
]

all_mails = pytest.mark.parametrize("template", sorted(CONTEXTS))
both_languages = pytest.mark.parametrize("language", ["en", "fr"])


def mail(template, language="en", brand="Tillgate", **changes):
    return render(template, CONTEXTS[template] | changes, brand=brand, language=language)


class Tags(HTMLParser):
    """Every tag of a document with its attributes, and every text."""

    def __init__(self, html):
        super().__init__()
        self.found, self.texts = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)


def test_every_template_is_tested():
    assert {path.stem for path in TEMPLATES.iterdir()} - FRAMES == set(CONTEXTS)


@all_mails
@both_languages
class TestEveryMail:
    def test_says_all_that_it_was_given(self, template, language):
        said = mail(template, language)
        for name in CONTEXTS[template].keys() - CHOOSE_WORDS:
            value = CONTEXTS[template][name]
            shown = "Finances" if (name, language) == ("role", "fr") else value
            for part in (said.text, unescape(said.html)):
                assert shown in part.replace(NON_JOINER, "")

    def test_says_the_same_as_text_and_as_html(self, template, language):
        said = mail(template, language)
        body = said.html.partition("<body")[2]
        shown = unescape(strip_tags(re.sub(r"<!--.*?-->", "", "<body" + body)))
        assert "".join(said.text.replace(LINK, "").split()) == "".join(shown.split())

    def test_has_a_subject_of_one_line(self, template, language):
        said = mail(template, language)
        assert 10 < len(said.subject) < 60
        assert "\n" not in said.subject

    def test_links_to_nothing_but_its_own_address_and_ours(self, template, language):
        said = mail(template, language)
        links = [attributes["href"] for tag, attributes in Tags(said.html).found if tag == "a"]
        assert links == [LINK, settings.SITE_URL] if "url" in CONTEXTS[template] else [settings.SITE_URL]
        assert said.text.count("://") == len(links)

    def test_loads_nothing(self, template, language):
        html = mail(template, language).html
        assert {tag for tag, _attributes in Tags(html).found} & {"img", "script", "link", "iframe", "object"} == set()
        assert "url(" not in html
        assert "@import" not in html

    @pytest.mark.parametrize("text", HOSTILE)
    def test_takes_any_words_of_a_stranger_as_words(self, template, language, text):
        plain = Tags(mail(template, language).html).found
        names = [name for name in CONTEXTS[template] if name != "url"]
        said = mail(template, language, brand=text, **dict.fromkeys(names, text))
        assert Tags(said.html).found == plain
        assert said.subject == " ".join(said.subject.split())
        assert all(character.isprintable() or character in ("\n", NON_JOINER) for character in said.text)


@all_mails
class TestFrench:
    def test_is_all_french(self, template):
        given = {*CONTEXTS[template].values(), "Tillgate"}
        english, french = (set(mail(template, language).text.splitlines()) for language in ("en", "fr"))
        left = {line for line in english & french if line and line not in given}
        assert left == set()

    def test_is_said_to_be_french(self, template):
        assert '<html lang="fr">' in mail(template, "fr").html


@all_mails
class TestMissingValue:
    def test_makes_no_mail(self, template):
        optional = OPTIONAL if "amount" in CONTEXTS[template] else set()
        for name in CONTEXTS[template].keys() - CHOOSE_WORDS - optional - {"name"}:
            context = {key: value for key, value in CONTEXTS[template].items() if key != name}
            with pytest.raises(ContextIncomplete, match=name):
                render(template, context, brand="Tillgate", language="en")

    def test_of_a_name_makes_a_greeting_without_one(self, template):
        said = render(template, CONTEXTS[template] | {"name": ""}, brand="Tillgate", language="en")
        assert "Hello,\n" in said.text


@pytest.mark.django_db
class TestHeaders:
    @pytest.mark.parametrize("text", HOSTILE)
    def test_are_as_many_whatever_people_are_called(self, text):
        context = CONTEXTS["invitation"] | {"inviter": text, "merchant": text}
        stranger = queue_email("invitation", to="jane@example.com", context=context, from_name=text[:200])
        friend = queue_email("invitation", to="jane@example.com", context=CONTEXTS["invitation"], from_name="Acme")
        hostile, plain = compose(stranger).message(), compose(friend).message()
        assert hostile.keys() == plain.keys()
        assert hostile.as_bytes().count(b"\nBcc:") == 0
        assert hostile["To"] == "jane@example.com"


class TestHarmless:
    @pytest.mark.parametrize(
        "text",
        [
            *("evil.example", "https://evil.example/x", "www.evil.example", "http://x@evil.example"),
            *("evil.example/@x", "evil.example?@", "evil.example#@now", "a@evil.example/login", "@https:evil.example"),
            *("evil\u3002example", "evil\uff0eexample", "evil\uff61example", "a@b.example@evil.example"),
            *("evil\u00ad.example", "evil.\u00adexample", "evil.\u200bexample", "evile\u0301.example"),
        ],
    )
    def test_makes_a_link_unlike_one_but_looks_the_same(self, text):
        shown = harmless(f"Win at {text} now")
        assert text not in shown
        assert shown.replace(NON_JOINER, "") == f"Win at {text} now"

    @pytest.mark.parametrize(
        "text", ["Jane Doe", "50.00 USD", "jane.doe@shop.example.com", "J. R. Doe", "2026-11-21 11:40"]
    )
    def test_leaves_all_else(self, text):
        assert harmless(text) == text


class TestText:
    def test_is_read_paragraph_by_paragraph(self):
        unshown = "<title>x</title><style>p{}</style>"
        html = f"{unshown}<h1>Big\n news</h1><table><tr><td>One</td><td><p>Two &amp; 2</p></td></tr></table>"
        assert read(html).text == "Big news\n\nOne\n\nTwo & 2\n"
        assert read(html).subject == "Big news"

    def test_keeps_lines_and_emphasis_together(self):
        assert read("<p>Ends in <strong>9f3A</strong>.<br>\n Made  today.</p>").text == "Ends in 9f3A.\nMade today.\n"

    def test_gives_a_links_address_a_line_of_its_own(self):
        assert read('<p>Please <a href="https://a.example">go</a> there.</p>').text == (
            "Please go\nhttps://a.example\nthere.\n"
        )

    def test_does_not_repeat_an_address_that_is_shown(self):
        assert read('<p>At <a href="https://a.example">https://a.example</a>.</p>').text == "At https://a.example.\n"

    @given(st.text(max_size=50))
    def test_of_any_name_is_the_name(self, name):
        said = render("verify_email", {"name": name, "url": LINK}, brand="Tillgate", language="en")
        shown = harmless(name)
        assert (f"Hello {shown},\n" if shown else "Hello,\n") in said.text


class TestColour:
    @given(st.integers(0, 0xFFFFFF))
    def test_of_the_text_stands_out_from_any_header(self, number):
        color = f"#{number:06x}"
        dark, light = sorted((luminance(color), luminance(ink_on(color))))
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2 AA

    def test_of_the_header_is_the_merchants(self):
        html = mail("verify_email", brand_color="#ffd400").html
        assert "background: #ffd400; color: #000000;" in html

    @pytest.mark.parametrize("color", ["", "red", "#FFF", "#ffd40", "#ffd400;}", "#ffd400\n", 'x" onclick="'])
    def test_that_is_none_changes_nothing(self, color):
        assert mail("verify_email", brand_color=color).html == mail("verify_email").html

    def test_of_every_other_thing_is_a_token(self):
        used = set(re.findall(r"#[0-9a-f]{6}", mail("verify_email").html))
        assert DEFAULT_COLOR in used
        assert used - set(re.findall(r"#[0-9a-f]{6}", TOKENS)) == set()


def luminance(color):
    """WCAG 2.2, relative luminance."""
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in (byte / 255 for byte in bytes.fromhex(color[1:]))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
