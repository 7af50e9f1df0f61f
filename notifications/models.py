"""What happened, kept as it was, and the endpoints of merchants that are told of it."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Merchant
from core.encryption import EncryptedTextField
from core.idempotency import IdempotentRow
from core.ids import MAX_LENGTH, IdField, first_id
from core.queue import QueueRow
from core.state import Transitions
from core.targets import MAX_URL_LENGTH

PAYMENT_STATUSES = (
    "requires_action pending processing authorized completed failed cancelled refunded".split()  # noqa: SIM905
)
REFUND_STATUSES = "pending processing requires_approval succeeded failed cancelled".split()  # noqa: SIM905
DISPUTE_STATUSES = "needs_response under_review awaiting_customer won lost accepted withdrawn".split()  # noqa: SIM905
PAYOUT_STATUSES = "pending held in_transit paid failed cancelled".split()  # noqa: SIM905
ENDPOINT_DISABLED, ENDPOINT_TEST = "webhook_endpoint.disabled", "webhook_endpoint.test"
EVENT_TYPES = [
    "payment.created",
    *(f"payment.{status}" for status in PAYMENT_STATUSES),
    "payment.surplus",
    "refund.created",
    *(f"refund.{status}" for status in REFUND_STATUSES),
    "dispute.created",
    *(f"dispute.{status}" for status in DISPUTE_STATUSES),
    "dispute.evidence_submitted",
    "dispute.due_soon",
    "payout.created",
    *(f"payout.{status}" for status in PAYOUT_STATUSES),
    ENDPOINT_DISABLED,
    ENDPOINT_TEST,
]

# What an endpoint may ask for: everything, all of a noun, or one type. A test event asks nobody.
_ASKED_FOR = [name for name in EVENT_TYPES if name != ENDPOINT_TEST]
PATTERNS = ["*", *dict.fromkeys(f"{name.partition('.')[0]}.*" for name in _ASKED_FOR), *_ASKED_FOR]

DESCRIPTION_LENGTH = 500
REASON_LENGTH = 32
FAILING_AFTER = 3  # failures in a row
SLOW_SECONDS = 3.0  # longer than a receiver needs that puts the event into a queue of its own
OLD_SECRETS = ("previous_secret", "older_secret")  # of an endpoint, each with the end of its time in …_until


class Event(models.Model):
    """A snapshot of an object at the moment of a change. `sequence` counts the events of one object from 1,
    with a leap where those before were pruned."""

    id = IdField("evt")
    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="events")
    type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=MAX_LENGTH)
    sequence = models.PositiveIntegerField()
    # Text, not JSON: a database's JSON would read 50.00 back as 50.0.
    payload = models.TextField(help_text="The object as JSON, as the API showed it at that moment.")
    actor = models.CharField(
        max_length=MAX_LENGTH, blank=True, default="", help_text=_("Id of the user or key that caused it, if any.")
    )
    request_id = models.CharField(max_length=MAX_LENGTH, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        constraints = [models.UniqueConstraint(fields=["object_id", "sequence"], name="event_sequence_once")]
        indexes = [models.Index(fields=["merchant", "id"], name="event_by_merchant")]

    def __str__(self) -> str:
        return f"{self.type} {self.object_id}"


class WebhookEndpointQuerySet(models.QuerySet["WebhookEndpoint"]):
    def kept(self) -> "WebhookEndpointQuerySet":
        """Without those that were deleted: they stay for their log and their idempotency keys."""
        return self.exclude(status=WebhookEndpoint.Status.DELETED)

    def in_trouble(self, troubled: bool) -> "WebhookEndpointQuerySet":
        """Those that are failing or slow, or all others."""
        trouble = Q(failures__gte=FAILING_AFTER) | Q(is_slow=True)
        return self.filter(trouble) if troubled else self.exclude(trouble)

    def sealed(self) -> "WebhookEndpointQuerySet":
        """Without reading the secrets: they are needed to sign, and perhaps ENCRYPTION_KEYS no longer open one."""
        return self.defer("secret", *OLD_SECRETS)


class WebhookEndpoint(IdempotentRow):
    """Where a merchant wants to be told, of what, and the secret that signs it.

    `failures` counts failed attempts in a row, `failing_since` and `last_failure_at` are when the first and the last of
    them were. `is_slow` says that the last attempt took longer than SLOW_SECONDS.
    """

    class Status(models.TextChoices):
        ENABLED = "enabled", _("Enabled")
        DISABLED = "disabled", _("Disabled")
        DELETED = "deleted", _("Deleted")

    class Reason(models.TextChoices):
        REQUESTED = "requested", _("Requested")
        FAILING = "failing", _("Failing for days")
        GONE = "gone", _("Answered 410 Gone")

    TRANSITIONS: ClassVar[Transitions] = {
        Status.ENABLED: {Status.DISABLED, Status.DELETED},
        Status.DISABLED: {Status.ENABLED, Status.DELETED},
    }

    HEALTH = ("failures", "failing_since", "last_failure_at", "is_slow")

    id = IdField("we")
    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="webhook_endpoints", db_index=False)
    url = models.CharField(max_length=MAX_URL_LENGTH)
    description = models.CharField(max_length=DESCRIPTION_LENGTH, blank=True, default="")
    event_types = models.JSONField(default=list, help_text=_('Such as ["payment.completed", "refund.*"], or ["*"].'))
    secret = EncryptedTextField(editable=False)
    previous_secret = EncryptedTextField(null=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    older_secret = EncryptedTextField(null=True, editable=False)
    older_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.ENABLED)
    disabled_reason = models.CharField(max_length=10, choices=Reason.choices, blank=True, default="")
    failures = models.PositiveIntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    last_failure_at = models.DateTimeField(null=True, blank=True, editable=False)
    is_slow = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = WebhookEndpointQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = [models.Index(fields=["merchant", "id"], name="webhook_endpoint_by_merchant")]
        constraints = [
            models.UniqueConstraint(fields=["merchant", "idempotency_key"], name="webhook_endpoint_idempotency_key"),
            models.CheckConstraint(
                condition=Q(failures=0, failing_since__isnull=True) | Q(failures__gt=0, failing_since__isnull=False),
                name="webhook_endpoint_failing_since_a_failure",
            ),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def is_enabled(self) -> bool:
        return self.status == self.Status.ENABLED

    @property
    def is_failing(self) -> bool:
        return self.failures >= FAILING_AFTER

    @property
    def is_troubled(self) -> bool:
        """As in_trouble() says: it has to do with one delivery at a time, apart from the others."""
        return self.is_failing or self.is_slow

    def start_anew(self) -> None:
        """Forgets how it has answered. Saved by the caller, with the fields of HEALTH."""
        self.failures, self.failing_since, self.last_failure_at, self.is_slow = 0, None, None, False

    def listens_to(self, event_type: str) -> bool:
        """Whether the filter takes this type. A test event goes to the one endpoint that it tests."""
        return event_type != ENDPOINT_TEST and any(matches(pattern, event_type) for pattern in self.event_types)

    def secrets_at(self, moment: datetime) -> list[str]:
        """What messages of that moment are signed with: after a rotation the old secrets too."""
        return [self.secret, *(secret for secret, _until in self.old_secrets_at(moment))]

    def old_secrets_at(self, moment: datetime) -> list[tuple[str, datetime]]:
        """Those that were replaced and still sign, the newest first, each with the end of its time."""
        ends = {name: getattr(self, f"{name}_until") for name in OLD_SECRETS}
        return [(getattr(self, name), until) for name, until in ends.items() if until and moment < until]


def matches(pattern: str, event_type: str) -> bool:
    """`*` is every type, `payment.*` every one that begins with `payment.`, anything else only itself."""
    return event_type.startswith(pattern[:-1]) if pattern.endswith("*") else event_type == pattern


class WebhookDelivery(QueueRow):
    """One event on its way to one endpoint. `attempts` counts those recorded since it was (re)started."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        DELIVERED = "delivered", _("Delivered")
        FAILED = "failed", _("Failed")

    id = IdField("wd")
    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="webhook_deliveries", db_index=False)
    event = models.ForeignKey(Event, models.CASCADE, related_name="deliveries", db_index=False)
    endpoint = models.ForeignKey(WebhookEndpoint, models.PROTECT, related_name="deliveries", db_index=False)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PENDING)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(fields=["merchant", "id"], name="webhook_delivery_by_merchant"),
            models.Index(fields=["endpoint", "due_at"], name="webhook_delivery_due"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["event", "endpoint"], name="webhook_delivery_once"),
            models.CheckConstraint(
                condition=Q(status="pending", due_at__isnull=False) | ~Q(status="pending") & Q(due_at__isnull=True),
                name="webhook_delivery_due_while_pending",
            ),
        ]

    def __str__(self) -> str:
        return self.pk

    @classmethod
    def late(cls, limit: datetime) -> "models.QuerySet[WebhookDelivery]":
        """Only those of endpoints that are well and that nobody has tried since: how long merchants' servers let their
        deliveries wait, and those of others in the same lane, says nothing of our workers."""
        tried = WebhookAttempt.objects.filter(pk__gte=first_id("wa", limit)).values("delivery__endpoint")
        well = WebhookEndpoint.objects.in_trouble(False)
        return cls.objects.filter(due_at__lt=limit, endpoint__in=well).exclude(endpoint__in=tried)


class WebhookAttempt(models.Model):
    """What became of one attempt: the answer, or why there was none."""

    id = IdField("wa")
    delivery = models.ForeignKey(WebhookDelivery, models.CASCADE, related_name="log")
    status = models.PositiveSmallIntegerField(null=True, help_text=_("Of HTTP; empty when there was no answer."))
    milliseconds = models.PositiveIntegerField()
    answer = models.TextField(blank=True, default="", help_text=_("The first kilobyte."))
    error = models.CharField(max_length=REASON_LENGTH, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.pk
