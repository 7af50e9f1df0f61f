"""A list costs the same however long it is: as many queries for fifty rows as for one, whoever asks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import ApiKey, Customer, Merchant, User
from accounts.policy import SCOPES
from accounts.services import add_member, create_key, create_merchant
from core.ids import new_id
from ledger.models import BankAccount, Entry, Payout, PayoutLine
from ledger.services import book_refund_reserved
from notifications.models import Event, WebhookDelivery, WebhookEndpoint
from payments.models import Payment, Transaction
from refunds.models import Refund
from tests.tenants import Headers, bearer, logged_in

pytestmark = pytest.mark.django_db

MANY = 50
# Who asks (one query), for which merchant (one, not for a key), the rows (one). For a payment's transactions the
# payment as well; for those of a customer, which payments are theirs.
MAX_QUERIES = 4
PAYER = "payer@payers.example"


@dataclass
class Shop:
    """A merchant with one of everything, of which it can get more."""

    merchant: Merchant
    owner: User
    customer: Customer

    def payments(self, count: int) -> list[Payment]:
        common: dict[str, Any] = {"merchant": self.merchant, "customer": self.customer, "customer_email": PAYER}
        common |= {"amount": 5000, "currency": "USD", "provider": "sandbox", "order_id": "order-1"}
        common |= {"expires_at": timezone.now() + timedelta(hours=1), "failure_code": "card_declined"}
        common |= {"card_brand": "visa", "card_last4": "4242", "card_expiry_month": 12, "card_expiry_year": 2040}
        return Payment.objects.bulk_create(Payment(**common) for _n in range(count))

    def transactions(self, count: int) -> None:
        payment = Payment.objects.get()
        common: dict[str, Any] = {"merchant": self.merchant, "payment": payment, "amount": 5000, "currency": "USD"}
        common |= {"kind": "sale", "status": "failed", "method": "paypal", "provider": "sandbox"}
        Transaction.objects.bulk_create(Transaction(**common) for _n in range(count))

    def refunds(self, count: int) -> None:
        charge = Transaction.objects.get()
        common: dict[str, Any] = {"merchant": self.merchant, "payment_id": charge.payment_id, "charge": charge}
        Refund.objects.bulk_create(Refund(**common, amount=1, currency="USD") for _n in range(count))

    def events(self, count: int) -> list[Event]:
        common = {"merchant": self.merchant, "type": "payment.created", "sequence": 1, "payload": "{}"}
        return Event.objects.bulk_create(Event(**common, object_id=new_id("pay")) for _n in range(count))

    def endpoints(self, count: int) -> list[WebhookEndpoint]:
        common = {"merchant": self.merchant, "url": "https://shop.example", "secret": "secret"}
        return WebhookEndpoint.objects.bulk_create(WebhookEndpoint(**common) for _n in range(count))

    def deliveries(self, count: int) -> None:
        common = {"merchant": self.merchant, "endpoint": self.endpoints(1)[0], "status": "delivered"}
        WebhookDelivery.objects.bulk_create(WebhookDelivery(**common, event=event) for event in self.events(count))

    def entries(self, count: int) -> None:
        """Each is booked with another."""
        where = {"merchant_id": self.merchant.pk, "currency": "USD"}
        for _n in range(count):
            book_refund_reserved(new_id("re"), 1, **where)

    def bank_accounts(self, count: int) -> list[BankAccount]:
        common = {"merchant": self.merchant, "currency": "USD", "account_number": "000123456789", "last4": "6789"}
        return BankAccount.objects.bulk_create(BankAccount(**common) for _n in range(count))

    def payouts(self, count: int) -> list[Payout]:
        common = {"merchant": self.merchant, "bank_account": self.bank_accounts(1)[0], "amount": 1, "currency": "USD"}
        return Payout.objects.bulk_create(Payout(**common) for _n in range(count))

    def payout_lines(self, count: int) -> None:
        self.entries(count)
        entries = Entry.objects.filter(payout_lines=None)[:count]
        payout = Payout.objects.get()
        PayoutLine.objects.bulk_create(PayoutLine(payout=payout, entry=entry, amount=1) for entry in entries)

    def customers(self, count: int) -> None:
        addresses = [f"{n}@payers.example" for n in range(count)]
        Customer.objects.bulk_create(Customer(merchant=self.merchant, email=it, name="Payer") for it in addresses)

    def members(self, count: int) -> None:
        for n in range(count):
            add_member(self.merchant, User.objects.create(email=f"{n}@shop.example"), "viewer")

    def keys(self, count: int) -> None:
        hashes = [f"{n:064}" for n in range(count)]
        ApiKey.objects.bulk_create(ApiKey(merchant=self.merchant, name="Key", secret_hash=it) for it in hashes)

    def merchants(self, count: int) -> None:
        for n in range(count):
            add_member(create_merchant(name=f"Shop {n}"), self.owner, "owner")


More = Callable[[Shop, int], object]
# The operation, its path, what it lists, and who may ask.
LISTS: list[tuple[str, str, More, str]] = [
    ("listPayments", "payments", Shop.payments, "member key customer"),
    ("listPaymentsOfOrder", "payments/order/order-1", Shop.payments, "member key"),
    ("listTransactionsOfPayment", "payments/{payment}/transactions", Shop.transactions, "member key customer"),
    ("listTransactions", "transactions", Shop.transactions, "member key customer"),
    ("listRefunds", "refunds", Shop.refunds, "member key"),
    ("listEntries", "balance/entries", Shop.entries, "member key"),
    ("listBankAccounts", "bank-accounts", Shop.bank_accounts, "member key"),
    ("listPayouts", "payouts", Shop.payouts, "member key"),
    ("listPayoutEntries", "payouts/{payout}/entries", Shop.payout_lines, "member key"),
    ("listEvents", "events", Shop.events, "member key"),
    ("listWebhookEndpoints", "webhook-endpoints", Shop.endpoints, "member key"),
    ("listWebhookDeliveries", "webhook-deliveries", Shop.deliveries, "member key"),
    ("listCustomers", "customers", Shop.customers, "member key"),
    ("listMembers", "members", Shop.members, "member"),
    ("listApiKeys", "api-keys", Shop.keys, "member"),
    ("listMerchants", "merchants", Shop.merchants, "member"),
]
CASES = [pytest.param(path, more, who, id=f"{name}-{who}") for name, path, more, all_ in LISTS for who in all_.split()]


@pytest.fixture
def shop() -> Shop:
    merchant = create_merchant(name="Shop", status=Merchant.Status.ACTIVE)
    owner = User.objects.create(email="owner@shop.example", name="Owner")
    add_member(merchant, owner, "owner")
    shop = Shop(merchant, owner, Customer.objects.create(merchant=merchant, email=PAYER, name="Payer"))
    shop.payments(1)
    shop.transactions(1)
    shop.refunds(1)
    shop.payouts(1)
    shop.payout_lines(1)
    shop.deliveries(1)
    return shop


@pytest.fixture
def headers(shop) -> dict[str, Headers]:
    """The key has been used before: the first use in a minute is noted."""
    payer = User.objects.create(email=PAYER, name="Payer", email_verified_at=timezone.now())
    row, secret = create_key(shop.merchant, by=shop.owner, by_role="owner", key=None, name="Key", scopes=SCOPES)
    ApiKey.objects.filter(pk=row.pk).update(last_used_at=timezone.now())
    return {"member": logged_in(shop.owner), "customer": logged_in(payer), "key": bearer(str(secret))}


@pytest.mark.parametrize(("path", "more", "who"), CASES)
def test_takes_as_many_queries_for_fifty_rows_as_for_one(shop, headers, path, more, who):
    ids = {"payment": Payment.objects.get().pk, "payout": Payout.objects.get().pk}
    url = f"/api/v1/{path.format(**ids)}?page_size=100"

    def rows_and_queries() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as captured:
            page = Client().get(url, headers=headers[who]).json()
        return max(len(value) for value in page.values() if isinstance(value, list)), len(captured)

    few, queries = rows_and_queries()
    assert few in (1, 2)
    more(shop, MANY)
    many, as_many_queries = rows_and_queries()
    assert many >= MANY
    assert as_many_queries == queries <= MAX_QUERIES


def test_no_list_is_forgotten(client):
    paths = client.get("/api/schema").json()["paths"]
    lists = {
        methods["get"]["operationId"]
        for methods in paths.values()
        if any(parameter["name"] == "cursor" for parameter in methods.get("get", {}).get("parameters", []))
    }
    assert lists == {name for name, *_rest in LISTS}
