"""A merchant's colour on the payer's pages: a stylesheet that can be read in light and in dark, whatever the colour.

A button has the colour as it is. What must stand out from the page (links, focus rings, the button's edge) has the
nearest shade that does. Shades are made in linear light, where the luminance of WCAG 2.2 is a plain sum: the shade of
a given contrast is a formula, not a search.
"""

import hashlib
from functools import lru_cache
from typing import NamedTuple

from django.urls import reverse

from accounts.models import COLOR_PATTERN, Merchant

TEXT, SIGN = 4.5, 3.0  # the least contrasts of WCAG 2.2 AA, 1.4.3 and 1.4.11
ROUNDING = 1.02  # a shade gets this much more, for a byte a channel is coarse
HOVERED_LINK, SOFT_TEXT, FINE_LINE = 7.0, 6.0, 1.6  # contrasts
FLARE = 0.05  # what WCAG adds to every luminance
DARK = (1 + FLARE) / TEXT - FLARE  # the greatest luminance on which white text can be read
NEARLY_BLACK, NEARLY_WHITE = 0.04, 0.7  # beyond these luminances a button gets no further from its text
TILL_AT_NIGHT = 0.06  # the greatest luminance of the till's panel in dark: it is large, and must not glare
DIGEST_LENGTH = 8
COLOURS_KEPT = 1024  # stylesheets in memory: every page needs the digest of one


class Colour(NamedTuple):
    """Linear light, 0 to 1 a channel."""

    red: float
    green: float
    blue: float

    def __str__(self) -> str:
        return "#" + bytes(round(_encoded(channel) * 255) for channel in self).hex()

    @property
    def luminance(self) -> float:
        return 0.2126 * self.red + 0.7152 * self.green + 0.0722 * self.blue

    @property
    def is_dark(self) -> bool:
        """Whether white text can be read on it. If not, black text can."""
        return self.luminance <= DARK

    @property
    def ink(self) -> "Colour":
        return WHITE if self.is_dark else BLACK

    def shade(self, luminance: float) -> "Colour":
        """The colour with black or white in it, so that it has this luminance (or 0 or 1, where there is no such)."""
        wanted, own = min(max(luminance, 0), 1), self.luminance
        if wanted < own:
            return Colour(*(channel * wanted / own for channel in self))
        white = (wanted - own) / (1 - own) if own < 1 else 0
        return Colour(*(channel + (1 - channel) * white for channel in self))

    def against(self, ground: "Colour", least: float) -> "Colour":
        """The colour, or its nearest shade whose contrast to the ground is the least one that is asked for."""
        if _contrast(self, ground) >= least:
            return self
        lit, factor = ground.luminance + FLARE, least * ROUNDING
        return self.shade((lit * factor if ground.is_dark else lit / factor) - FLARE)

    def pressed(self) -> "Colour":
        """As a button under the pointer: further from its text, or at the ends of the scale a little nearer."""
        own = self.luminance
        if self.is_dark:
            return self.shade(own * 0.6 if own > NEARLY_BLACK else own + 0.04)
        return self.shade(own + (1 - own) * 0.4 if own < NEARLY_WHITE else own * 0.8)


def read_colour(text: str) -> Colour:
    """From `#0d6b52`."""
    return Colour(*(_linear(byte / 255) for byte in bytes.fromhex(text[1:])))


def _linear(channel: float) -> float:
    """IEC 61966-2-1 (sRGB)."""
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _encoded(channel: float) -> float:
    return channel * 12.92 if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


def _contrast(one: Colour, other: Colour) -> float:
    dark, light = sorted((one.luminance, other.luminance))
    return (light + FLARE) / (dark + FLARE)


WHITE, BLACK = read_colour("#ffffff"), read_colour("#000000")
# Of the grounds in tokens.css (--paper, --surface, --surface-2) the one that is hardest to stand out from.
LIGHT_GROUND, DARK_GROUND = read_colour("#f6f5f0"), read_colour("#181f1d")


class Branding(NamedTuple):
    """What the head of a page says of it: the address of the stylesheet, and the colours of the till's panel."""

    stylesheet: str
    light: str
    dark: str


def branding_of(merchant: Merchant) -> Branding | None:
    """None where the merchant has no colour of its own."""
    text = merchant.brand_color
    if not COLOR_PATTERN.fullmatch(text):
        return None
    address = reverse("brand_stylesheet", args=[text[1:], digest_of(stylesheet(text))])
    colour = read_colour(text)
    return Branding(address, light=str(colour), dark=str(_at_night(colour)))


@lru_cache(COLOURS_KEPT)
def stylesheet(text: str) -> str:
    """The custom properties of static/css/tokens.css that make a page that of the colour, such as `#0d6b52`."""
    colour = read_colour(text)
    light = _rules(_tokens(colour, till=colour, ground=LIGHT_GROUND))
    dark = _rules(_tokens(colour, till=_at_night(colour), ground=DARK_GROUND))
    return f"@layer tokens{{:root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}}}\n"


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def _at_night(colour: Colour) -> Colour:
    return colour.shade(min(colour.luminance, TILL_AT_NIGHT))


def _tokens(colour: Colour, *, till: Colour, ground: Colour) -> dict[str, Colour]:
    edge = colour.against(ground, SIGN)
    return {
        "action": colour,
        "action-strong": colour.pressed(),
        "action-ink": colour.ink,
        "action-line": edge,
        "focus": edge,
        "link": colour.against(ground, TEXT),
        "link-strong": colour.against(ground, HOVERED_LINK),
        "till": till,
        "till-ink": till.ink,
        "till-soft": till.against(till, SOFT_TEXT),
        "till-line": till.against(till, FINE_LINE),
    }


def _rules(tokens: dict[str, Colour]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in tokens.items())
