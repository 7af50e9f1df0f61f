"""What bad input gets: a 4xx that says what is wrong, never a 500, never a row."""

import gzip
import json
from typing import Any

import pytest

from accounts.models import Customer, Merchant
from core.ids import is_id
from core.tests.test_parsers import NOT_JSON
from notifications.models import Event
from payments.models import Payment, Transaction

PATH = "/api/v1/payments"
JSON = "application/json"
LEAST = {"customer_name": "John Doe", "customer_email": "john@example.com", "amount": 50.00}
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
LIMIT = 64 * 1024
GONE = object()

MISSING, INVALID, UNKNOWN = "parameter_missing", "parameter_invalid", "parameter_unknown"
AMOUNT, PRECISION, TOO_LARGE = "amount_invalid", "amount_precision", "amount_too_large"
CURRENCY, KEY, MERCHANT, URL = "currency_invalid", "idempotency_key_invalid", "merchant_unknown", "url_forbidden"

REQUIRED = ["customer_name", "customer_email", "amount"]
LINES = {"customer_name": 200, "customer_phone": 32, "customer_location": 200, "description": 500, "return_url": 2048}
LINES |= {"merchant_id": 32}
EVERY_FIELD = [
    *LINES, "customer_email", "amount", "currency", "order_id", "payment_method", "metadata", "capture_method", *CARD,
    "card_cvv", "idempotency_key",
]  # fmt: skip


class Raw(str):
    """JSON as it stands: what json.dumps would never write."""


def text_of(body: dict[str, Any]) -> str:
    """The body as JSON, Raw values as they are; GONE leaves a field out."""
    members = [
        f"{json.dumps(name)}:{value if isinstance(value, Raw) else json.dumps(value)}"
        for name, value in body.items()
        if value is not GONE
    ]
    return "{" + ",".join(members) + "}"


def refused(response: Any, status: int, code: str, param: str | None) -> None:
    """The envelope of an error, and nothing stored."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == JSON
    body = response.json()
    error = body["error"]
    assert (error["code"], error["param"]) == (code, param), body
    assert body["status"] == "error"
    assert len(body["message"]) > 10
    assert body["message"] == error["message"]
    assert is_id(error["request_id"], "req")
    assert error["request_id"] == response["Request-Id"]
    assert [model.objects.count() for model in (Payment, Customer, Transaction, Event)] == [0, 0, 0, 0]


def each(
    field: str, code: str, values: list[Any], param: str | None = ""
) -> list[tuple[dict[str, Any], str, str | None]]:
    """A case for each bad value of a field."""
    return [({field: value}, code, field if param == "" else param) for value in values]


OTHER_TYPES = [5, 1.5, True, False, [], {}, ["x"], {"a": "b"}, Raw("5e3"), Raw("-0")]
CONTROLS = ["a\nb", "a\r\nb", "a\tb", "\x01", "\x1b[31m", "\x7f", "a\x85b", "a\u2028b", "a\u2029b", "a\n"]
BLANKS = [
    "", " ", "   ", "\u00a0", "\u3000", "\u200b", "\u200b\u200d", "\ufeff", "\u2060", "\u00ad", "\u202e", "\u3164",
]  # fmt: skip
HALVES = [
    Raw('"\\ud800"'), Raw('"\\udfff"'), Raw('"a\\ude00\\ud83d"'), Raw('"\\u0000"'), Raw('"a\\u0000b"'),
    Raw('["\\u0000"]'),
]  # fmt: skip

EMAILS = [
    "john", "john@", "@example.com", "john@example", "john@@example.com", "john@ex ample.com", "john doe@example.com",
    "john@.com", "john@example..com", ".john@example.com", "john.@example.com", "jo..hn@example.com",
    "john@-example.com", "john@example-.com", "john@example.c", "john@example.com.", "john,doe@example.com",
    "john@example.com,jane@example.com", "john@example.com;x@example.com", "John <john@example.com>",
    "<john@example.com>", "mailto:john@example.com", "john@example.com\nbcc:x@example.com", '"john doe"@example.com',
    '"\x01"@example.com', '"<script>"@example.com', "john@[999.0.0.1]", "john@exa_mple.com", "jöhn@example.com",
    "john@bücher.example", "\u212aohn@example.com", "john@example.\u212aom", "\u0130\u0130@example.com",
    "\u0131@example.com", "john\uff20example.com", "john@example\u3002com", "john\u200b@example.com",
    "\u202ejohn@example.com", "\u0130" * 240 + "@example.com", "a" * 65 + "@" + "b" * 250 + ".com",
    "a" * 243 + "@example.com", "john@" + "a" * 64 + ".com", "😀@example.com", "john@😀.com", "a" * 60_000,
]  # fmt: skip
AMOUNTS = [
    Raw("-1"), Raw("-0.01"), Raw("-50.00"), Raw("0"), Raw("0.0"), Raw("0.00"), Raw("-0"), Raw("-0.0"), Raw("5e1"),
    Raw("5E1"), Raw("5.0e1"), Raw("5e-1"), Raw("50e0"), Raw("5000e-2"), Raw("1e300000"), Raw("1e999999999"),
    Raw("-1e300000"), Raw("1e-300000"), Raw("1E+2"), Raw("true"), Raw("false"), Raw("[]"), Raw("[50]"), Raw("{}"),
    Raw('{"value":50}'), "", " ", "x", "fifty", "-1", "-0", "0", "0.00", "+50", " 50", "50 ", "50\n", "\t50", "50.",
    ".5", ".", "5.0.0", "5..0", "1,000", "1.000,00", "1 000", "1_000", "1'000", "5e1", "1e300000", "0x32", "0b1",
    "0o7", "50%", "$50", "50 USD", "USD50", "NaN", "nan", "Infinity", "-Infinity", "inf", "null", "true", "None",
    "٥٠", "５０", "५०", "߅߀", "5０", "²", "Ⅼ", "五十", "½", "50\u200b", "\ufeff50", "\u202e50", "--50", "5-0", "50/1",
    "50;", "50'--", "{{50}}", "${50}", "9" * 65, "0." + "0" * 65, "9" * 5000,
]  # fmt: skip
CURRENCIES = [
    "", "usd", "Usd", "uSD", "US", "USDX", "USD ", " USD", "U S D", "USD\n", "$", "€", "840", "XXX", "XTS", "XAU",
    "XAG", "XPT", "XDR", "BTC", "ABC", "ZZZ", "uſd", "UſD", "ıqd", "ＵＳＤ", "U\u200bSD", "USD\u0301", "ÜSD", "USD,EUR",
    "USD;", "DEM", "HRK", "__proto__", "x" * 60_000, 840, 1.5, True, [], ["USD"], {}, {"a": "b"},
]  # fmt: skip
ORDERS = [
    "", " ", "a b", "a/b", "a\\b", "a?b", "a#b", "a%20b", "é", "😀", "a\nb", "a\n", "\ta", "a,b", "a;b", "a@b", "a+b",
    "a=b", "(a)", "'", '"', "<a>", "*", "a" * 65, "a\u200b", "ａ", True, False, 1.5, [], {}, ["1"], Raw("1e2"),
]  # fmt: skip
CHOICES = [
    "", " ", "card", "Credit_Card", "CREDIT_CARD", "credit card", "credit_card ", "creditcard", "crypto",
    "credit_card\n", "x" * 60_000, "é", 5, 1.5, True, False, [], ["credit_card"], {}, {"a": "b"}, "None", "0",
]  # fmt: skip
METADATA = [
    "", "x", 5, 1.5, True, [], ["a"], [["a", "b"]], {"a": 1}, {"a": 1.5}, {"a": True}, {"a": None}, {"a": []},
    {"a": {}}, {"a": {"b": "c"}}, {"": "x"}, {"k" * 41: "x"}, {"k": "v" * 501}, {str(n): "x" for n in range(51)},
    {"a": "b", "c": ["d"]}, Raw('{"a":5e3}'),
]  # fmt: skip
MERCHANTS = [
    "x", "1", "mer_", "mer_x", "mer_" + "0" * 26, "mer_" + "0" * 25, "mer_" + "0" * 27, "MER_" + "0" * 26,
    "mer_" + "Z" * 26, "pay_" + "0" * 26, "mer_" + "8" + "0" * 25, "mer_" + "u" * 26, "' OR 1=1 --", "../mer",
    "mer_%", "é", "😀", "null", "*", "mer-" + "0" * 26,
]  # fmt: skip
STRANGERS = [
    "status", "id", "reference", "amount_captured", "amount_refunded", "provider", "customer_id", "customer",
    "merchant", "is_default", "order_key", "fingerprint", "failure_code", "next_action", "expires_at", "created_at",
    "Amount", "AMOUNT", "amount ", " amount", "amount\u200b", "аmount", "", "__proto__", "constructor", "__class__",
    "card", "card_brand", "card_token", "source", "tok_visa", "$where", "customer_name[]", "customer[name]",
    "customer.name", "é", "😀", "payer_attempts", "surplus_due_at", "due_at", "csrfmiddlewaretoken", "_method",
    "format", "callback", "Idempotency-Key", "idempotencyKey",
]  # fmt: skip

CASES: list[tuple[dict[str, Any], str, str | None]] = [
    *[({name: GONE}, MISSING, name) for name in REQUIRED],
    *[({name: None}, MISSING, name) for name in EVERY_FIELD],
    *[case for name in LINES for case in each(name, INVALID, [*OTHER_TYPES, *CONTROLS])],
    *[case for name in LINES for case in each(name, "json_invalid", HALVES, None)],
    *[case for name, length in LINES.items() for case in each(name, INVALID, ["x" * (length + 1), "😀" * (length + 1),
    "x" * 60_000])],
    *[case for name in ("customer_name", "merchant_id", "return_url") for case in each(name, MISSING, BLANKS)],
    *each("customer_email", MISSING, ["", " ", "\u00a0"]),
    *each("customer_email", INVALID, [*EMAILS, *OTHER_TYPES, *CONTROLS[:2]]),
    *each("customer_email", "json_invalid", HALVES, None),
    *each("amount", AMOUNT, AMOUNTS),
    *each("amount", PRECISION, [0.001, 50.001, "50.000", "0.005", Raw("50.000"), "1." + "0" * 63 + "1"]),
    *each("amount", TOO_LARGE, [10**12, 10**15, 10**63, "9" * 64, "1000000000000.00"]),
    *each("amount", "json_invalid", [Raw("NaN"), Raw("Infinity"), Raw("-Infinity"), Raw("+1"), Raw("01"), Raw(".5"),
    Raw("5."), Raw("1_0"), Raw("0x1")], None),
    *each("amount", "json_invalid", [Raw("9" * 65), Raw("0." + "0" * 64), Raw("1e" + "9" * 64), Raw("9" * 60_000),
    Raw("٥"), Raw("５"), Raw(""), Raw("1 0"), Raw("1/2")], None),
    *[({"amount": amount, "currency": "JPY"}, PRECISION, "amount") for amount in (10.5, "10.5", "10.0", Raw("10.0"))],
    *[({"amount": amount, "currency": "KWD"}, PRECISION, "amount") for amount in (1.2345, "1.0000")],
    *[({"amount": amount, "currency": currency}, TOO_LARGE, "amount") for amount, currency in (("999999999999.991",
    "KWD"), (10**12, "JPY"))],
    *each("currency", CURRENCY, CURRENCIES),
    *each("order_id", INVALID, [value for value in ORDERS if value not in ("", " ")]),
    *each("order_id", MISSING, [""]),
    *each("payment_method", INVALID, CHOICES),
    *each("capture_method", INVALID, CHOICES),
    *each("metadata", INVALID, METADATA),
    *each("metadata", "json_invalid", [Raw('{"a":"\\u0000"}'), Raw('{"\\ud800":"x"}'), Raw('{"a":NaN}'),
    Raw('{a:"b"}')], None),
    *each("merchant_id", MERCHANT, MERCHANTS),
    *each("return_url", URL, ["x", "/", "//evil.example", "https://evil.example", "javascript:alert(1)",
    "https://shop.example.com@evil.example"]),
    *each("return_url", URL, ["https://u@shop.example.com", "https:\\\\shop.example.com", "http://shop.example.com",
    "https://shop.example.com:444"]),
    *each("idempotency_key", KEY, ["", " ", "a b", "é", "😀", "a\nb", "a" * 256, *OTHER_TYPES]),
    *[({name: 1}, UNKNOWN, name) for name in STRANGERS],
    ({"x" * 5000: 1}, UNKNOWN, "x" * 64),
    *[({**CARD, "card_number": number}, "live_card_refused", "card_number") for number in ("4012888888881881", "x",
    "４２４２４２４２４２４２４２４２", "4242\t424242424242", 0, -1)],
    *[({**CARD, "card_number": number}, INVALID, "card_number") for number in ("4" * 33, "4" * 60_000, True, 1.5, [],
    {}, ["4242424242424242"], Raw("4.242e15"))],
    *[({name: value}, MISSING, param) for name, value, param in (
        ("card_cvv", "123", "card_number"), ("card_expiry_month", 12, "card_number"), ("card_expiry_year", 2040,
        "card_number"),
        ("card_number", "4242424242424242", "card_expiry_month"),
    )],
    *[({**CARD, "card_expiry_year": year}, "card_expiry_past", "card_expiry_year") for year in (2000, 2020, "2020")],
    *[({**CARD, "payment_method": method}, INVALID, "payment_method") for method in ("paypal", "bank_transfer",
    "mobile_money")],
]  # fmt: skip


class TestFields:
    def test_are_tried_in_many_ways(self):
        assert len(CASES) >= 300

    @pytest.mark.parametrize("case", CASES, ids=[f"{n}-{param}-{code}" for n, (_body, code, param) in enumerate(CASES)])
    def test_refuse(self, api, shop, case):
        change, code, param = case
        refused(api.post(PATH, text_of({**LEAST, **change}), content_type=JSON), 400, code, param)


class TestBody:
    @pytest.mark.parametrize("raw", [raw for raw in NOT_JSON if raw], ids=range(len(NOT_JSON) - 1))
    def test_is_a_json_object(self, api, shop, raw):
        refused(api.post(PATH, raw, content_type=JSON), 400, "json_invalid", None)

    @pytest.mark.parametrize("raw", [b"", b"{}", b" {} "])
    def test_is_not_empty(self, api, shop, raw):
        refused(api.post(PATH, raw, content_type=JSON), 400, MISSING, "customer_name")

    @pytest.mark.parametrize("name", ["amount", "customer_name", "colour"])
    def test_has_no_key_twice(self, api, shop, name):
        body = text_of(LEAST)[:-1] + f',"{name}":1,"{name}":1}}'
        refused(api.post(PATH, body, content_type=JSON), 400, "duplicate_key", name)

    def test_may_be_64_kib_and_no_more(self, api, shop):
        body = text_of(LEAST)
        for size in (LIMIT + 1, LIMIT + 2, 10 * LIMIT):
            refused(api.post(PATH, body.ljust(size), content_type=JSON), 413, "body_too_large", None)
        for size in (LIMIT - 1, LIMIT):
            assert api.post(PATH, body.ljust(size), content_type=JSON).status_code == 201

    def test_is_measured_in_bytes(self, api, shop):
        body = text_of({**LEAST, "metadata": {}})
        raw = body.replace("{}", json.dumps({"é" * 40: "é" * 500}, ensure_ascii=False)).encode()
        assert api.post(PATH, raw.ljust(LIMIT), content_type=JSON).status_code == 201
        assert api.post(PATH, raw.ljust(LIMIT + 1), content_type=JSON).status_code == 413

    @pytest.mark.parametrize("length", ["", "x", "-1", "0", "1.5", "1e3", "٥"])
    def test_of_a_strange_length_is_refused(self, api, shop, length):
        response = api.post(PATH, text_of(LEAST), content_type=JSON, CONTENT_LENGTH=length)
        assert response.status_code == 400
        assert not Payment.objects.exists()

    def test_shorter_than_announced_is_refused(self, api, shop):
        raw = text_of(LEAST)[:-9]
        refused(api.post(PATH, raw, content_type=JSON), 400, "json_invalid", None)

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
    def test_that_is_compressed_is_refused(self, api, shop, encoding):
        raw = gzip.compress(text_of(LEAST).encode())
        response = api.post(PATH, raw, content_type=JSON, headers={"Content-Encoding": encoding})
        refused(response, 400, "json_invalid", None)


class TestMediaType:
    @pytest.mark.parametrize(
        ("content_type", "raw"),
        [
            ("text/plain", text_of(LEAST)), ("text/json", text_of(LEAST)), ("text/html", "<p>"),
            ("application/xml", "<a/>"),
            ("application/x-www-form-urlencoded", "customer_name=John&customer_email=john@example.com&amount=50"),
            ("application/x-www-form-urlencoded; charset=utf-16", "a=%ff%fe"),
            ("multipart/form-data; boundary=x",
            '--x\r\nContent-Disposition: form-data; name="amount"\r\n\r\n50\r\n--x--\r\n'),
            ("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name="),
            ("multipart/form-data", "no boundary"), ("multipart/form-data; boundary=", "x"),
            ("multipart/form-data; boundary=\xff", "x"), ("multipart/mixed; boundary=x", "x"),
            ("application/octet-stream", "\x00\x01"), ("application/json5", text_of(LEAST)),
            ("application/jsonp", text_of(LEAST)), ("application/x-ndjson", text_of(LEAST)),
            ("application/vnd.api+json", text_of(LEAST)), ("application/problem+json", text_of(LEAST)),
            ("application", text_of(LEAST)), ("json", text_of(LEAST)), ("", text_of(LEAST)), (";", text_of(LEAST)),
            ("/", text_of(LEAST)), ("x" * 9000, text_of(LEAST)), ("application/j\xf6son", text_of(LEAST)),
            ("image/png", "\x89PNG"),
        ], ids=str,
    )  # fmt: skip
    def test_is_json_only(self, api, shop, content_type, raw):
        refused(api.generic("POST", PATH, raw, content_type=content_type), 415, "media_type_unsupported", None)

    @pytest.mark.parametrize(
        "content_type",
        [
            "application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8",
            "APPLICATION/JSON", "application/json; charset=x-unknown", 'application/json; charset="utf-8"',
            "application/json ;v=1", "application/json;",
        ],
    )  # fmt: skip
    def test_has_parameters_that_change_nothing(self, api, shop, content_type):
        raw = text_of({**LEAST, "customer_name": Raw('"Zoë"')}).encode()
        response = api.generic("POST", PATH, raw, content_type=content_type)
        assert response.status_code == 201
        assert response.json()["payment"]["customer_name"] == "Zoë"


class TestRequest:
    @pytest.mark.parametrize(
        "path", [f"{PATH}?format={name}" for name in ("api", "json", "xml", "", "html", "%00", "json%00", "😀")]
    )
    def test_cannot_ask_for_another_format(self, api, pay, path):
        response = api.post(path, text_of(LEAST), content_type=JSON)
        assert response.status_code in (201, 404)
        assert response["Content-Type"] == JSON

    @pytest.mark.parametrize(
        "headers",
        [
            {"Accept-Language": "\xff"},
            {"Accept-Language": "x" * 9000},
            {"Accept-Charset": "utf-16"},
            {"Authorization": "Basic !!!"},
            {"Authorization": "x" * 9000},
            {"Cookie": "session=\xff; csrftoken=x; =; ;"},
            {"Cookie": "x" * 9000},
            {"X-Forwarded-For": "' OR 1=1 --, \xff"},
            {"X-Forwarded-Host": "evil.example"},
            {"X-Forwarded-Proto": "javascript"},
            {"X-HTTP-Method-Override": "DELETE"},
            {"Referer": "javascript:alert(1)"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"If-Match": "\xff", "If-None-Match": "*", "If-Modified-Since": "never", "Range": "bytes=0-"},
            {"HX-Request": "true", "HX-Current-URL": "\xff", "HX-Prompt": "%FF"},
            {"Expect": "100-continue"},
            {"Request-Id": "x\r\ny"},
            {"User-Agent": "\x00\xff😀".encode().decode("latin-1")},
        ],
        ids=str,
    )
    def test_may_have_any_header(self, api, shop, headers):
        response = api.post(PATH, text_of(LEAST), content_type=JSON, headers=headers)
        assert response.status_code == 201
        assert "evil" not in response.content.decode()

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example", "testserver@evil.example", "testserver:x", "[::1", "", "\xff", "testserver evil",
            "a" * 9000, "test_server",
        ],
    )  # fmt: skip
    def test_to_another_host_is_refused(self, api, shop, host):
        refused(api.post(PATH, text_of(LEAST), content_type=JSON, headers={"Host": host}), 400, "invalid_request", None)

    @pytest.mark.parametrize(
        "query",
        [
            "%00", "%ff", "a=%ED%A0%80", "a" * 9000, "[]=&[a]=", "😀", "page_size=x", "merchant_id=x",
        ],
    )  # fmt: skip
    def test_may_have_any_query(self, api, shop, query):
        assert api.post(f"{PATH}?{query}", text_of(LEAST), content_type=JSON).status_code == 201


class TestTooManyParameters:
    def test_are_refused(self, api, shop):
        query = "&".join(f"{n}=" for n in range(1001))
        refused(api.post(f"{PATH}?{query}", text_of(LEAST), content_type=JSON), 400, "invalid_request", None)


class TestEmptyInstallation:
    @pytest.mark.parametrize("change", [{}, {"merchant_id": "mer_" + "0" * 26}, {"amount": -1}, CARD], ids=str)
    def test_refuses_as_well(self, api, db, change):
        response = api.post(PATH, text_of({**LEAST, **change}), content_type=JSON)
        assert response.status_code == 400
        assert not Merchant.objects.exists()
