import logging
import re
from urllib.parse import urlsplit

import pytest
from django.db import connection

from payments.cards import TEST_CARDS, refuse_card_numbers
from payments.cards import LiveCardRefused as Refused
from payments.models import Payment, Transaction

PATH = "/api/v1/payments"
EXPIRY = {"card_expiry_month": 12, "card_expiry_year": 2040}
GOOD = {"card_number": "4242424242424242", **EXPIRY}

# number, what becomes of the payment, why as the payer sees it, why as only the merchant's log knows it
OUTCOMES = [
    ("4242424242424242", "completed", None, ""),
    ("4111111111111111", "completed", None, ""),
    ("5555555555554444", "completed", None, ""),
    ("378282246310005", "completed", None, ""),
    ("4000000000000002", "failed", "card_declined", "generic_decline"),
    ("4000000000000341", "failed", "card_declined", "generic_decline"),
    ("4000000000009995", "failed", "insufficient_funds", "insufficient_funds"),
    ("4000000000009987", "failed", "card_declined", "lost_card"),
    ("4000000000009979", "failed", "card_declined", "stolen_card"),
    ("4000000000006975", "failed", "card_declined", "card_velocity_exceeded"),
    ("4100000000000019", "failed", "card_declined", "fraudulent"),
    ("4000000000000069", "failed", "expired_card", "expired_card"),
    ("4000000000000127", "failed", "incorrect_cvc", "incorrect_cvc"),
    ("4000000000000119", "failed", "processing_error", "processing_error"),
    ("4242424242424241", "failed", "incorrect_number", "incorrect_number"),
    ("4000002500003155", "3ds completed", None, ""),
    ("4000002760003184", "3ds completed", None, ""),
    ("4000000000003220", "3ds completed", None, ""),
    ("4000008400001629", "3ds failed", "card_declined", "generic_decline"),
    ("4000008260003178", "3ds failed", "insufficient_funds", "insufficient_funds"),
    ("4000000000000259", "completed", None, ""),
    ("4000000000002685", "completed", None, ""),
    ("4000000000001976", "completed", None, ""),
    ("4000000000005423", "completed", None, ""),
    ("4000000404000079", "completed", None, ""),
    ("4000000000007726", "completed", None, ""),
    ("4000000000005126", "completed", None, ""),
]
BRANDS = {"5555555555554444": "mastercard", "378282246310005": "amex"}
SECRET_REASONS = ("lost", "stolen", "fraud", "velocity", "generic")

LIVE_NUMBERS = [
    "4012888888881881", "4242424242424243", "4000056655665556", "5105105105105100", "2223003122003222",
    "378734493671000", "371449635398431", "6011111111111117", "6011000990139424", "3056930009020004",
    "36227206271667", "30569309025904", "3566002020360505", "3530111333300000", "6200000000000005",
    "6304000000000000", "4222222222222", "4000000000000000006", "4012 8888 8888 1881", "4012-8888-8888-1881",
    "4111111111111112", "0000000000000000", "1234567890123456", "42424242424242424", "424242424242424", "4", "-1",
    "x",
]  # fmt: skip


@pytest.fixture
def read(api):
    return lambda payment: api.get(f"{PATH}/{payment['id']}").json()["payment"]


@pytest.fixture
def answer_3ds(api):
    """The payer presses a button on the bank's page."""

    def press(payment, decision):
        assert payment["next_action"]["type"] == "redirect"
        page = urlsplit(payment["next_action"]["url"]).path
        assert api.get(page).status_code == 200
        response = api.post(page, {"decision": decision})
        assert response.status_code == 303
        return response["Location"]

    return press


def everything_stored() -> str:
    """Every row of every table as text."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        rows = []
        for table in tables:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            rows += cursor.fetchall()
    assert "payments_payment" in tables
    return repr(rows)


@pytest.fixture
def everything_logged(caplog, db):
    """All that any logger says, the queries and their parameters among it."""
    for logger in (None, "django", "django.db.backends"):
        caplog.set_level(logging.DEBUG, logger)
    connection.force_debug_cursor = True
    yield lambda: "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)
    connection.force_debug_cursor = False


class TestOutcomes:
    def test_there_is_one_for_each_card(self):
        assert sorted(number for number, *_rest in OUTCOMES) == sorted(TEST_CARDS)

    @pytest.mark.parametrize(("number", "outcome", "failure", "reason"), OUTCOMES)
    def test_of_a_card(self, pay, work, read, answer_3ds, number, outcome, failure, reason):
        payment = pay(card_number=number, **EXPIRY, card_cvv="123").json()["payment"]
        assert payment["status"] == "pending"
        assert payment["card"] == {
            "brand": BRANDS.get(number, "visa"),
            "last4": number[-4:],
            "expiry_month": 12,
            "expiry_year": 2040,
        }
        work()
        if outcome.startswith("3ds "):
            payment = read(payment)
            assert payment["status"] == "requires_action"
            answer_3ds(payment, "approve")
            work()
        payment = read(payment)
        assert payment["status"] == outcome.removeprefix("3ds ")
        assert (payment["failure"] or {}).get("code") == failure
        assert not [word for word in SECRET_REASONS if word in repr(payment)]
        assert payment["next_action"] is None
        assert Transaction.objects.get().provider_code == reason
        assert Payment.objects.get().amount_captured == (5000 if failure is None else 0)

    @pytest.mark.parametrize("number", [number for number, outcome, *_rest in OUTCOMES if outcome.startswith("3ds")])
    def test_of_3ds_that_the_payer_declines(self, pay, work, read, answer_3ds, number):
        payment = pay(card_number=number, **EXPIRY).json()["payment"]
        work()
        answer_3ds(read(payment), "decline")
        work()
        payment = read(payment)
        assert (payment["status"], payment["failure"]["code"]) == ("failed", "authentication_failed")

    def test_of_the_wrong_security_code_only_when_one_is_given(self, pay, work, read):
        without = pay(card_number="4000000000000127", **EXPIRY).json()["payment"]
        given = pay(card_number="4000000000000127", **EXPIRY, card_cvv="123").json()["payment"]
        work()
        assert read(without)["status"] == "completed"
        assert read(given)["failure"]["code"] == "incorrect_cvc"

    @pytest.mark.parametrize("capture", ["automatic", "manual"])
    def test_of_manual_capture_is_authorized(self, pay, work, read, capture):
        payment = pay(**GOOD, capture_method=capture).json()["payment"]
        work()
        assert read(payment)["status"] == {"automatic": "completed", "manual": "authorized"}[capture]

    @pytest.mark.parametrize(
        "number",
        [
            "4242 4242 4242 4242", "4242-4242-4242-4242", 4242424242424242, "4242 424242424242",
        ],
    )  # fmt: skip
    def test_of_a_number_in_any_spelling(self, pay, work, read, number):
        payment = pay(card_number=number, **EXPIRY).json()["payment"]
        work()
        assert read(payment)["status"] == "completed"


class TestNumbersThatAreNotTestNumbers:
    @pytest.mark.parametrize("number", LIVE_NUMBERS)
    def test_are_refused_and_leave_no_trace(self, pay, everything_logged, number):
        for sent in [number, int(number)] if number.isdigit() else [number]:
            response = pay(card_number=sent, **EXPIRY, card_cvv="9371")
            assert response.status_code == 400
            error = response.json()["error"]
            assert (error["code"], error["param"]) == ("live_card_refused", "card_number")
            if len(number) > 4:
                for form in (number, re.sub(r"\D", "", number)):
                    assert form not in response.content.decode()
                    assert form not in everything_logged()
                    assert form not in everything_stored()
        assert not Payment.objects.exists()

    @pytest.mark.parametrize(
        "field",
        [
            "payment_method", "capture_method", "currency", "merchant_id", "order_id", "return_url",
        ],
    )  # fmt: skip
    def test_are_not_repeated_when_they_stand_in_the_wrong_field(self, pay, field, everything_logged):
        response = pay(**{field: "4012888888881881 "})
        assert response.status_code == 400
        assert b"4012888888881881" not in response.content
        assert "4012888888881881" not in everything_logged()

    def test_are_not_repeated_by_a_crash(self, pay, everything_logged, monkeypatch):
        def fail(**fields):
            raise RuntimeError("out of order")

        monkeypatch.setattr("payments.views.services.create_payment", fail)
        response = pay(**GOOD, card_cvv="9371")
        assert response.status_code == 500
        assert "out of order" in everything_logged() or "RuntimeError" in everything_logged()
        assert "4242424242424242" not in everything_logged() + response.content.decode()


class TestNothingOfACard:
    def test_is_left_but_brand_last_four_and_expiry(self, pay, work, everything_logged):
        response = pay(**GOOD, card_cvv="9371")
        work()
        trace = everything_stored() + everything_logged() + response.content.decode()
        assert "4242424242424242" not in trace
        assert not re.search(r"(?<![0-9A-Za-z.:])9371(?![0-9A-Za-z])", trace)
        assert "tok_visa" in trace
        assert "INSERT INTO" in trace  # the log of queries was on

    def test_is_left_of_a_refused_request(self, pay, everything_logged):
        response = pay(**GOOD, card_cvv="9371", amount=-1)
        trace = everything_stored() + everything_logged() + response.content.decode()
        assert "4242424242424242" not in trace
        assert not re.search(r"(?<![0-9A-Za-z.:])9371(?![0-9A-Za-z])", trace)


class TestExpiry:
    @pytest.fixture(autouse=True)
    def _last_second_of_june(self, time_machine):
        time_machine.move_to("2030-06-30 23:59:59Z", tick=False)

    @pytest.mark.parametrize(
        ("month", "year"),
        [
            (6, 2030), (12, 2030), (1, 2031), ("06", "2030"), ("6", "2030"), (6, 2060),
        ],
    )  # fmt: skip
    def test_is_the_end_of_the_month(self, pay, month, year):
        response = pay(card_number="4242424242424242", card_expiry_month=month, card_expiry_year=year)
        assert response.status_code == 201
        assert response.json()["payment"]["card"]["expiry_month"] == int(month)

    @pytest.mark.parametrize(("month", "year"), [(5, 2030), (12, 2029), (1, 2000), ("05", "2030")])
    def test_that_has_passed_is_refused(self, pay, month, year):
        error = pay(card_number="4242424242424242", card_expiry_month=month, card_expiry_year=year).json()["error"]
        assert (error["code"], error["param"]) == ("card_expiry_past", "card_expiry_year")

    def test_has_passed_a_second_later(self, pay, time_machine):
        time_machine.shift(1)
        error = pay(card_number="4242424242424242", card_expiry_month=6, card_expiry_year=2030).json()["error"]
        assert error["code"] == "card_expiry_past"

    @pytest.mark.parametrize(
        "month",
        [
            0, 13, -1, 99, 10**30, "0", "13", "", "x", "٦", "６", "6.0", "+6", " 6", 6.5, True, [], {}, "00006",
        ],
    )  # fmt: skip
    def test_month_is_1_to_12(self, pay, month):
        error = pay(card_number="4242424242424242", card_expiry_month=month, card_expiry_year=2040).json()["error"]
        assert (error["code"], error["param"]) == ("parameter_invalid", "card_expiry_month")

    @pytest.mark.parametrize(
        "year",
        [
            0, 30, 1999, 2150, 9999, -2040, 10**30, "30", "", "x", "20400", "２０４０", 2040.5, True, [], {},
        ],
    )  # fmt: skip
    def test_year_has_four_digits(self, pay, year):
        error = pay(card_number="4242424242424242", card_expiry_month=12, card_expiry_year=year).json()["error"]
        assert (error["code"], error["param"]) == ("parameter_invalid", "card_expiry_year")

    @pytest.mark.parametrize("missing", ["card_number", "card_expiry_month", "card_expiry_year"])
    def test_goes_with_the_number(self, pay, missing):
        error = pay(**{**GOOD, "card_cvv": "123", missing: None}).json()["error"]
        assert (error["code"], error["param"]) == ("parameter_missing", missing)


class TestSecurityCode:
    @pytest.mark.parametrize("cvv", ["123", "1234", "000", 123, 1234])
    def test_has_three_or_four_digits(self, pay, cvv):
        assert pay(**GOOD, card_cvv=cvv).status_code == 201

    @pytest.mark.parametrize(
        "cvv",
        [
            "12", "1", "12345", "12a", "abc", "１２３", "١٢٣", "-12", "1.5", "   ", " 123", 1, 12, 12345, -12, 1.5,
            True,
        ],
    )  # fmt: skip
    def test_is_nothing_else(self, pay, cvv):
        response = pay(**GOOD, card_cvv=cvv)
        assert response.status_code == 400
        error = response.json()["error"]
        assert error["code"] in ("parameter_invalid", "parameter_missing")
        assert error["param"] == "card_cvv"


class TestMethod:
    @pytest.mark.parametrize("method", ["paypal", "bank_transfer", "mobile_money"])
    def test_must_be_a_card(self, pay, method):
        error = pay(**GOOD, payment_method=method).json()["error"]
        assert (error["code"], error["param"]) == ("parameter_invalid", "payment_method")


HIDDEN = [
    "{}",
    "card {}",
    "{} 12/30",
    "{} 12 30 123",
    "12 {}",
    "Room 5 {}",
    "a{}b",
    "card={}&cvv=123",
    "x\u00a0{}\u00a0y",
    '"{}"',
    "{}.",
    "#{}#",
]
SPELLINGS = [
    "4012888888881881", "4012 8888 8888 1881", "4012-8888-8888-1881", "4012.8888.8888.1881",
    "4012\u20138888\u20138888\u20131881", "４０１２８８８８８８８８１８８１", "5105105105105100", "3782 822463 10005",
    "378734493671000", "36227206271667", "6011111111111117", "4242424242424242", "2223003122003222",
    "3566002020360505", "6200000000000005",
]  # fmt: skip


class TestNumbersInTexts:
    @pytest.mark.parametrize("number", SPELLINGS)
    @pytest.mark.parametrize("text", HIDDEN)
    def test_are_found(self, number, text):
        with pytest.raises(Refused):
            refuse_card_numbers(text.format(number), param="description")

    @pytest.mark.parametrize(
        "field",
        [
            "customer_name", "customer_location", "description", "metadata", "customer_phone", "key",
            "customer_email",
        ],
    )  # fmt: skip
    def test_are_refused_in_any_field(self, pay, field, everything_logged):
        number = "4012888888881881"
        fields = {
            "metadata": {"metadata": {"note": f"card {number}"}},
            "key": {"metadata": {number: "x"}},
            "customer_email": {"customer_email": f"{number}@example.com"},
        }.get(field, {field: f"card {number}"})
        response = pay(**fields)
        assert response.status_code == 400
        error = response.json()["error"]
        assert (error["code"], error["param"]) == ("live_card_refused", "metadata" if field == "key" else field)
        assert number not in response.content.decode() + everything_logged() + everything_stored()

    @pytest.mark.parametrize(
        "text",
        [
            "4012888888881882",  # fails the check digit
            "Order 5123456789012",
            "Invoice 2024-12-31-000017",
            "20250101120000000",
            "1700000000000",
            "+49 1512 3456789",
            "IBAN DE89 3704 0044 0532 0130 00",
            "978-3-16-148410-0",
            "0000 0000 0000 0000",
            "1111111111111117",
            "9400 1000 0000 0000 0000 00",
            "192.168.100.100 10.0.0.1",
            "3.14159265358979",
            "40128888888818811234567",
            "",
            "1" * 500,
        ],
    )
    def test_are_not_seen_where_there_are_none(self, text):
        refuse_card_numbers(text, param="description")

    @pytest.mark.parametrize("text", ["1 " * 30_000, "4" * 60_000, "4012 8888 " * 6_000, "４" * 20_000])
    def test_are_looked_for_in_bounded_time(self, text):
        refuse_card_numbers(text, param="description")
