"""Taking money: a payment, the transactions at a provider that it took, and what providers tell us."""

import secrets
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import EMAIL_LENGTH, LOCATION_LENGTH, NAME_LENGTH, PHONE_LENGTH, Customer, Merchant, Method
from core.idempotency import IdempotentRow
from core.ids import MAX_LENGTH, IdField
from core.mail import LANGUAGE_LENGTH
from core.money import CURRENCY_LENGTH, Money
from core.queue import QueueRow
from core.state import Transitions

DESCRIPTION_LENGTH = 500
ORDER_ID_LENGTH = 64
URL_LENGTH = 2048
CODE_LENGTH = 64
METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_VALUE_LENGTH = 50, 40, 500
MESSAGE_LENGTH = 255

REFERENCE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U to misread


def new_reference() -> str:
    """`TG-` and ten characters, for people to read out."""
    return "TG-" + "".join(secrets.choice(REFERENCE_ALPHABET) for _i in range(10))


CARD_METHODS = {Method.CREDIT_CARD, Method.DEBIT_CARD}


class Status(models.TextChoices):
    PENDING = "pending", _("Pending")
    REQUIRES_ACTION = "requires_action", _("Requires action")
    PROCESSING = "processing", _("Processing")
    AUTHORIZED = "authorized", _("Authorized")
    COMPLETED = "completed", _("Completed")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")
    REFUNDED = "refunded", _("Refunded")


class CaptureMethod(models.TextChoices):
    AUTOMATIC = "automatic", _("Automatic")
    MANUAL = "manual", _("Manual")


class CancellationReason(models.TextChoices):
    DUPLICATE = "duplicate", _("Duplicate")
    FRAUDULENT = "fraudulent", _("Fraudulent")
    REQUESTED_BY_CUSTOMER = "requested_by_customer", _("Requested by customer")
    ABANDONED = "abandoned", _("Abandoned")
    EXPIRED = "expired", _("Expired")
    VOID = "void", _("Void")


# The statuses in which a payment holds its order: in flight, or paid for ever.
HOLDS_ORDER = {Status.PROCESSING, Status.AUTHORIZED, Status.COMPLETED, Status.REFUNDED}
UNPAID = {Status.PENDING, Status.REQUIRES_ACTION, Status.PROCESSING}


class PaymentQuerySet(models.QuerySet["Payment"]):
    def locked(self, **lookup: object) -> "Payment":
        """The payment, its row locked until the commit. Whoever changes a payment, or anything that hangs off
        it, locks it by this first."""
        return self.select_for_update().get(**lookup)


class Payment(IdempotentRow, QueueRow):
    """What a customer pays a merchant. Amounts in minor units; `due_at` is when one expires
    that is unpaid, or authorized and not captured."""

    TRANSITIONS: ClassVar[Transitions] = {
        Status.PENDING: {
            Status.REQUIRES_ACTION,
            Status.PROCESSING,
            Status.COMPLETED,
            Status.FAILED,
            Status.CANCELLED,
        },
        Status.REQUIRES_ACTION: {Status.PROCESSING, Status.PENDING, Status.FAILED, Status.CANCELLED},
        Status.PROCESSING: {
            Status.COMPLETED,
            Status.AUTHORIZED,
            Status.REQUIRES_ACTION,
            Status.PENDING,
            Status.FAILED,
            Status.CANCELLED,
        },
        Status.AUTHORIZED: {Status.COMPLETED, Status.CANCELLED},
        Status.COMPLETED: {Status.REFUNDED},
        # A refund failed after the fact: back to what it was. No request may ask for that.
        Status.REFUNDED: {Status.COMPLETED, Status.FAILED, Status.CANCELLED},
        Status.FAILED: {Status.COMPLETED, Status.REFUNDED},
        Status.CANCELLED: {Status.REFUNDED},
    }

    id = IdField("pay")
    reference = models.CharField(max_length=13, unique=True, default=new_reference, editable=False)
    # No index of its own: those of the lists start with it. The same for a transaction's foreign keys.
    merchant = models.ForeignKey(Merchant, models.PROTECT, db_index=False, related_name="payments")
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="payments")
    order_id = models.CharField(max_length=ORDER_ID_LENGTH, null=True, blank=True)  # noqa: DJ001 NULL: no order
    # SHA-256 of merchant and order while the status holds the order: one success per order, kept by the database.
    order_key = models.CharField(max_length=64, null=True, unique=True, editable=False)  # noqa: DJ001

    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING)
    amount = models.PositiveBigIntegerField(help_text=_("Minor units"))
    currency = models.CharField(max_length=CURRENCY_LENGTH)
    amount_captured = models.PositiveBigIntegerField(default=0)
    amount_refunded = models.PositiveBigIntegerField(default=0)
    amount_refund_pending = models.PositiveBigIntegerField(default=0)
    amount_disputed = models.PositiveBigIntegerField(default=0)
    surplus_due_at = models.DateTimeField(null=True, blank=True, db_index=True, editable=False)

    # The payer as they gave themselves; the customer row may say otherwise.
    customer_name = models.CharField(max_length=NAME_LENGTH)
    customer_email = models.EmailField(max_length=EMAIL_LENGTH)  # as normalize_email spells it
    customer_phone = models.CharField(max_length=PHONE_LENGTH, blank=True, default="")
    customer_location = models.CharField(max_length=LOCATION_LENGTH, blank=True, default="")
    language = models.CharField(max_length=LANGUAGE_LENGTH, default="en", editable=False)  # of mails to the payer
    description = models.CharField(max_length=DESCRIPTION_LENGTH, blank=True, default="")
    metadata = models.JSONField(default=dict, blank=True)
    return_url = models.CharField(max_length=URL_LENGTH, blank=True, default="")

    provider = models.CharField(max_length=16)
    capture_method = models.CharField(max_length=10, choices=CaptureMethod.choices, default=CaptureMethod.AUTOMATIC)
    payment_method = models.CharField(max_length=16, choices=Method.choices, blank=True, default="")
    card_brand = models.CharField(max_length=16, blank=True, default="")
    card_last4 = models.CharField(max_length=4, blank=True, default="")
    card_expiry_month = models.PositiveSmallIntegerField(null=True, blank=True)
    card_expiry_year = models.PositiveSmallIntegerField(null=True, blank=True)

    payer_attempts = models.PositiveSmallIntegerField(default=0)
    failure_code = models.CharField(max_length=CODE_LENGTH, blank=True, default="")
    next_action = models.JSONField(null=True, blank=True)
    cancellation_reason = models.CharField(max_length=24, choices=CancellationReason.choices, blank=True, default="")
    expires_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = PaymentQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["merchant", "idempotency_key"], name="payment_idempotency_key"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="payment_amount_above_zero"),
            models.CheckConstraint(
                condition=Q(amount_captured__gte=F("amount_refunded") + F("amount_refund_pending")),
                name="payment_not_over_refunded",
            ),
            models.CheckConstraint(
                condition=Q(order_key__isnull=True) | Q(status__in=sorted(HOLDS_ORDER)),
                name="payment_order_key_only_while_held",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.COMPLETED) | Q(amount_captured__gt=0),
                name="payment_completed_is_captured",
            ),
        ]
        # A list walks the first of these that fits (core/indexes.py): the fewest rows come first.
        indexes = [
            models.Index(fields=["merchant", "order_id", "id"], name="payment_by_order"),
            models.Index(fields=["merchant", "customer_email", "id"], name="payment_by_customer"),
            models.Index(fields=["merchant", "status", "id"], name="payment_by_status"),
            models.Index(fields=["merchant", "id"], name="payment_by_merchant"),
            models.Index(fields=["customer_email", "id"], name="payment_by_email"),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def is_sandbox(self) -> bool:
        return self.provider == "sandbox"

    @property
    def in_flight(self) -> bool:
        """Whether a transaction is on its way to the provider, or there, with nothing for the payer to do."""
        waiting = {TransactionStatus.PENDING, TransactionStatus.PROCESSING}
        return self.transactions.filter(open_for=self.pk, status__in=waiting).exists()

    @property
    def checkout_url(self) -> str:
        return settings.SITE_URL + reverse("checkout", args=[self.pk])


class TransactionKind(models.TextChoices):
    SALE = "sale", _("Sale")
    AUTHORIZATION = "authorization", _("Authorization")
    CAPTURE = "capture", _("Capture")
    VOID = "void", _("Void")
    REFUND = "refund", _("Refund")
    CHARGEBACK = "chargeback", _("Chargeback")
    CHARGEBACK_REVERSAL = "chargeback_reversal", _("Chargeback reversal")


class TransactionStatus(models.TextChoices):
    PENDING = "pending", _("Pending")
    PROCESSING = "processing", _("Processing")
    REQUIRES_ACTION = "requires_action", _("Requires action")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


class Transaction(IdempotentRow, QueueRow):
    """One operation at one provider. It is committed before the provider is called, and its id is the
    provider's idempotency key, so a crash in between leaves only a question to ask later."""

    TRANSITIONS: ClassVar[Transitions] = {
        TransactionStatus.PENDING: {
            TransactionStatus.PROCESSING,
            TransactionStatus.FAILED,
            TransactionStatus.CANCELLED,
        },
        TransactionStatus.PROCESSING: {
            TransactionStatus.REQUIRES_ACTION,
            TransactionStatus.SUCCEEDED,
            TransactionStatus.FAILED,
            TransactionStatus.CANCELLED,
        },
        TransactionStatus.REQUIRES_ACTION: {
            TransactionStatus.PROCESSING,
            TransactionStatus.SUCCEEDED,
            TransactionStatus.FAILED,
            TransactionStatus.CANCELLED,
        },
        # A provider may report success after we had given up: the money is real.
        TransactionStatus.FAILED: {TransactionStatus.SUCCEEDED},
        TransactionStatus.CANCELLED: {TransactionStatus.SUCCEEDED},
    }

    id = IdField("txn")
    payment = models.ForeignKey(Payment, models.PROTECT, db_index=False, related_name="transactions")
    merchant = models.ForeignKey(Merchant, models.PROTECT, db_index=False, related_name="transactions")
    # The payment's id until the status is final: the database lets one transaction of a payment be in flight.
    open_for = models.CharField(max_length=MAX_LENGTH, null=True, unique=True, editable=False)  # noqa: DJ001
    kind = models.CharField(max_length=20, choices=TransactionKind.choices)
    charge = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        db_index=False,
        related_name="operations",
        help_text=_("The authorization that is captured or voided"),
    )
    status = models.CharField(max_length=16, choices=TransactionStatus.choices, default=TransactionStatus.PENDING)
    amount = models.PositiveBigIntegerField(help_text=_("Minor units"))
    currency = models.CharField(max_length=CURRENCY_LENGTH)
    method = models.CharField(max_length=16, choices=Method.choices)
    source = models.CharField(max_length=64, blank=True, default="", help_text=_("The provider's token"))
    phone = models.CharField(max_length=PHONE_LENGTH, blank=True, default="")
    is_last_attempt = models.BooleanField(default=False, help_text=_("A decline fails the payment."))
    is_surplus = models.BooleanField(default=False, help_text=_("Money that could not stay, given back by itself."))
    provider = models.CharField(max_length=16)
    provider_reference = models.CharField(max_length=255, blank=True, default="")
    provider_answer = models.JSONField(default=dict, blank=True)
    failure_code = models.CharField(max_length=CODE_LENGTH, blank=True, default="")
    provider_code = models.CharField(
        max_length=CODE_LENGTH,
        blank=True,
        default="",
        help_text=_("The provider's own reason, not for the payer"),
    )
    provider_fee = models.PositiveBigIntegerField(default=0, help_text=_("Minor units"))
    platform_fee = models.PositiveBigIntegerField(default=0, help_text=_("Minor units"))
    review_reason = models.CharField(
        max_length=MESSAGE_LENGTH, blank=True, default="", help_text=_("Parked until a person has looked.")
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["merchant", "idempotency_key"], name="transaction_idempotency_key"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="transaction_amount_above_zero"),
        ]
        indexes = [
            models.Index(fields=["payment", "id"], name="transaction_by_payment"),
            models.Index(fields=["merchant", "id"], name="transaction_by_merchant"),
            models.Index(fields=["provider_reference"], name="transaction_by_reference"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)


class NoticeKind(models.TextChoices):
    PAYMENT = "payment", _("Payment")
    REFUND = "refund", _("Refund")
    DISPUTE = "dispute", _("Dispute")


class ProviderNotice(QueueRow):
    """What a provider told us, verified and kept. Only a trigger: the provider is asked before anything counts."""

    id = IdField("ntc")
    provider = models.CharField(max_length=16)
    event_id = models.CharField(max_length=255)
    kind = models.CharField(max_length=8, choices=NoticeKind.choices)
    type = models.CharField(max_length=CODE_LENGTH)
    transaction_id = models.CharField(max_length=MAX_LENGTH, blank=True, default="", help_text=_("Our key"))
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        constraints = [models.UniqueConstraint(fields=["provider", "event_id"], name="notice_once")]

    def __str__(self) -> str:
        return f"{self.provider} {self.type}"
