"""WCAG 2.2 and tokens.css as the tests of the colours read them, apart from what the checkout works out."""

import re

from django.conf import settings

TOKENS = settings.BASE_DIR / "static" / "css" / "tokens.css"
TOKEN = re.compile(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6})\s*[;}]")
DARK_SCHEME = re.compile(r"@media\s*\(prefers-color-scheme:\s*dark\)")


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """1 to 21, as WCAG 2.2 defines it."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def schemes(stylesheet: str) -> dict[str, dict[str, str]]:
    """The colours of a stylesheet by scheme and name, on top of those of tokens.css."""
    light: dict[str, str] = {}
    dark: dict[str, str] = {}
    for css in (TOKENS.read_text(), stylesheet):
        by_day, *by_night = DARK_SCHEME.split(css)
        light |= dict(TOKEN.findall(by_day))
        dark |= dict(TOKEN.findall(by_day)) | dict(TOKEN.findall("".join(by_night)))
    return {"light": light, "dark": dark}
