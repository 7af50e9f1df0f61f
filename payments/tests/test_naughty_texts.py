"""Texts that have broken other people's programs: kept as they are, or refused; never changed, never a 500."""

import json

import pytest

from notifications.models import Event
from payments.models import Payment
from payments.tests.test_bad_input import JSON, LEAST, PATH

NAUGHTY = [
    "null", "undefined", "None", "NULL", "true", "NaN", "0", "-1", "1e309", "[]", "{}", "()", "\\", "\\\\", "/", "//",
    "..", "../../etc/passwd", "%00", "%0a", "%s%n%x", "%d", "{0}", "{__class__}", "{{7*7}}", "{% debug %}", "${7*7}",
    "#{7*7}", "<%= 7*7 %>", "$(id)", "`id`", "; id", "| id", "&& id", "' OR '1'='1", '" OR ""="',
    "'; DROP TABLE payments_payment;--", "\\'; --", "admin'/*", "1;SELECT pg_sleep(9)", "%' AND 1=1 --", "_%", "%%",
    "*", "?", ":name", "@@version", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)", "</textarea></title>", "<!--", "-->", "]]>", "<![CDATA[", "&lt;&amp;&#x27;&nbsp;", "&",
    "<", ">", "'", '"', "''", '""', "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>",
    "=1+1", "@SUM(1)", "+1", "-1+1", "=cmd|' /C calc'!A0", "Zoë", "Łukasz Żółw", "O'Brien-Smith", "山田太郎", "محمد",
    "עברית", "ไทยไทย", "Ελληνικά", "Ünïcödé", "ﷺ", "ǅ", "ß", "ẞ", "ı İ i I", "ſ K Å", "e\u0301", "\u0301e",
    "Z\u0351\u0325\u0324a\u0348\u035al\u0323\u0329g\u0346\u0301o", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪🇯🇵", "1️⃣", "😀" * 16,
    "𝕳𝖊𝖑𝖑𝖔", "𠜎𠜱", "\U0010fffd", "\ue000", "\ufffd", "\ufffe", "\uffff", "\U000e0041x", "a\u200bb", "a\u200db",
    "\u202eabc\u202c", "\u2067abc\u2069", "a\u00adb", "a\ufeffb", "\u180ex", "x\u0338", "ᄀᄀᄀ각ᆨᆨ", "１２３", "٣٤٥",
    "²³",
    "½", "Ⅷ", "⁦", " leading", "trailing ", "in  between", "\u00a0x\u00a0", "a\tb", "a\nb", "a\x0bb", "\x1b[2J",
    "\x08\x08", "\x7f", "a\u0085b", "a\u2028b", "Robert'); --", "CON", "aux.txt", "constructor", "__proto__",
    "hasOwnProperty", "toString", "\\u0000", "\\x00", "\\n", "é" * 32, "a" * 32,
]  # fmt: skip


class TestNaughtyTexts:
    def test_are_many(self):
        assert len(NAUGHTY) >= 100

    @pytest.mark.parametrize("text", NAUGHTY, ids=range(len(NAUGHTY)))
    def test_are_kept_as_they_are_or_refused(self, api, shop, text):
        for field in ("customer_name", "customer_location", "customer_phone", "description"):
            response = api.post(PATH, json.dumps({**LEAST, field: text}), content_type=JSON)
            if response.status_code == 201:
                payment = Payment.objects.get(pk=response.json()["payment"]["id"])
                assert getattr(payment, field) == text.strip()
                if field in response.json()["payment"]:
                    assert (response.json()["payment"][field] or "") == text.strip()
            else:
                assert (response.status_code, response.json()["error"]["param"]) == (400, field)

    @pytest.mark.parametrize("text", NAUGHTY, ids=range(len(NAUGHTY)))
    def test_are_kept_in_metadata(self, api, shop, text):
        metadata = {text[:40]: text, "twice": text + text}
        response = api.post(PATH, json.dumps({**LEAST, "metadata": metadata}), content_type=JSON)
        assert response.status_code == 201
        assert Payment.objects.get().metadata == metadata
        assert json.loads(Event.objects.get().payload)["metadata"] == metadata

    @pytest.mark.parametrize("text", NAUGHTY, ids=range(len(NAUGHTY)))
    def test_are_refused_where_only_plain_words_belong(self, api, shop, text):
        for field in (
            "customer_email",
            "currency",
            "payment_method",
            "capture_method",
            "merchant_id",
            "return_url",
            "amount",
        ):
            response = api.post(PATH, json.dumps({**LEAST, field: text}), content_type=JSON)
            assert response.status_code == 400
            assert response.json()["error"]["param"] == field
        assert not Payment.objects.exists()

    @pytest.mark.parametrize("text", NAUGHTY, ids=range(len(NAUGHTY)))
    def test_name_an_order_or_a_key_or_do_not(self, api, shop, text):
        for field in ("order_id", "idempotency_key"):
            response = api.post(PATH, json.dumps({**LEAST, field: text}), content_type=JSON)
            if response.status_code == 201:
                assert text.isascii()
                assert text.isprintable()
                assert field != "order_id" or response.json()["payment"]["order_id"] == text
            else:
                assert (response.status_code, response.json()["error"]["param"]) == (400, field)
