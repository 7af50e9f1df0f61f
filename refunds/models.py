"""Giving money back."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Merchant, User
from core.idempotency import IdempotentRow
from core.ids import IdField
from core.money import CURRENCY_LENGTH, Money
from core.state import Transitions
from payments.models import CODE_LENGTH, Payment, Transaction

NOTE_LENGTH = 500


class Reason(models.TextChoices):
    REQUESTED_BY_CUSTOMER = "requested_by_customer", _("Requested by customer")
    DUPLICATE = "duplicate", _("Duplicate")
    FRAUDULENT = "fraudulent", _("Fraudulent")
    PRODUCT_NOT_RECEIVED = "product_not_received", _("Product not received")
    PRODUCT_UNACCEPTABLE = "product_unacceptable", _("Product unacceptable")
    OTHER = "other", _("Other")


class Status(models.TextChoices):
    REQUIRES_APPROVAL = "requires_approval", _("Requires approval")
    PENDING = "pending", _("Pending")
    PROCESSING = "processing", _("Processing")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


# The statuses in which a refund's amount is set aside on its payment.
RESERVED = {Status.REQUIRES_APPROVAL, Status.PENDING, Status.PROCESSING}


class Refund(IdempotentRow):
    """Money on its way back to a payer. The amount is set aside when the row is made; the provider is asked through
    `transaction`, whose id is the key."""

    TRANSITIONS: ClassVar[Transitions] = {
        Status.REQUIRES_APPROVAL: {Status.PENDING, Status.CANCELLED},
        Status.PENDING: {Status.PROCESSING, Status.CANCELLED},
        Status.PROCESSING: {Status.SUCCEEDED, Status.FAILED},
        Status.SUCCEEDED: {Status.FAILED},  # the bank sends the money back, days later
    }

    id = IdField("re")
    merchant = models.ForeignKey(Merchant, models.PROTECT, db_index=False, related_name="refunds")
    payment = models.ForeignKey(Payment, models.PROTECT, db_index=False, related_name="refunds")
    charge = models.ForeignKey(
        Transaction, models.PROTECT, related_name="refunds_of", help_text=_("What took the money at the provider")
    )
    transaction = models.OneToOneField(
        Transaction, models.PROTECT, null=True, related_name="refund", help_text=_("What gives it back there")
    )
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.PENDING)
    amount = models.PositiveBigIntegerField(help_text=_("Minor units"))
    currency = models.CharField(max_length=CURRENCY_LENGTH)
    reason = models.CharField(max_length=24, choices=Reason.choices, default=Reason.REQUESTED_BY_CUSTOMER)
    note = models.CharField(max_length=NOTE_LENGTH, blank=True, default="", help_text=_("The merchant's own"))
    failure_code = models.CharField(max_length=CODE_LENGTH, blank=True, default="")
    is_surplus = models.BooleanField(default=False, help_text=_("Money that could not stay, given back by itself."))
    # Who asked, or made the API key that did. NULL: they are gone, or nobody asked us.
    requested_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    approved_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["merchant", "idempotency_key"], name="refund_idempotency_key"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="refund_amount_above_zero"),
        ]
        indexes = [
            models.Index(fields=["payment", "id"], name="refund_by_payment"),
            models.Index(fields=["merchant", "status", "id"], name="refund_by_status"),
            models.Index(fields=["merchant", "id"], name="refund_by_merchant"),
        ]

    def __str__(self) -> str:
        return self.pk

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)
