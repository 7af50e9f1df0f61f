"""Two merchants that have everything a merchant can have. Every text of one holds its own word, so whatever crosses
over to the other shows; what two merchants may have in common is the same: orders, payers, idempotency keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import ApiKey, Customer, Membership, Merchant, User
from accounts.policy import SCOPES
from accounts.services import add_member, create_key, create_merchant, invite_member, revoke_key
from accounts.services.logins import start_login
from core.idempotency import read_key
from core.ids import new_id
from core.money import Money
from ledger.models import BankAccount, Entry, Payout
from ledger.services import book_capture, create_payout, settle
from notifications.models import Event, WebhookDelivery, WebhookEndpoint
from notifications.services import create_endpoint, disable_endpoint
from payments.models import HOLDS_ORDER, Payment, Status, Transaction, TransactionStatus
from payments.services.status import order_key
from refunds.models import Refund
from refunds.services import create_refund

PAYERS = ("one@payers.example", "two@payers.example")  # they pay at both merchants
ROLES = ("viewer", "support", "developer", "finance", "admin", "owner")
READ_SCOPES = [scope for scope in SCOPES if scope.endswith(":read")]
KEYS = {"full": SCOPES, "read": READ_SCOPES, "gone": SCOPES, "spare": ["payments:read"]}
HOUR = timedelta(hours=1)
SETTLED = 10_000_000  # minor units that can be paid out or given back
# The transaction that stands behind a payment of this status.
BEHIND = {
    Status.REQUIRES_ACTION: TransactionStatus.REQUIRES_ACTION,
    Status.PROCESSING: TransactionStatus.PROCESSING,
    Status.AUTHORIZED: TransactionStatus.SUCCEEDED,
    Status.COMPLETED: TransactionStatus.SUCCEEDED,
    Status.REFUNDED: TransactionStatus.SUCCEEDED,
    Status.CANCELLED: TransactionStatus.CANCELLED,
}
IN_FLIGHT = {TransactionStatus.REQUIRES_ACTION, TransactionStatus.PROCESSING}

Headers = dict[str, str]


@dataclass
class Tenant:
    word: str
    merchant: Merchant
    users: dict[str, User] = field(default_factory=dict)  # by role
    members: dict[str, Membership] = field(default_factory=dict)  # by role
    invited: Membership = field(init=False)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    headers: dict[str, Headers] = field(default_factory=dict)  # by role or key
    idle: Customer = field(init=False)  # has no payments
    payments: dict[str, Payment] = field(default_factory=dict)  # by status
    transactions: list[Transaction] = field(default_factory=list)
    refund: Refund = field(init=False)  # waits for approval
    bank_account: BankAccount = field(init=False)
    payout: Payout = field(init=False)  # has not left
    endpoint: WebhookEndpoint = field(init=False)  # is told of the refund
    silent: WebhookEndpoint = field(init=False)  # is disabled

    @property
    def delivery(self) -> WebhookDelivery:
        """Of the event that the refund was made."""
        return self.endpoint.deliveries.select_related("event").get()

    def marks(self) -> set[str]:
        """What nobody else may see: ids, references, amounts, addresses and, once for all texts, the word."""
        people = [*self.users.values(), *self.members.values(), self.invited, *self.keys.values()]
        customers = list(Customer.objects.filter(merchant=self.merchant))
        rows = [self.merchant, *people, *customers, *self.payments.values(), *self.transactions, self.refund]
        rows += [self.bank_account, self.payout]
        for model in (Entry, Event, WebhookDelivery, WebhookEndpoint):
            rows += model.objects.filter(merchant=self.merchant)
        amounts = {str(row.money) for row in (*self.payments.values(), self.refund, self.payout)}
        return {self.word, *(row.pk for row in rows), *amounts, *(it.reference for it in self.payments.values())}


def new_tenant(word: str, number: int) -> Tenant:
    """`number` sets its amounts apart."""
    merchant = create_merchant(
        name=f"{word} Ltd", status=Merchant.Status.ACTIVE, brand_name=word, refund_approval_limit=0
    )
    tenant = Tenant(word, merchant)
    _add_people(tenant)
    _add_keys(tenant)
    tenant.idle = Customer.objects.create(
        merchant=tenant.merchant, email=f"idle@{word}.example", name=f"{word} idle", idempotency_key=same_key("idle")
    )
    for place, status in enumerate(Status):
        _add_payment(tenant, status, place, amount=number * 10_000_000 + place * 1111 + 7)
    _add_payout(tenant, amount=number * 1000 + 73)
    tenant.silent = disable_endpoint(_endpoint(tenant, "silent"))  # before there is another to be told of it
    tenant.endpoint = _endpoint(tenant, "endpoint")
    tenant.refund, _replayed = create_refund(
        tenant.payments[Status.COMPLETED],
        key=same_key("refund"),
        by=None,
        amount=f"{number}017.31",
        note=f"{word} note",
    )
    return tenant


def same_key(name: str) -> str | None:
    return read_key(name, None)


def bearer(credential: str) -> Headers:
    return {"Authorization": f"Bearer {credential}"}


def logged_in(user: User) -> Headers:
    return bearer(str(start_login(user)["access"]))


def _add_people(tenant: Tenant) -> None:
    for role in ROLES:
        user = User.objects.create(
            email=f"{role}@{tenant.word}.example", name=f"{tenant.word} {role}", email_verified_at=timezone.now()
        )
        tenant.users[role] = user
        tenant.members[role] = add_member(tenant.merchant, user, role)
        tenant.headers[role] = logged_in(user)
    tenant.invited, _replayed = invite_member(
        tenant.merchant,
        by=tenant.users["owner"],
        by_role="owner",
        email=f"invited@{tenant.word}.example",
        role="support",
        key=same_key("invited"),
    )


def _add_keys(tenant: Tenant) -> None:
    for name, scopes in KEYS.items():
        row, secret = create_key(
            tenant.merchant,
            by=tenant.users["owner"],
            by_role="owner",
            key=same_key(name),
            name=f"{tenant.word} {name}",
            scopes=list(scopes),
        )
        tenant.keys[name] = row
        tenant.headers[name] = bearer(str(secret))
    revoke_key(tenant.keys["gone"])


def _add_payment(tenant: Tenant, status: str, place: int, *, amount: int) -> None:
    word, order_id = tenant.word, f"order-{place}"
    email = [*PAYERS, f"payer@{word}.example"][place % 3]
    customer, _made = Customer.objects.get_or_create(
        merchant=tenant.merchant, email=email, defaults={"name": f"{word} {email}", "phone": f"{word} phone"}
    )
    is_paid = status in (Status.COMPLETED, Status.REFUNDED)
    payment = Payment.objects.create(
        merchant=tenant.merchant,
        customer=customer,
        order_id=order_id,
        order_key=order_key(tenant.merchant.pk, order_id) if status in HOLDS_ORDER else None,
        status=status,
        amount=amount,
        currency="USD",
        amount_captured=amount if is_paid else 0,
        amount_refunded=amount if status == Status.REFUNDED else 0,
        customer_name=f"{word} {place}",
        customer_email=email,
        description=f"{word} things",
        metadata={"note": word},
        provider="sandbox",
        payment_method="paypal",
        failure_code="card_declined" if status == Status.FAILED else "",
        expires_at=timezone.now() + HOUR,
        completed_at=timezone.now() if is_paid else None,
        idempotency_key=same_key(order_id),
    )
    tenant.payments[status] = payment
    _add_transaction(tenant, payment, BEHIND.get(payment.status, TransactionStatus.FAILED))


def _add_transaction(tenant: Tenant, payment: Payment, status: str) -> None:
    tenant.transactions.append(
        Transaction.objects.create(
            payment=payment,
            merchant=tenant.merchant,
            open_for=payment.pk if status in IN_FLIGHT else None,
            kind="authorization" if payment.status == Status.AUTHORIZED else "sale",
            status=status,
            amount=payment.amount,
            currency=payment.currency,
            method="paypal",
            provider="sandbox",
            provider_reference=f"{tenant.word} reference",
            provider_answer={"note": tenant.word},
            failure_code="card_declined" if status == TransactionStatus.FAILED else "",
        )
    )


def _add_payout(tenant: Tenant, *, amount: int) -> None:
    """Of `amount` minor units, a small part of what is available."""
    merchant = tenant.merchant
    where = {"merchant_id": merchant.pk, "currency": "USD"}
    settle(book_capture(new_id("txn"), SETTLED, fee=0, settles_in=timedelta(0), **where).settlement)
    tenant.bank_account = BankAccount.objects.create(
        merchant=merchant,
        currency="USD",
        in_use_for=f"{merchant.pk} USD",
        country="US",
        holder=f"{tenant.word} holder",
        bank_name=f"{tenant.word} bank",
        account_number="000123456789",
        last4=tenant.word[:4],
        idempotency_key=same_key("bank"),
    )
    money = Money(amount, "USD")
    tenant.payout, _replayed = create_payout(merchant, currency="USD", amount=str(money), key=same_key("payout"))


def _endpoint(tenant: Tenant, name: str) -> WebhookEndpoint:
    url = f"https://{tenant.word}.example/{name}"
    return create_endpoint(tenant.merchant, url=url, event_types=["*"], key=same_key(name))[0]


@contextmanager
def undone() -> Iterator[None]:
    """Whatever happens to the database in here has not happened afterwards."""
    block = transaction.atomic()
    block._from_testcase = True  # as Django's TestCase says it: durable blocks may stand inside
    with block:
        yield
        transaction.set_rollback(True)
