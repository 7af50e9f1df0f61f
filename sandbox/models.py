"""The emulated provider's own books. `key` and `account` are the caller's words."""

import hashlib
from collections.abc import Mapping, Set
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.ids import IdField
from core.money import CURRENCY_LENGTH, Money
from core.queue import QueueRow
from sandbox.cards import CARDS, CHARGEBACK, FAILURE_MESSAGES, INQUIRY, Card

KEY_LENGTH = 255
NAME_LENGTH = 255
CODE_LENGTH = 32
URL_LENGTH = 2048
PHONE_LENGTH = 64
HASH_LENGTH = 64  # SHA-256 in hex

BANK_NAME = "Sandbox Bank"
ACCOUNT_DIGITS = 10


class Charge(QueueRow):
    """Money asked of a payer. Due while it is processing, and once more if its card is going to dispute it.

    `amount_refunded` counts pending refunds too; it goes back when one fails.
    """

    class Method(models.TextChoices):
        CARD = "card", _("Card")
        PAYPAL = "paypal", _("PayPal")
        BANK_TRANSFER = "bank_transfer", _("Bank transfer")
        MOBILE_MONEY = "mobile_money", _("Mobile money")

    class Status(models.TextChoices):
        PROCESSING = "processing", _("Processing")
        REQUIRES_ACTION = "requires_action", _("Requires action")
        AWAITING_TRANSFER = "awaiting_transfer", _("Awaiting transfer")
        AUTHORIZED = "authorized", _("Authorized")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    TRANSITIONS: ClassVar[Mapping[str, Set[str]]] = {
        Status.PROCESSING: {Status.REQUIRES_ACTION, Status.AUTHORIZED, Status.SUCCEEDED, Status.FAILED},
        Status.REQUIRES_ACTION: {Status.PROCESSING, Status.FAILED},
        Status.AWAITING_TRANSFER: {Status.PROCESSING, Status.FAILED},
        Status.AUTHORIZED: {Status.SUCCEEDED, Status.CANCELLED},
    }
    AWAITS_PAYER: ClassVar[Set[str]] = {Status.REQUIRES_ACTION, Status.AWAITING_TRANSFER}

    id = IdField("ch")
    key = models.CharField(max_length=KEY_LENGTH, unique=True, help_text=_("The caller's idempotency key."))
    fingerprint = models.CharField(max_length=HASH_LENGTH, editable=False)
    account = models.CharField(max_length=NAME_LENGTH)
    account_name = models.CharField(max_length=NAME_LENGTH)
    amount = models.PositiveBigIntegerField(help_text=_("Minor units."))
    amount_captured = models.PositiveBigIntegerField(default=0)
    amount_refunded = models.PositiveBigIntegerField(default=0)
    currency = models.CharField(max_length=CURRENCY_LENGTH)
    method = models.CharField(max_length=16, choices=Method.choices)
    token = models.CharField(max_length=64, blank=True, default="")
    phone = models.CharField(max_length=PHONE_LENGTH, blank=True, default="")
    capture = models.BooleanField(help_text=_("Captured as soon as it is authorized."))
    description = models.TextField(blank=True, default="")
    return_url = models.CharField(max_length=URL_LENGTH, blank=True, default="")
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.PROCESSING)
    approved = models.BooleanField(default=False, help_text=_("The payer approved it on our page."))
    failure_code = models.CharField(max_length=CODE_LENGTH, blank=True, default="")
    decline_code = models.CharField(max_length=CODE_LENGTH, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="sandbox_charge_amount"),
            models.CheckConstraint(
                condition=Q(amount_captured__gte=0, amount_captured__lte=F("amount")),
                name="sandbox_charge_not_over_captured",
            ),
            models.CheckConstraint(
                condition=Q(amount_refunded__gte=0, amount_refunded__lte=F("amount_captured")),
                name="sandbox_charge_not_over_refunded",
            ),
        ]
        indexes = [models.Index(fields=["account", "id"], name="sandbox_charge_by_account")]

    def __str__(self) -> str:
        return self.id

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def card(self) -> Card | None:
        return CARDS.get(self.token)

    @property
    def awaits_payer(self) -> bool:
        return self.status in self.AWAITS_PAYER

    def as_dict(self) -> dict[str, Any]:
        """The charge as the API shows it; amounts in minor units."""
        return {
            "id": self.id,
            "object": "charge",
            "key": self.key,
            "account": self.account,
            "amount": self.amount,
            "amount_captured": self.amount_captured,
            "amount_refunded": self.amount_refunded,
            "currency": self.currency,
            "method": str(self.method),
            "status": str(self.status),
            "failure_code": self.failure_code,
            "failure_message": FAILURE_MESSAGES.get(self.failure_code, ""),
            "decline_code": self.decline_code,
            "next_action": self._next_action() if self.awaits_payer else None,
            "card": {"brand": self.card.brand, "last4": self.card.last4} if self.card else None,
        }

    def _next_action(self) -> dict[str, str]:
        url = settings.SITE_URL + reverse("sandbox_charge", kwargs={"charge_id": self.id})
        if self.method != self.Method.BANK_TRANSFER:
            return {"type": "redirect", "url": url}
        digest = int(hashlib.sha256(self.id.encode()).hexdigest(), 16)
        return {
            "type": "bank_transfer",
            "bank_name": BANK_NAME,
            "account_name": self.account_name,
            "account_number": f"{digest % 10**ACCOUNT_DIGITS:0{ACCOUNT_DIGITS}}",
            "reference": self.id[-ACCOUNT_DIGITS:].upper(),
            "url": url,
        }


class Operation(QueueRow):
    """A capture, void or refund of a charge. A failed one stays on the books with its `failure_code`."""

    class Kind(models.TextChoices):
        CAPTURE = "capture", _("Capture")
        VOID = "void", _("Void")
        REFUND = "refund", _("Refund")

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")

    TRANSITIONS: ClassVar[Mapping[str, Set[str]]] = {
        Status.PENDING: {Status.SUCCEEDED, Status.FAILED},
        Status.SUCCEEDED: {Status.FAILED},  # refunds only: the bank sends the money back
    }

    id = IdField("sre")
    key = models.CharField(max_length=KEY_LENGTH, unique=True, help_text=_("The caller's idempotency key."))
    fingerprint = models.CharField(max_length=HASH_LENGTH, editable=False)
    charge = models.ForeignKey(Charge, models.PROTECT, related_name="operations")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    amount = models.PositiveBigIntegerField(help_text=_("Minor units."))
    currency = models.CharField(max_length=CURRENCY_LENGTH)
    status = models.CharField(max_length=12, choices=Status.choices)
    failure_code = models.CharField(max_length=CODE_LENGTH, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("-id",)
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="sandbox_operation_amount")]

    def __str__(self) -> str:
        return self.id

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    def as_dict(self) -> dict[str, Any]:
        """The operation as the API shows it; amount in minor units."""
        return {
            "id": self.id,
            "object": str(self.kind),
            "key": self.key,
            "charge": self.charge_id,
            "amount": self.amount,
            "currency": self.currency,
            "status": str(self.status),
            "failure_code": self.failure_code,
        }


class Transfer(QueueRow):
    """Money on its way from an account here to its holder's bank. Due while it is, and once more if it comes back."""

    class Status(models.TextChoices):
        IN_TRANSIT = "in_transit", _("In transit")
        PAID = "paid", _("Paid")
        FAILED = "failed", _("Failed")

    TRANSITIONS: ClassVar[Mapping[str, Set[str]]] = {
        Status.IN_TRANSIT: {Status.PAID, Status.FAILED},
        Status.PAID: {Status.FAILED},  # the bank sends the money back
    }

    id = IdField("str")
    key = models.CharField(max_length=KEY_LENGTH, unique=True, help_text=_("The caller's idempotency key."))
    fingerprint = models.CharField(max_length=HASH_LENGTH, editable=False)
    account = models.CharField(max_length=NAME_LENGTH)
    amount = models.PositiveBigIntegerField(help_text=_("Minor units."))
    currency = models.CharField(max_length=CURRENCY_LENGTH)
    last4 = models.CharField(max_length=4, help_text=_("Of the bank account; the rest is not kept."))
    outcome = models.CharField(
        max_length=CODE_LENGTH, blank=True, default="", help_text=_("A failure code, as the account number asked for.")
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.IN_TRANSIT)
    failure_code = models.CharField(max_length=CODE_LENGTH, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="sandbox_transfer_amount")]

    def __str__(self) -> str:
        return self.id

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    def as_dict(self) -> dict[str, Any]:
        """The transfer as the API shows it; amount in minor units."""
        return {
            "id": self.id,
            "object": "transfer",
            "key": self.key,
            "account": self.account,
            "amount": self.amount,
            "currency": self.currency,
            "last4": self.last4,
            "status": str(self.status),
            "failure_code": self.failure_code,
        }


class Dispute(models.Model):
    """Money that the payer's bank takes back, or asks about."""

    class Stage(models.TextChoices):
        INQUIRY = INQUIRY, _("Inquiry")
        CHARGEBACK = CHARGEBACK, _("Chargeback")

    class Status(models.TextChoices):
        NEEDS_RESPONSE = "needs_response", _("Needs response")

    id = IdField("sdp")
    charge = models.ForeignKey(Charge, models.PROTECT, related_name="disputes")
    amount = models.PositiveBigIntegerField(help_text=_("Minor units."))
    currency = models.CharField(max_length=CURRENCY_LENGTH)
    reason = models.CharField(max_length=CODE_LENGTH)
    stage = models.CharField(max_length=12, choices=Stage.choices)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.NEEDS_RESPONSE)
    due_by = models.DateTimeField(help_text=_("An answer after this is too late."))
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="sandbox_dispute_amount")]

    def __str__(self) -> str:
        return self.id

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    def as_dict(self) -> dict[str, Any]:
        """The dispute as the API shows it: the charge's key, amount in minor units, `due_by` in ISO 8601."""
        return {
            "id": self.id,
            "object": "dispute",
            "key": self.charge.key,
            "charge": self.charge_id,
            "account": self.charge.account,
            "amount": self.amount,
            "currency": self.currency,
            "reason": self.reason,
            "stage": str(self.stage),
            "status": str(self.status),
            "due_by": self.due_by.isoformat(),
        }


class Notice(models.Model):
    """The emulated webhook: what changed, kept until the caller acknowledges it."""

    class Kind(models.TextChoices):
        PAYMENT = "payment", _("Payment")
        REFUND = "refund", _("Refund")
        DISPUTE = "dispute", _("Dispute")

    id = IdField("ntf")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    type = models.CharField(max_length=64)
    key = models.CharField(max_length=KEY_LENGTH, db_index=True)
    payload = models.JSONField()
    delivered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        indexes = [models.Index(fields=["delivered_at", "id"], name="sandbox_notice_pending")]

    def __str__(self) -> str:
        return f"{self.type} {self.key}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": str(self.kind),
            "type": self.type,
            "key": self.key,
            "payload": self.payload,
            "created_at": self.created_at.isoformat(),
        }
