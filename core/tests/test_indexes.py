import pytest
from django.apps import apps
from django.db import connection
from django.db.models import Q

from core.ids import new_id
from core.indexes import along_index, force_index, list_index, shared_columns
from core.mail import Email

Customer, Payment, Transaction = (
    apps.get_model(name) for name in ("accounts.Customer", "payments.Payment", "payments.Transaction")
)
MERCHANT = new_id("mer")
HINT = "FORCE INDEX (`payment_by_merchant`)" if connection.vendor == "mysql" else ""


def sql(rows):
    return str(rows.query)


class TestForceIndex:
    @pytest.fixture
    def rows(self):
        return force_index(Payment.objects.filter(merchant=MERCHANT), "payment_by_merchant")

    @pytest.mark.parametrize(
        "change",
        [
            lambda rows: rows,
            lambda rows: rows.filter(status="failed", id__lt="pay_x").order_by("id")[:21],
            lambda rows: rows.exclude(Q(currency="USD") | Q(amount__gt=5)).defer("metadata"),
            lambda rows: rows.values_list("id").distinct(),
            lambda rows: rows.select_related("customer"),
            lambda rows: rows.filter(customer__name="x"),
            lambda rows: Payment.objects.filter(id__in=rows.values("id")),
        ],
    )
    def test_outlives_what_is_done_to_the_query(self, db, rows, change):
        changed = change(rows)
        assert HINT in sql(changed)
        assert ("FORCE INDEX" in sql(changed)) == (connection.vendor == "mysql")
        assert list(changed) == []

    def test_counts_and_looks_and_changes_as_before(self, db, rows):
        assert (rows.count(), rows.exists(), rows.update(status="failed"), rows.first()) == (0, False, 0, None)
        assert list(rows.select_for_update()) == []

    def test_leaves_the_query_it_came_from_alone(self):
        rows = Payment.objects.filter(merchant=MERCHANT)
        before = sql(rows)
        force_index(rows, "payment_by_merchant")
        assert sql(rows) == before


class TestListIndex:
    @pytest.mark.parametrize(
        ("filters", "name"),
        [
            ({"merchant": MERCHANT}, "payment_by_merchant"),
            ({"merchant_id": MERCHANT, "currency": "USD"}, "payment_by_merchant"),
            ({"merchant": MERCHANT, "status": "failed"}, "payment_by_status"),
            ({"merchant": MERCHANT, "status__in": ["failed", "pending"]}, "payment_by_merchant"),
            ({"merchant": MERCHANT, "customer_email": "j@example.com", "status": "failed"}, "payment_by_customer"),
            ({"merchant": MERCHANT, "order_id": "1", "customer_email": "j@example.com"}, "payment_by_order"),
            ({"customer_email": "j@example.com", "status": "failed"}, "payment_by_email"),
            ({"merchant": MERCHANT, "reference": "TG-0123456789"}, None),
            ({"merchant": MERCHANT, "id": "pay_x"}, None),
            ({"merchant": MERCHANT, "idempotency_key": "x"}, None),
            ({"merchant": MERCHANT, "customer": "cus_x"}, None),
            ({"merchant__name": "Acme"}, None),
            ({"status": "failed"}, None),
            ({}, None),
        ],
    )
    def test_of_payments_is_the_one_with_the_fewest_rows(self, filters, name):
        index = list_index(Payment.objects.filter(**filters))
        assert (index and index.name) == name

    def test_of_other_models(self):
        by_merchant, by_email = Customer.objects.filter(merchant=MERCHANT), {"email": "j@example.com"}
        assert list_index(by_merchant).name == "customer_by_merchant"
        assert list_index(by_merchant.filter(**by_email)) is None  # there is one at most
        assert list_index(Transaction.objects.filter(payment="pay_x")).name == "transaction_by_payment"
        mails = Email.objects.filter(merchant_id=MERCHANT)
        assert list_index(mails).name == list_index(mails.filter(status="failed")).name == "email_by_merchant"
        assert list_index(Transaction.objects.filter(payment__customer_email="j@example.com")) is None

    def test_is_of_the_related_rows_too(self, shop):
        assert list_index(shop.payments.filter(Q(status="failed") & Q(currency="USD"))).name == "payment_by_status"

    def test_is_what_a_list_walks(self, shop):
        assert (HINT in sql(along_index(shop.payments.all()))) is True
        assert "FORCE INDEX" not in sql(along_index(Payment.objects.all()))


class TestSharedColumns:
    @pytest.mark.parametrize(
        "condition",
        [
            ~Q(status="failed"),
            Q(status="failed") | Q(merchant=MERCHANT),
            Q(status__in=["failed"]),
            Q(status__startswith="failed"),
            Q(order_id=None),
            Q(customer__email="j@example.com"),
            Q(id__gt="pay_x"),
        ],
    )
    def test_are_none_where_rows_may_differ(self, condition):
        assert shared_columns(Payment.objects.filter(condition)) == set()

    def test_are_all_that_must_be_equal(self):
        rows = Payment.objects.filter(Q(status="failed") & Q(currency="USD") & (Q(amount=5) | Q(amount=6)))
        assert shared_columns(rows.exclude(order_id="1").filter(merchant=MERCHANT)) == {
            "status",
            "currency",
            "merchant",
        }
