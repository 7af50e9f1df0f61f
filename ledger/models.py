"""The books: double entry, written once and never changed; and payouts, by which money leaves them."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Merchant, Method, User
from core.encryption import EncryptedTextField
from core.idempotency import IdempotentRow
from core.ids import MAX_LENGTH, IdField
from core.money import CURRENCY_LENGTH, Money, currency_choices
from core.queue import QueueRow
from core.state import Transitions

NAME_LENGTH = 200
MAX_ACCOUNT_NUMBER = 34  # characters of the longest IBAN (ISO 13616)
ROUTING_NUMBER_LENGTH = 20
CODE_LENGTH = 64
REASON_LENGTH = 255
LAST_ANCHOR = 28  # the last day that every month has


class Account(models.TextChoices):
    """The accounts of each merchant in each currency. What the provider owes stands on the debit side, what we owe
    the merchant, and what is on its way, on the credit side."""

    PROVIDER_RECEIVABLE = "provider_receivable", _("Provider receivable")
    MERCHANT_PENDING = "merchant_pending", _("Merchant pending")
    MERCHANT_AVAILABLE = "merchant_available", _("Merchant available")
    FEES = "fees", _("Fees")
    REFUND_CLEARING = "refund_clearing", _("Refund clearing")
    DISPUTE_HOLD = "dispute_hold", _("Dispute hold")
    PAYOUT_CLEARING = "payout_clearing", _("Payout clearing")
    SUSPENSE = "suspense", _("Suspense")


# The numbers of a balance, and the accounts that each is the sum of.
BALANCES: dict[str, tuple[Account, ...]] = {
    "pending": (Account.MERCHANT_PENDING,),
    "available": (Account.MERCHANT_AVAILABLE,),
    "reserved": (Account.REFUND_CLEARING, Account.DISPUTE_HOLD, Account.PAYOUT_CLEARING),
}
BALANCE_OF = {account: name for name, accounts in BALANCES.items() for account in accounts}
# These hold what was set aside, so they never owe anything.
NEVER_NEGATIVE = (Account.REFUND_CLEARING, Account.DISPUTE_HOLD, Account.PAYOUT_CLEARING)


class Kind(models.TextChoices):
    """The business facts that are booked; each has its helper in ledger.services."""

    CAPTURE = "capture", _("Capture")
    FEE = "fee", _("Fee")
    SETTLEMENT = "settlement", _("Settlement")
    REFUND_RESERVED = "refund_reserved", _("Refund reserved")
    REFUND_SUCCEEDED = "refund_succeeded", _("Refund succeeded")
    CHARGEBACK = "chargeback", _("Chargeback")
    CHARGEBACK_LOST = "chargeback_lost", _("Chargeback lost")
    PAYOUT_CREATED = "payout_created", _("Payout created")
    PAYOUT_PAID = "payout_paid", _("Payout paid")
    REVERSAL = "reversal", _("Reversal")


# What each fact debits and what it credits; a reversal books the opposite of another journal.
POSTINGS: dict[Kind, tuple[Account, Account]] = {
    Kind.CAPTURE: (Account.PROVIDER_RECEIVABLE, Account.MERCHANT_PENDING),
    Kind.FEE: (Account.MERCHANT_PENDING, Account.FEES),
    Kind.SETTLEMENT: (Account.MERCHANT_PENDING, Account.MERCHANT_AVAILABLE),
    Kind.REFUND_RESERVED: (Account.MERCHANT_AVAILABLE, Account.REFUND_CLEARING),
    Kind.REFUND_SUCCEEDED: (Account.REFUND_CLEARING, Account.PROVIDER_RECEIVABLE),
    Kind.CHARGEBACK: (Account.MERCHANT_AVAILABLE, Account.DISPUTE_HOLD),
    Kind.CHARGEBACK_LOST: (Account.DISPUTE_HOLD, Account.PROVIDER_RECEIVABLE),
    Kind.PAYOUT_CREATED: (Account.MERCHANT_AVAILABLE, Account.PAYOUT_CLEARING),
    Kind.PAYOUT_PAID: (Account.PAYOUT_CLEARING, Account.PROVIDER_RECEIVABLE),
}


class Journal(models.Model):
    """One business fact. `source_id` is the row that it is about: a fact is booked once."""

    id = IdField("jnl")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    source_id = models.CharField(max_length=MAX_LENGTH)
    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="journals")
    currency = models.CharField(max_length=CURRENCY_LENGTH)
    reverses = models.OneToOneField("self", models.PROTECT, null=True, blank=True, related_name="reversed_by")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        constraints = [models.UniqueConstraint(fields=["kind", "source_id"], name="journal_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.source_id}"


class Entry(models.Model):
    """One line of a journal: minor units, above zero on the debit side, below zero on the credit side."""

    id = IdField("ent")
    journal = models.ForeignKey(Journal, models.PROTECT, related_name="entries")
    merchant = models.ForeignKey(Merchant, models.PROTECT, db_index=False, related_name="entries")
    currency = models.CharField(max_length=CURRENCY_LENGTH)
    account = models.CharField(max_length=20, choices=Account.choices)
    # Which of BALANCES the account counts for, so that an index holds the rows of each number side by side.
    balance = models.CharField(max_length=9, blank=True, default="", editable=False)
    amount = models.BigIntegerField(help_text=_("Minor units; debit above zero, credit below"))
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = _("entries")
        constraints = [models.CheckConstraint(condition=~Q(amount=0), name="entry_is_not_zero")]
        indexes = [
            models.Index(fields=["merchant", "currency", "balance", "id"], name="entry_by_balance"),
            models.Index(fields=["merchant", "id"], name="entry_by_merchant"),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.amount} {self.currency}"

    @property
    def money(self) -> Money:
        """What the entry adds to the account's balance, as its merchant reads it."""
        return Money(self.amount if self.account == Account.PROVIDER_RECEIVABLE else -self.amount, self.currency)


class Settlement(QueueRow):
    """Captured money, less its fee, that becomes available at `due_at`. How much that is, the books say."""

    id = IdField("stl")
    capture = models.OneToOneField(Journal, models.PROTECT, related_name="settlement")

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"of {self.capture_id}"


class Snapshot(models.Model):
    """The sum of an account's entries up to one of them, so that a balance costs the same however many there are."""

    id = IdField("snap")
    merchant = models.ForeignKey(Merchant, models.PROTECT, db_index=False, related_name="snapshots")
    currency = models.CharField(max_length=CURRENCY_LENGTH)
    account = models.CharField(max_length=20, choices=Account.choices)
    amount = models.BigIntegerField(help_text=_("Minor units; debit above zero, credit below"))
    up_to = models.CharField(max_length=MAX_LENGTH, help_text=_("Entries with an id below this are in the amount."))

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "currency", "account"], name="snapshot_of_an_account")
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.amount} {self.currency}"


class Fee(models.Model):
    """What a capture costs a merchant, set by staff: a share of the amount and a fixed part in one currency."""

    class Payee(models.TextChoices):
        PROVIDER = "provider", _("Provider")
        PLATFORM = "platform", _("Platform")

    id = IdField("fee")
    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="fees")
    payee = models.CharField(max_length=8, choices=Payee.choices)
    method = models.CharField(
        max_length=16, choices=Method.choices, blank=True, default="", help_text=_("Empty: every method")
    )
    currency = models.CharField(max_length=CURRENCY_LENGTH, choices=currency_choices, help_text=_("ISO 4217"))
    basis_points = models.PositiveIntegerField(default=0, help_text=_("Hundredths of a percent"))
    fixed = models.PositiveBigIntegerField(default=0, help_text=_("Minor units"))

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "payee", "method", "currency"], name="fee_once"),
            models.CheckConstraint(condition=Q(basis_points__lte=10_000), name="fee_is_not_more_than_all"),
        ]

    def __str__(self) -> str:
        return f"{self.payee} {self.basis_points} bp + {self.fixed} {self.currency}"


class Halt(models.Model):
    """While there is one, the books do not agree and no payout is made; reading goes on."""

    id = IdField("halt")
    reason = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    lifted_at = models.DateTimeField(null=True, blank=True)
    # Of one that was lifted in spite of what `stood`: that alone does not halt payouts again.
    lifted_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    lifted_because = models.TextField(blank=True, default="")
    stood = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.reason[:80]


class BankAccountQuerySet(models.QuerySet["BankAccount"]):
    def sealed(self) -> "BankAccountQuerySet":
        """Without reading the number: it is needed to pay out, and perhaps ENCRYPTION_KEYS no longer open one."""
        return self.defer("account_number")


class BankAccount(IdempotentRow, QueueRow):
    """Where a merchant's payouts in one currency go, and when they leave by themselves: `due_at` is the next time.

    Its details are never edited: another one takes its place, so a payout shows for ever where it went.
    """

    class Schedule(models.TextChoices):
        MANUAL = "manual", _("Manual")
        DAILY = "daily", _("Daily")
        WEEKLY = "weekly", _("Weekly")
        MONTHLY = "monthly", _("Monthly")

    id = IdField("ba")
    merchant = models.ForeignKey(Merchant, models.PROTECT, db_index=False, related_name="bank_accounts")
    currency = models.CharField(max_length=CURRENCY_LENGTH, help_text=_("ISO 4217"))
    # Merchant and currency while payouts go here, NULL afterwards: one at a time, kept by the database.
    in_use_for = models.CharField(max_length=MAX_LENGTH + 4, null=True, unique=True, editable=False)  # noqa: DJ001
    country = models.CharField(max_length=2, help_text=_("ISO 3166-1 alpha-2"))
    holder = models.CharField(max_length=NAME_LENGTH)
    bank_name = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    routing_number = models.CharField(max_length=ROUTING_NUMBER_LENGTH, blank=True, default="")
    account_number = EncryptedTextField(help_text=_("Or the IBAN"))
    last4 = models.CharField(max_length=4)
    schedule = models.CharField(max_length=7, choices=Schedule.choices, default=Schedule.MANUAL)
    anchor = models.PositiveSmallIntegerField(
        default=1, help_text=_("Weekly: 1 is Monday (ISO 8601). Monthly: the day, from 1 to 28.")
    )
    minimum = models.PositiveBigIntegerField(
        default=0, help_text=_("Minor units; less than this waits for the next time.")
    )
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = BankAccountQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["merchant", "idempotency_key"], name="bank_account_idempotency_key"),
            models.CheckConstraint(
                condition=Q(due_at__isnull=True) | (Q(in_use_for__isnull=False) & ~Q(schedule="manual")),
                name="bank_account_due_while_scheduled",
            ),
            models.CheckConstraint(condition=Q(anchor__gte=1, anchor__lte=LAST_ANCHOR), name="bank_account_anchor"),
        ]
        indexes = [models.Index(fields=["merchant", "id"], name="bank_account_by_merchant")]

    def __str__(self) -> str:
        return f"{self.bank_name} …{self.last4} ({self.currency})".strip()

    @property
    def is_in_use(self) -> bool:
        return self.in_use_for is not None


class PayoutStatus(models.TextChoices):
    PENDING = "pending", _("Pending")
    HELD = "held", _("Held")
    IN_TRANSIT = "in_transit", _("In transit")
    PAID = "paid", _("Paid")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


SET_ASIDE = {PayoutStatus.PENDING, PayoutStatus.HELD, PayoutStatus.IN_TRANSIT}
TO_CARRY_OUT = {PayoutStatus.PENDING, PayoutStatus.IN_TRANSIT}  # the bank has to be told, or asked
RETURNED = {PayoutStatus.FAILED, PayoutStatus.CANCELLED}


class PayoutQuerySet(models.QuerySet["Payout"]):
    def with_account(self) -> "PayoutQuerySet":
        """With the bank account as it is shown, sealed."""
        return self.select_related("bank_account").defer("bank_account__account_number")


class Payout(IdempotentRow, QueueRow):
    """Available money on its way to a merchant's bank account, set aside when the row is made. `due_at` is when its
    carrier (ledger/carriers.py) is asked; a payout that staff carry out by hand is never due."""

    TRANSITIONS: ClassVar[Transitions] = {
        PayoutStatus.PENDING: {PayoutStatus.HELD, PayoutStatus.IN_TRANSIT, PayoutStatus.CANCELLED},
        PayoutStatus.HELD: {PayoutStatus.PENDING, PayoutStatus.CANCELLED},
        PayoutStatus.IN_TRANSIT: {PayoutStatus.PAID, PayoutStatus.FAILED},
        PayoutStatus.PAID: {PayoutStatus.FAILED},  # the bank sends the money back, days later
    }

    id = IdField("po")
    merchant = models.ForeignKey(Merchant, models.PROTECT, db_index=False, related_name="payouts")
    bank_account = models.ForeignKey(BankAccount, models.PROTECT, related_name="payouts")
    status = models.CharField(max_length=10, choices=PayoutStatus.choices, default=PayoutStatus.PENDING)
    amount = models.PositiveBigIntegerField(help_text=_("Minor units"))
    currency = models.CharField(max_length=CURRENCY_LENGTH)
    carrier = models.CharField(max_length=16, blank=True, default="", help_text=_("Empty: staff, by hand"))
    carrier_reference = models.CharField(max_length=255, blank=True, default="")
    failure_code = models.CharField(max_length=CODE_LENGTH, blank=True, default="")
    review_reason = models.CharField(
        max_length=REASON_LENGTH, blank=True, default="", help_text=_("Parked until a person has looked.")
    )
    settled_up_to = models.CharField(
        max_length=MAX_LENGTH,
        help_text=_("Older entries are settled, by this payout or one before; where the next one begins to look."),
    )
    is_scheduled = models.BooleanField(default=False)
    requested_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    sent_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = PayoutQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["merchant", "idempotency_key"], name="payout_idempotency_key"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="payout_amount_above_zero"),
        ]
        indexes = [
            models.Index(fields=["merchant", "status", "id"], name="payout_by_status"),
            models.Index(fields=["merchant", "id"], name="payout_by_merchant"),
        ]

    def __str__(self) -> str:
        return self.pk

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)


class PayoutLine(models.Model):
    """An entry that a payout settles, or the part of it. The lines of a payout sum to its amount; they are never
    changed, for what comes back is booked as an entry of its own."""

    id = IdField("pol")
    payout = models.ForeignKey(Payout, models.PROTECT, db_index=False, related_name="lines")
    entry = models.ForeignKey(Entry, models.PROTECT, related_name="payout_lines")
    amount = models.BigIntegerField(help_text=_("Minor units; above zero what adds to the payout"))

    class Meta:
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(fields=["payout", "entry"], name="payout_line_once"),
            models.CheckConstraint(condition=~Q(amount=0), name="payout_line_is_not_zero"),
        ]
        indexes = [models.Index(fields=["payout", "id"], name="payout_line_by_payout")]

    def __str__(self) -> str:
        return self.pk

    @property
    def money(self) -> Money:
        return Money(self.amount, self.entry.currency)
