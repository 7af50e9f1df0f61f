"""Rules that hold for every template, and for the French of all of them."""

import re
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.template.loader import render_to_string

TEMPLATES = sorted((settings.BASE_DIR / "templates").rglob("*.html"))
PAGES = [template for template in TEMPLATES if "emails" not in template.parts]  # a mail has its styles in its tags
FRENCH = settings.BASE_DIR / "locale" / "fr" / "LC_MESSAGES"

FORBIDDEN_BY_THE_POLICY = re.compile(
    r"\sstyle=|<style|\son[a-z]+=|javascript:|hx-on|hx-vals=.js:|<script>", re.IGNORECASE
)


@pytest.mark.parametrize("template", PAGES, ids=lambda path: path.name)
def test_nothing_stands_inline_that_the_policy_forbids(template: Path):
    assert not FORBIDDEN_BY_THE_POLICY.search(template.read_text())


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_an_error_page_needs_no_context(status):
    html = render_to_string(f"{status}.html")
    assert str(status) in html
    assert "<h1>" in html


def test_the_compiled_french_is_the_written_one():
    with (FRENCH / "django.po").open("rb") as po, (FRENCH / "django.mo").open("rb") as mo:
        written, compiled = read_po(po), read_mo(mo)
    assert {m.id: m.string for m in written if m.id and m.string} == {m.id: m.string for m in compiled if m.id}


def test_every_word_for_the_payer_is_in_french():
    with (FRENCH / "django.po").open("rb") as po:
        catalog = read_po(po)
    ours = {m.id for m in catalog if any("templates/" in place or "checkout/" in place for place, _ in m.locations)}
    assert len(ours) > 100
    assert not [m.id for m in catalog if m.id in ours and (not m.string or m.fuzzy)]


def test_every_translated_text_of_a_template_is_in_the_catalog():
    with (FRENCH / "django.po").open("rb") as po:
        known = {m.id for m in read_po(po)}
    literal = re.compile(r"""{% translate (?:"([^"]+)"|'([^']+)') %}""")
    used = {
        a or b
        for template in TEMPLATES
        if "admin" not in template.parts
        for a, b in literal.findall(template.read_text())
    }
    assert used - known == set()
