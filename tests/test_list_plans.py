"""What a page of a list costs, on 150,000 payments: the rows that the database reads, and by which index.

SQLite tells neither, so these are for MariaDB, MySQL and PostgreSQL.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.core.management.color import no_style
from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.sql.datastructures import BaseTable
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.request import Request

from accounts.models import Customer, Merchant
from core.api import PAGE_SIZE, paginate
from core.ids import new_id
from core.indexes import IndexedTable
from payments.admin import TransactionAdmin
from payments.filters import list_payments, list_transactions
from payments.models import Payment, Status, Transaction
from payments.providers import OperationResult
from refunds.services.notices import _apply

IS_MYSQL = connection.vendor == "mysql"
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite does not tell how many rows it reads"),
]

SPAN = timedelta(days=400)
OTHERS = 20  # merchants besides the busy one
COPIES = 100  # of each payment that Python makes
BUSY_ROWS, OTHER_ROWS = 100_000, 2_500
FEW = 2 * (PAGE_SIZE + 1)  # rows that a page may read
DEPTHS = [0, 1_000, 50_000, 99_000]
REGULAR = "regular@example.com"  # pays every seventh time
# None has most of the payments: for such a one PostgreSQL may as well walk the payments of any status.
STATUSES = [Status.COMPLETED] * 4 + [Status.FAILED] * 3 + [Status.PENDING] * 3

INDEXED = {
    "": "payment_by_merchant",
    "status=completed": "payment_by_status",
    "status=pending": "payment_by_status",
    "order_id=subscription": "payment_by_order",
    "search=subscription": "payment_by_order",
    f"customer_email={REGULAR}": "payment_by_customer",
    f"search={REGULAR}": "payment_by_customer",
}
WINDOWED = [
    "method=paypal",
    "currency=GBP",
    "currency=USD&amount_min=900000",
    "status=refunded,cancelled",
    "status=completed&currency=GBP",
    "search=nothing",
]


# --- The rows ---------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def busy(django_db_setup: None, django_db_blocker: Any) -> Iterator[Merchant]:
    """The merchant that has most of the payments, with a transaction each."""
    with django_db_blocker.unblock():
        merchants = [Merchant.objects.create(name=str(number)) for number in range(OTHERS + 1)]
        for number, merchant in enumerate(merchants):
            _start(merchant, number, (OTHER_ROWS if number else BUSY_ROWS) // COPIES)
        _multiply(Payment, "id", "reference")
        _multiply(Transaction, "id", "payment_id", "provider_reference")
        yield merchants[0]
        tables = [model._meta.db_table for model in (Transaction, Payment)]
        truncate = connection.ops.sql_flush(no_style(), tables, reset_sequences=True, allow_cascade=True)
        connection.ops.execute_sql_flush(truncate)
        Customer.objects.all().delete()
        Merchant.objects.all().delete()


def _start(merchant: Merchant, number: int, count: int) -> None:
    """Payments evenly over the span; the last two characters of what is unique are left to the copies."""
    customer = Customer.objects.create(merchant=merchant, email=REGULAR, name="Regular")
    now = timezone.now()
    payments = [
        Payment(
            id=new_id("pay", at=(at := now - SPAN * n / count), randomness=bytes([number] + [0] * 9)),
            reference=f"TG-{number:02}{n:06}00",
            merchant=merchant,
            customer=customer,
            customer_name="Regular",
            customer_email=REGULAR if n % 7 == 0 else f"{n}@example.com",
            order_id="subscription" if n % 10 == 3 else f"order-{n}",
            status=STATUSES[n % len(STATUSES)],
            amount=1000 + n,
            amount_captured=1000 + n,
            currency="EUR" if n % 3 else "USD",
            provider="sandbox",
            payment_method="credit_card",
            created_at=at,
            expires_at=at,
        )
        for n in range(count)
    ]
    Payment.objects.bulk_create(payments)
    Transaction.objects.bulk_create(map(_sale, payments))


def _sale(payment: Payment) -> Transaction:
    return Transaction(
        id=payment.pk.replace("pay_", "txn_"),
        payment=payment,
        merchant=payment.merchant,
        kind="sale",
        status="succeeded",
        amount=payment.amount,
        currency=payment.currency,
        method=payment.payment_method,
        provider=payment.provider,
        provider_reference=payment.reference.replace("TG-", "ch_"),
        created_at=payment.created_at,
    )


def _multiply(model: type[Model], *unique: str) -> None:
    """Each row with every number at the end of these columns; and fresh statistics for the planner."""
    table, quote = model._meta.db_table, connection.ops.quote_name
    numbers = " UNION ALL ".join(f"SELECT '{n:02}' AS digits" for n in range(1, COPIES))
    names = [field.column for field in model._meta.concrete_fields]
    values = [
        f"CONCAT(LEFT({quote(name)}, LENGTH({quote(name)}) - 2), digits)" if name in unique else quote(name)
        for name in names
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(map(quote, names))}) "  # noqa: S608
            f"SELECT {', '.join(values)} FROM {table} CROSS JOIN ({numbers}) copies ORDER BY 1"
        )
        cursor.execute(f"ANALYZE {'TABLE' if IS_MYSQL else ''} {table}")


# --- What a page costs ------------------------------------------------------------------------
@dataclass
class Cost:
    queries: int
    rows_read: int
    indexes: set[str]
    shown: int


@pytest.fixture
def cost(busy: Merchant) -> Callable[..., Cost]:
    """The cost of the page of payments, the busy merchant's unless others are given, that a query string asks for."""

    def of(query: str, rows: QuerySet[Any] | None = None, listing: Any = list_payments) -> Cost:
        rows = busy.payments.all() if rows is None else rows
        request = Request(RequestFactory().get(f"/?{query.strip('&')}"))
        before = _handler_reads()
        with CaptureQueriesContext(connection) as captured:
            found = listing(request.query_params, rows)
            shown = len(paginate(request, found.rows, ascending=found.ascending).rows)
        read = _handler_reads() - before
        explained = _explain_mysql if IS_MYSQL else _explain_postgresql
        indexes, counted = explained(captured[-1]["sql"])
        return Cost(len(captured), read or counted, indexes, shown)

    return of


def _handler_reads() -> int:
    """The rows that this connection has asked its storage engine for."""
    if not IS_MYSQL:
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(value) for _name, value in cursor.fetchall())


def _explain_mysql(sql: str) -> tuple[set[str], int]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        key = [column[0] for column in cursor.description].index("key")
        return {row[key] for row in cursor.fetchall()}, 0


def _explain_postgresql(sql: str) -> tuple[set[str], int]:
    """The indexes used, and the rows read."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}")
        plans = list(_nodes(cursor.fetchone()[0][0]["Plan"]))
    leaves = [plan for plan in plans if "Plans" not in plan]
    read = sum((leaf["Actual Rows"] + leaf.get("Rows Removed by Filter", 0)) * leaf["Actual Loops"] for leaf in leaves)
    return {plan["Index Name"] for plan in plans if "Index Name" in plan}, read


def _nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


@pytest.fixture(scope="module")
def cursors(busy: Merchant) -> dict[int, str]:
    """The busy merchant's payment at each depth, without its prefix."""
    ids = Payment.objects.filter(merchant=busy).order_by("-id").values_list("id", flat=True)
    return {depth: ids[depth][4:] for depth in [*DEPTHS, *(BUSY_ROWS - depth for depth in DEPTHS[1:])]}


class TestOnePage:
    @pytest.mark.parametrize("depth", DEPTHS)
    @pytest.mark.parametrize("ordering", ["-created", "created"])
    @pytest.mark.parametrize("filters", INDEXED)
    def test_reads_few_rows_by_the_index_of_its_filter(self, cost, cursors, filters, ordering, depth):
        page = cost(f"{filters}&ordering={ordering}{_after(cursors, depth, ordering)}")
        assert page.indexes == {INDEXED[filters]}
        assert page.rows_read <= FEW
        assert page.shown == PAGE_SIZE

    @pytest.mark.parametrize("direction", ["after", "before"])
    @pytest.mark.parametrize("ordering", ["-created", "created"])
    def test_reads_few_rows_in_any_direction(self, cost, cursors, ordering, direction):
        page = cost(f"ordering={ordering}&cursor={direction}.pay_{cursors[50_000]}")
        assert (page.shown, page.rows_read <= FEW) == (PAGE_SIZE, True)

    @pytest.mark.parametrize("status", ["", "&status=completed"])
    @pytest.mark.parametrize("ordering", ["-created", "created"])
    def test_of_a_time_long_ago_reads_few_rows(self, cost, ordering, status):
        start, end = (f"{timezone.now() - timedelta(days=days):%Y-%m-%d}" for days in (300, 200))
        page = cost(f"created_after={start}&created_before={end}&ordering={ordering}{status}")
        assert page.indexes == {"payment_by_status" if status else "payment_by_merchant"}
        assert (page.shown, page.rows_read <= FEW) == (PAGE_SIZE, True)

    @pytest.mark.parametrize("query", ["", f"search={REGULAR}", "search=order-", "currency=EUR&method=paypal"])
    def test_takes_the_same_queries_however_many_rows(self, cost, query):
        assert cost(query).queries == cost(f"{query}&page_size=100").queries <= 4

    def test_finds_what_is_called_so_by_its_own_index(self, cost, busy):
        oldest = busy.payments.order_by("id").first()
        for name in (oldest.pk, oldest.reference):
            page = cost(f"search={name}")
            assert (page.shown, page.rows_read <= FEW) == (1, True)

    @pytest.mark.skipif(not IS_MYSQL, reason="PostgreSQL is not told which index to take")
    def test_would_walk_every_newer_row_by_the_planners_choice(self, cost, cursors, monkeypatch):
        monkeypatch.setattr(IndexedTable, "as_sql", BaseTable.as_sql)
        assert cost(f"cursor=after.pay_{cursors[50_000]}").rows_read > 50_000


class TestOneCustomersPage:
    @pytest.mark.parametrize("ordering", ["-created", "created"])
    def test_reads_few_rows_of_all_merchants(self, cost, cursors, ordering):
        for depth in (0, 1_000, 50_000):
            cursor = _after(cursors, depth, ordering)
            page = cost(f"ordering={ordering}{cursor}", Payment.objects.filter(customer_email=REGULAR))
            assert page.indexes == {"payment_by_email"}
            assert (page.shown, page.rows_read <= FEW) == (PAGE_SIZE, True)


class TestOnePageOfTransactions:
    @pytest.mark.parametrize("depth", DEPTHS)
    @pytest.mark.parametrize("ordering", ["-created", "created"])
    def test_reads_few_rows(self, cost, cursors, busy, ordering, depth):
        cursor = _after(cursors, depth, ordering, "txn")
        page = cost(f"ordering={ordering}{cursor}", busy.transactions.all(), list_transactions)
        assert page.indexes == {"transaction_by_merchant"}
        assert (page.shown, page.rows_read <= FEW) == (PAGE_SIZE, True)

    def test_of_one_payment_reads_these_only(self, cost, cursors, busy):
        payment = f"pay_{cursors[99_000]}"
        of_merchant = cost(f"payment_id={payment}&status=pending", busy.transactions.all(), list_transactions)
        of_payment = cost("", Transaction.objects.filter(payment=payment), list_transactions)
        for page in (of_merchant, of_payment):
            assert page.indexes == {"transaction_by_payment"}
            assert page.rows_read <= 2

    def test_that_no_index_serves_reads_the_window(self, cost, busy):
        page = cost("kind=void", busy.transactions.all(), list_transactions)
        assert (page.shown, page.rows_read <= _of_window(Transaction) + 1) == (0, True)


class TestTransactionOfAReference:
    @pytest.fixture
    def by_notice(self) -> Callable[[Transaction], Any]:
        """Looks for it as a notice of a refund does that was made at the provider."""
        return lambda txn: _apply("sandbox", OperationResult("processing", "", "", txn.provider_reference, txn.money))

    @pytest.fixture
    def by_search(self, rf: RequestFactory) -> Callable[[Transaction], Any]:
        """Looks for it as somebody in the back office does."""
        backoffice, newest = TransactionAdmin(Transaction, admin.site), Transaction.objects.order_by("-pk")
        return lambda txn: list(backoffice.get_search_results(rf.get("/"), newest, txn.provider_reference)[0])

    @pytest.mark.parametrize("how", ["by_notice", "by_search"])
    def test_is_found_by_its_own_index(self, busy, request, how):
        txn, look = busy.transactions.order_by("id")[0], request.getfixturevalue(how)
        before = _handler_reads()
        with CaptureQueriesContext(connection) as captured:
            look(txn)
        read = _handler_reads() - before
        sql = next(query["sql"] for query in captured if txn.provider_reference in query["sql"])
        indexes, counted = (_explain_mysql if IS_MYSQL else _explain_postgresql)(sql)
        assert (indexes, (read or counted) <= FEW) == ({"transaction_by_reference"}, True)


class TestOnePageWithoutAnIndex:
    @pytest.mark.parametrize("query", WINDOWED)
    def test_that_finds_nothing_reads_the_window_and_no_more(self, cost, query):
        page = cost(query)
        assert page.shown == 0
        assert page.rows_read <= _of_window(Payment) + FEW


def _after(cursors: dict[int, str], depth: int, ordering: str, prefix: str = "pay") -> str:
    """The cursor to that many rows from the start of the list, which is its end when the oldest are first."""
    if depth == 0:
        return ""
    return f"&cursor=after.{prefix}_{cursors[depth if ordering == '-created' else BUSY_ROWS - depth]}"


def _of_window(model: type[Model]) -> int:
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return model.objects.filter(created_at__gte=midnight - timedelta(days=90)).count()
