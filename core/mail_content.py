"""What a mail says. One template gives all of it: the HTML, the text for who reads no HTML, and the subject.

Text and subject are read out of the HTML, so that they cannot say something else, and nothing is ever rendered
without escaping.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from html.parser import HTMLParser

from django.conf import settings
from django.template.backends.django import DjangoTemplates, Template
from django.utils import translation

DEFAULT_COLOR = "#11322a"  # --till in static/css/tokens.css
COLOR = re.compile(r"#[0-9a-f]{6}", re.ASCII)
CHANNEL_WEIGHTS = (0.2126, 0.7152, 0.0722)  # red, green, blue (WCAG 2.2, relative luminance)
MIDDLE_LUMINANCE = 0.179  # black and white stand out alike there, at 4.58:1

ADDRESS = "url"  # the one value of a context that is an address of ours
# Control characters but for white space, those that turn the direction of writing, and halves of surrogate pairs.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# evil.example, also with the full stops of other scripts (IDNA, RFC 3490 §3.1), and with a soft hyphen or a like beside
# them, which names of hosts lose on their way; https://evil
LINK_LIKE = re.compile(r"(?<=.)[.\u3002\uff0e\uff61](?=[^\s\d])|:(?=//)")
MAILBOX = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
NON_JOINER = "\u200c"  # shows nothing

INLINE = {"a", "b", "br", "code", "em", "span", "strong"}  # any other tag begins or ends a paragraph
UNSHOWN = {"title", "style"}


class ContextIncomplete(Exception):
    """The template asks for a value that the mail was queued without."""


class Hole(str):
    """What Django writes for a missing value. An empty text would be a mail without its link."""

    def __mod__(self, name: object) -> str:
        raise ContextIncomplete(f"The context has no {name}.")


@dataclass(frozen=True)
class Content:
    subject: str
    text: str
    html: str


def render(template: str, context: Mapping[str, str], *, brand: str, language: str) -> Content:
    """The mail `templates/emails/<template>.html` in this language, under the name `brand`; `brand_color` (#rrggbb)
    in the context paints its header and button. Raises ContextIncomplete."""
    wanted = context.get("brand_color", "")
    branded = bool(COLOR.fullmatch(wanted))
    color = wanted if branded else DEFAULT_COLOR
    values = {name: value if name == ADDRESS else harmless(value) for name, value in context.items()}
    site = {"brand": harmless(brand), "brand_color": color, "brand_ink": ink_on(color), "site_url": settings.SITE_URL}
    with translation.override(language):
        html = find_template(template).render(values | site | {"branded": branded})
    return read(html)


def find_template(template: str) -> Template:
    """Raises TemplateDoesNotExist."""
    return _engine().get_template(f"emails/{template}.html")


@lru_cache
def _engine() -> DjangoTemplates:
    """Django's engine for pages, except that it does not pass over what is missing."""
    options = {"string_if_invalid": Hole("%s")}
    directories = [settings.BASE_DIR / "templates"]
    return DjangoTemplates({"NAME": "emails", "DIRS": directories, "APP_DIRS": False, "OPTIONS": options})


def harmless(text: str) -> str:
    """A text that a stranger may have chosen (a name, a shop), in one line and so that no mail program makes a link
    of it. It looks the same; an email address stays as it is, for people copy it."""
    return " ".join(_unlinked(word) for word in one_line(text).split())


def one_line(text: str) -> str:
    """The text as a header may hold it: without ends of lines, and nothing but what can be printed."""
    return " ".join(UNPRINTABLE.sub("", text).split())


def _unlinked(word: str) -> str:
    return word if MAILBOX.fullmatch(word) else LINK_LIKE.sub(rf"\g<0>{NON_JOINER}", word)


def ink_on(color: str) -> str:
    """Black or white, whichever is easier to read on the colour (#rrggbb)."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = sum(weight * value for weight, value in zip(CHANNEL_WEIGHTS, linear, strict=True))
    return "#ffffff" if luminance < MIDDLE_LUMINANCE else "#000000"


def read(html: str) -> Content:
    """The HTML with its subject, which is its heading, and its text."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return Content(reader.subject, "\n\n".join(reader.paragraphs) + "\n", html)


class _Reader(HTMLParser):
    """Reads a mail as a browser shows it: a paragraph for each block, a link's address on the line below its words."""

    def __init__(self) -> None:
        super().__init__()
        self.subject = ""
        self.paragraphs: list[str] = []
        self.lines = [""]
        self.block = self.address = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.lines.append("")
        elif tag == "a":
            self.address = dict(attributes).get("href") or ""
        elif tag not in INLINE:
            self._end_block()
            self.block = tag

    def handle_data(self, data: str) -> None:
        self.lines[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and not self.lines[-1].endswith(self.address):
            self.lines += [self.address, ""]
        elif tag not in INLINE:
            self._end_block()

    def _end_block(self) -> None:
        text = "\n".join(filter(None, (" ".join(line.split()) for line in self.lines)))
        if self.block == "h1":
            self.subject = " ".join(text.split())
        if text and self.block not in UNSHOWN:
            self.paragraphs.append(text)
        self.block, self.lines = "", [""]
