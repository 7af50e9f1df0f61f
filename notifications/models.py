"""What happened, kept as it was: the events that webhooks and emails are made of."""

from django.db import models
from django.utils import timezone

from accounts.models import Merchant
from core.ids import MAX_LENGTH, IdField

PAYMENT_STATUSES = (
    "requires_action pending processing authorized completed failed cancelled refunded".split()  # noqa: SIM905
)
EVENT_TYPES = ["payment.created", *(f"payment.{status}" for status in PAYMENT_STATUSES), "payment.surplus"]


class Event(models.Model):
    """A snapshot of an object at the moment of a change. `sequence` counts the events of one object from 1."""

    id = IdField("evt")
    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="events")
    type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=MAX_LENGTH)
    sequence = models.PositiveIntegerField()
    # Text, not JSON: a database's JSON would read 50.00 back as 50.0.
    payload = models.TextField(help_text="The object as JSON, as the API showed it at that moment.")
    request_id = models.CharField(max_length=MAX_LENGTH, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        constraints = [models.UniqueConstraint(fields=["object_id", "sequence"], name="event_sequence_once")]
        indexes = [models.Index(fields=["merchant", "id"], name="event_by_merchant")]

    def __str__(self) -> str:
        return f"{self.type} {self.object_id}"
