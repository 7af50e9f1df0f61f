from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection
from django.http import QueryDict
from django.utils import timezone

from accounts.services import create_merchant
from core.filters import WINDOW
from core.ids import new_id
from payments.models import Payment

OLD = timedelta(days=1000)  # out of every window


class TestFilters:
    @pytest.fixture(autouse=True)
    def _payments(self, make):
        make("a", status="failed", currency="EUR", payment_method="paypal", amount=999)
        make("b", status="pending", order_id="A-1", customer_email="jane@example.com", amount=1000)
        make("c", status="refunded", currency="KWD", payment_method="credit_card", amount=1234)
        make("d", status="pending", order_id="A-1", amount=5001)
        make("e", status="failed", currency="JPY", amount=1000)

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("", "edcba"),
            ("ordering=-created", "edcba"),
            ("status=failed", "ea"),
            ("status=failed,failed", "ea"),
            ("status=pending,refunded", "dcb"),
            ("status=authorized", ""),
            ("currency=USD", "db"),
            ("method=paypal", "a"),
            ("method=mobile_money", ""),
            ("provider=sandbox", "edcba"),
            ("order_id=A-1", "db"),
            ("order_id=a-1", ""),
            ("customer_email=jane@example.com", "b"),
            ("customer_email=%20JANE@Example.COM%20", "b"),
            ("currency=USD&amount_min=10", "db"),
            ("currency=USD&amount_min=10.01", "d"),
            ("currency=USD&amount_min=10.00&amount_max=50.01", "db"),
            ("currency=USD&amount_max=50.00", "b"),
            ("currency=EUR&amount_min=9.99&amount_max=9.99", "a"),
            ("currency=JPY&amount_min=1000", "e"),
            ("currency=JPY&amount_min=1001", ""),
            ("currency=KWD&amount_min=1.234", "c"),
            ("currency=KWD&amount_min=1.235", ""),
            ("currency=USD&amount_min=20&amount_max=10", ""),
            ("currency=USD&amount_max=999999999999.99", "db"),
            ("order_id=A-1&customer_email=john@example.com&status=pending", "d"),
            ("status=pending&currency=USD&amount_min=50", "d"),
            ("merchant_id=whatever&status=refunded", "c"),
        ],
    )
    def test_keep_what_they_name(self, found, query, names):
        assert found(query) == list(names)

    def test_show_no_other_merchants_payments(self, found, make):
        rival = create_merchant(name="Rival", status="active")
        theirs = make("x", merchant=rival, order_id="R-1", customer_email="rival@example.com")
        for query in (
            "",
            "order_id=R-1",
            "customer_email=rival@example.com",
            "search=R-1",
            "search=R",
            "search=rival@",
        ):
            assert "x" not in found(query)
        for name in (theirs.pk, theirs.reference):
            assert found(f"search={name}") == []


class TestCreated:
    @pytest.fixture(autouse=True)
    def _payments(self, make):
        for day in (1, 2, 3):
            make(str(day), at=datetime(2024, 5, day, tzinfo=UTC))

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("created_after=2024-05-02", "32"),
            ("created_before=2024-05-02", "1"),
            ("created_after=2024-05-02&created_before=2024-05-03", "2"),
            ("created_after=2024-05-02T00:00:00Z", "32"),
            ("created_after=2024-05-02T00:00:00.000001Z", "3"),
            ("created_before=2024-05-02T00:00:00.000001Z", "21"),
            ("created_after=2024-05-02T02:00:00%2B02:00", "32"),
            ("created_after=2024-05-02T02:00:01%2B02:00", "3"),
            ("created_after=2024-05-01T12:00-12:00", "32"),
            ("created_before=2024-05-02T14:00%2B14:00", "1"),
            ("created_after=2024-05-03&created_before=2024-05-01", ""),
            ("created_after=0001-01-01&created_before=9999-12-31", "321"),
            ("created_after=1969-12-31T23:59:59Z&created_before=9999-12-31T23:59:59.999999Z", "321"),
            ("created_before=0001-01-01", ""),
            ("created_after=9999-12-31", ""),
            ("created_after=2024-02-29&status=pending&order_id=x", ""),
        ],
    )
    def test_is_from_then_on_and_before_then(self, found, query, names):
        assert found(query) == list(names)

    def test_is_read_off_the_row_where_its_id_is_a_little_off(self, found, make):
        at = datetime(2024, 6, 1, tzinfo=UTC)
        make("late id", at=at - timedelta(milliseconds=1), id=new_id("pay", at=at + timedelta(milliseconds=900)))
        make("early id", at=at, id=new_id("pay", at=at - timedelta(milliseconds=900)))
        assert found("created_after=2024-06-01") == ["early id"]
        assert found("created_before=2024-06-01&created_after=2024-05-31") == ["late id"]


class TestSearch:
    @pytest.fixture
    def payment(self, make):
        make("other", order_id="B-1", customer_email="jane@example.com")
        return make("it", age=OLD, order_id="A-17", customer_email="john+a@example.com")

    @pytest.mark.parametrize("spelling", [str, " {} ".format])
    @pytest.mark.parametrize("name", ["id", "reference", "order_id", "customer_email"])
    def test_finds_a_whole_name_at_any_age(self, found, payment, name, spelling):
        assert found(QueryDict.fromkeys(["search"], spelling(getattr(payment, name))).urlencode()) == ["it"]

    def test_minds_the_case_where_it_counts(self, found, payment):
        assert found(f"search={payment.reference.lower()}") == ["it"]
        assert found("search=JOHN%2BA@Example.com") == ["it"]
        assert found("search=a-17") == []
        assert found(f"search={payment.pk.upper()}") == []

    @pytest.mark.parametrize("cut", [4, 8, 12])
    @pytest.mark.parametrize("name", ["id", "reference", "order_id", "customer_email"])
    def test_finds_the_beginning_of_a_name_in_the_window(self, found, make, ask, name, cut):
        payment = make("it", order_id="A-17-2026-11-21", customer_email="anna@example.com", at=timezone.now())
        make("older", order_id="B-1", age=timedelta(days=80), customer_email="bert@example.com")
        make("too old", order_id="A-17-2026-11-20", customer_email="anna@example.org", age=OLD)
        query = QueryDict.fromkeys(["search"], getattr(payment, name)[:cut]).urlencode()
        assert "it" in found(query)
        assert "too old" not in found(query)
        assert ask(query)[1].startswith("Payments since ")

    def test_prefers_a_whole_name_to_a_beginning(self, found, make):
        make("10", order_id="10")
        make("1", order_id="1", age=OLD)
        make("100", order_id="100")
        assert found("search=1") == ["1"]
        assert found("search=10") == ["10"]

    def test_keeps_the_other_filters(self, found, make):
        make("a", order_id="1", status="failed")
        make("b", order_id="1", status="pending", currency="EUR", age=OLD)
        assert found("search=1&status=failed") == ["a"]
        assert found("search=1&currency=EUR") == ["b"]
        assert found("search=1&created_after=2020-01-01&created_before=2020-01-02") == []

    @pytest.mark.parametrize("text", ["%25", "_", "A_1", "A%25", "\\", "A-1\\", "*", "A-1%25", "?", "[A]"])
    def test_takes_no_sign_for_any_other(self, found, payment, make, text):
        make("near", order_id="A-18")
        assert found(f"search={text}") == []

    def test_finds_a_name_with_such_a_sign(self, found, make):
        make("it", order_id="a_b.c:d-1")
        make("no", order_id="axb.c:d-1")
        assert found("search=a_b") == found("search=a_b.c:d-1") == ["it"]

    @pytest.mark.parametrize(
        "text", ["é", "ß", "İ", "ſ", "%F0%9F%98%80", "%ff", "'; DROP TABLE x; --", "a" * 254, "@", "%2B", "null", "~"]
    )
    def test_finds_nothing_for_what_no_payment_is_called(self, found, payment, text):
        assert found(f"search={text}") == []

    @pytest.mark.parametrize("text", ["", "%20", "%00", "a%00", "a%0Ab", "a" * 255, "a" * 10_000, "%E2%80%A8"])
    def test_refuses_what_is_no_name(self, refused, text):
        error = refused(f"search={text}")
        assert (error.code, error.param) == ("parameter_invalid", "search")


class TestWindow:
    @pytest.fixture(autouse=True)
    def _payments(self, make):
        recent = {"order_id": "A-1", "payment_method": "paypal"}
        make("old", age=OLD, **recent)
        make("new", **recent)

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "status=pending",
            "order_id=A-1",
            "customer_email=john@example.com",
            "order_id=A-1&currency=USD&method=paypal&status=pending,failed",
            "customer_email=john@example.com&currency=USD&amount_min=1",
            "created_after=2020-01-01",
            "created_before=2100-01-01",
            "status=pending&created_after=2020-01-01",
            "search=A-1",
            "search=john@example.com",
            "search=A-1&method=paypal",
            "page_size=100&merchant_id=x&ordering=-created",
        ],
    )
    def test_is_none_where_an_index_serves(self, found, ask, query):
        assert found(query) == ["new", "old"]
        assert ask(query)[1] == ""

    @pytest.mark.parametrize(
        "query",
        [
            "currency=USD",
            "method=paypal",
            "provider=sandbox",
            "currency=USD&amount_min=1",
            "currency=USD&amount_max=100",
            "status=pending,failed",
            "status=pending&currency=USD",
            "search=A-",
            "search=john",
        ],
    )
    def test_is_ninety_days_elsewhere_and_says_so(self, found, ask, query):
        since = timezone.now() - WINDOW
        assert found(query) == ["new"]
        assert ask(query)[1] == f"Payments since {since:%Y-%m-%d}; send created_after for older ones."

    def test_begins_at_midnight(self, found, make):
        midnight = (timezone.now() - WINDOW).replace(hour=0, minute=0, second=0, microsecond=0)
        make("in", at=midnight, currency="EUR")
        make("out", at=midnight - timedelta(microseconds=1), currency="EUR")
        assert found("currency=EUR") == ["in"]

    def test_ends_where_the_request_says(self, found, ask, make):
        make("in", at=datetime(2025, 3, 1, tzinfo=UTC), currency="EUR")
        make("out", at=datetime(2024, 12, 30, tzinfo=UTC), currency="EUR")
        query = "currency=EUR&created_before=2025-04-01"
        assert found(query) == ["in"]
        assert ask(query)[1] == "Payments since 2025-01-01; send created_after for older ones."

    @pytest.mark.parametrize("end", ["2999-01-01", "9999-12-31"])
    def test_ends_now_where_the_request_says_later(self, found, make, end):
        make("in", age=timedelta(days=80), currency="EUR")
        make("too old", age=timedelta(days=100), currency="EUR")
        assert found(f"currency=EUR&created_before={end}") == ["in"]
        start = f"{timezone.now() - timedelta(days=110):%Y-%m-%d}"
        assert found(f"currency=EUR&created_after={start}&created_before={end}") == ["in", "too old"]

    def test_is_what_the_request_names_up_to_a_year(self, found, ask, make):
        make("in", at=datetime(2024, 1, 2, tzinfo=UTC), currency="EUR")
        make("out", at=datetime(2023, 12, 31, tzinfo=UTC), currency="EUR")
        query = "currency=EUR&created_after=2024-01-01&created_before=2025-01-01"
        assert (found(query), ask(query)[1]) == (["in"], "")

    @pytest.mark.parametrize(
        "query",
        [
            "created_after=2024-01-01&created_before=2025-01-02",
            "created_after=2024-01-01",
            "created_after=2020-01-01&created_before=9999-01-01",
            "created_after=0001-01-01",
        ],
    )
    def test_of_more_than_a_year_is_refused(self, refused, query):
        error = refused(f"currency=USD&{query}")
        assert (error.code, error.param) == ("parameter_invalid", "created_after")
        assert "366 days" in error.message

    @pytest.mark.parametrize(
        "query", ["created_before=0001-01-01", "created_before=1970-01-02", "created_after=9999-01-01"]
    )
    def test_may_lie_where_nothing_is(self, found, query):
        assert found(f"currency=USD&{query}") == []


class TestOwn:
    """What a customer account sees: all that was paid with its email."""

    @pytest.fixture(autouse=True)
    def _payments(self, make):
        rival = create_merchant(name="Rival", status="active")
        make("a", age=OLD, order_id="A-1", status="failed")
        make("b", merchant=rival, currency="EUR")
        make("not mine", order_id="A-1", customer_email="jane@example.com")

    @pytest.fixture
    def own(self):
        return Payment.objects.filter(customer_email="john@example.com")

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("", "ba"),
            ("ordering=created", "ab"),
            ("status=failed", "a"),
            ("status=failed,pending", "ba"),
            ("currency=EUR", "b"),
            ("order_id=A-1", "a"),
            ("search=A-1", "a"),
            ("search=A", "a"),
            ("search=jane", ""),
            ("search=john", ""),
            ("search=john@example.com", ""),
        ],
    )
    def test_is_found_at_any_age_and_merchant(self, ask, found, own, query, names):
        assert found(query, own) == list(names)
        assert ask(query, own)[1] == ""

    def test_has_no_other_email(self, own, refused):
        assert refused("customer_email=jane@example.com", own).code == "parameter_unknown"


class TestPages:
    @pytest.mark.parametrize("ordering", ["created", "-created"])
    def test_visit_every_payment_once_and_keep_the_parameters(self, ask, make, ordering):
        for number in range(7):
            make(str(number), status="failed" if number % 7 else "pending", age=timedelta(days=10 - number))
        query = f"status=failed&page_size=2&ordering={ordering}&created_before=2100-01-01T00:00:00%2B02:00"
        seen = []
        while query:
            page, _note = ask(query)
            seen += [payment.description for payment in page.rows]
            query = (page.next or "").partition("?")[2]
        assert seen == sorted("123456", reverse=ordering == "-created")

    def test_takes_one_query(self, found, make, django_assert_num_queries):
        make("a", order_id="1")
        for query, queries in (("status=pending", 1), ("currency=USD", 1), ("search=1", 4), ("search=a@", 2)):
            with django_assert_num_queries(queries):
                found(query)


class TestStoredEmails:
    def test_get_their_one_spelling_by_the_migration(self, make):
        for name in ("John@Example.COM", "jane@example.com"):
            make(name, customer_email=name)
        migration = import_module("payments.migrations.0002_lower_case_emails")
        for _again in range(2):
            migration.lower_case_emails(apps, SimpleNamespace(connection=connection))
        emails = Payment.objects.order_by("id").values_list("customer_email", flat=True)
        assert list(emails) == ["john@example.com", "jane@example.com"]
