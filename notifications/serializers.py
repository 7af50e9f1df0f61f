"""What events, endpoints and deliveries look like from outside, and what may be sent about them."""

from typing import Any

import orjson
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from core.api import StrictSerializer
from core.errors import ParameterInvalid
from core.fields import (
    FlagField,
    KeyedSerializer,
    NumberField,
    OneOfField,
    OptionalField,
    SetField,
    TextField,
    TimeField,
)
from core.mail import Email, Reason, Status
from core.targets import MAX_URL_LENGTH
from notifications import examples
from notifications.diagnosis import MAX_BODY, MAX_HEADERS, STEPS
from notifications.mails import AUDIENCES, MAILS, TEMPLATES
from notifications.models import DESCRIPTION_LENGTH, EVENT_TYPES, PATTERNS, WebhookDelivery, WebhookEndpoint

MAX_PATTERNS = 100
MAX_OVERLAP_HOURS = 24


# --- Events -----------------------------------------------------------------------------------
@extend_schema_field({"type": "object", "additionalProperties": True})
class SnapshotField(serializers.Field):
    """The object as JSON, letter for letter as it was kept."""

    def to_representation(self, value: str) -> Any:
        return orjson.Fragment(value)


class EventDetails(serializers.Serializer):
    """Something that happened, with the object as it was at that moment."""

    id = serializers.CharField(help_text="The event's id, and the webhook-id of its deliveries")
    type = serializers.ChoiceField([(name, name) for name in EVENT_TYPES], help_text="What happened")
    object_id = serializers.CharField(help_text="What it happened to")
    sequence = serializers.IntegerField(help_text="Counts the events of the object; a later one is greater")
    data = SnapshotField(  # type: ignore[assignment]
        source="payload", help_text="The object as the API showed it then"
    )
    actor = OptionalField(help_text="The user or API key that caused it; null: a payer, a provider or time")
    created_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.EVENT


# --- Mails ------------------------------------------------------------------------------------
class EmailChange(StrictSerializer):
    """Mails switched on or off by their template; only those that are sent change."""

    examples = {mail.template: mail.default for mail in MAILS}

    def get_fields(self) -> dict[str, serializers.Field]:
        return {mail.template: FlagField(required=False, help_text=mail.description) for mail in MAILS}


class EmailChoice(serializers.Serializer):
    """A mail that can be switched."""

    template = serializers.CharField(help_text="Its name")
    audience = serializers.ChoiceField(AUDIENCES, help_text="Who gets it: the payer, or people of the team by role")
    event_types = serializers.ListField(child=serializers.CharField(), help_text="What it tells of")
    description = serializers.CharField(help_text="The same in words")
    enabled = serializers.BooleanField(help_text="Whether it is sent")

    examples = examples.EMAIL_CHOICE


class EmailChoices(serializers.Serializer):
    """Every mail that can be switched."""

    emails = EmailChoice(many=True, help_text="To customers first")

    examples = {"emails": [examples.EMAIL_CHOICE]}


@extend_schema_serializer(component_name="Email")
class EmailDetails(serializers.Serializer):
    """A mail to one address, without what it said."""

    id = serializers.CharField(help_text="The mail's id")
    template = serializers.ChoiceField(TEMPLATES, help_text="What it says")
    to = OptionalField(help_text="To whom; null when it was skipped for a whole team")
    status = serializers.ChoiceField(Status.choices, help_text="What came of it")
    reason = OptionalField(help_text=f"Why it was not sent: {', '.join(Reason.values)}; null when nothing is wrong")
    answer = serializers.SerializerMethodField(help_text="What the mail server said when it refused")
    event_id = OptionalField(help_text="What it tells of; null for an invitation or a new key")
    created_at = TimeField(help_text="ISO 8601, UTC")
    sent_at = TimeField(allow_null=True, help_text="ISO 8601, UTC; null until the mail server has taken it")

    examples = examples.EMAIL

    def get_answer(self, email: Email) -> str | None:
        return email.last_error if email.reason == Reason.REFUSED else None


# --- Endpoints --------------------------------------------------------------------------------
class EndpointRequest(StrictSerializer):
    """Where to tell, and of what."""

    url = TextField(max_length=MAX_URL_LENGTH, help_text="A public https address")
    event_types = SetField(
        child=OneOfField([(pattern, pattern) for pattern in PATTERNS]),
        allow_empty=False,
        max_length=MAX_PATTERNS,
        help_text="`*` for everything, `payment.*` for all of a noun, or single types",
    )
    description = TextField(
        max_length=DESCRIPTION_LENGTH, required=False, allow_blank=True, help_text="Your own, for the record"
    )

    examples = examples.ENDPOINT


class NewEndpointRequest(KeyedSerializer, EndpointRequest):
    """A further endpoint."""


@extend_schema_serializer(component_name="WebhookEndpoint")
class EndpointDetails(serializers.Serializer):
    """Where a merchant is told of events."""

    id = serializers.CharField(help_text="The endpoint's id")
    url = serializers.CharField(help_text="Where to")
    description = OptionalField(help_text="The merchant's own")
    event_types = serializers.ListField(child=serializers.CharField(), help_text="Of what")
    status = serializers.ChoiceField(WebhookEndpoint.Status.choices, help_text="Whether it is told")
    disabled_reason = OptionalField(help_text="requested, failing or gone; null while it is not disabled")
    failing_since = TimeField(allow_null=True, help_text="The first of the failures in a row; null when there is none")
    created_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.ENDPOINT


@extend_schema_serializer(component_name="NewWebhookEndpoint")
class NewEndpoint(EndpointDetails):
    """An endpoint with its secret, which is shown this once."""

    secret = serializers.CharField(
        allow_null=True, help_text="Signs every message; keep it now. null when the request is a replay"
    )


class RotateRequest(StrictSerializer):
    """How the secrets before the new one end."""

    overlap_hours = NumberField(
        minimum=0,
        maximum=MAX_OVERLAP_HOURS,
        pattern="^([01]?[0-9]|2[0-4])$",
        required=False,
        default=MAX_OVERLAP_HOURS,
        help_text="How long they sign as well; 0, after a leak, ends them now",
    )

    examples = {"overlap_hours": MAX_OVERLAP_HOURS}


class ReplayRequest(StrictSerializer):
    """Which events to send again."""

    since = serializers.DateTimeField(required=False, help_text="ISO 8601: events from then on; all when absent")
    until = serializers.DateTimeField(required=False, help_text="ISO 8601: events before then; all when absent")
    delivered = FlagField(required=False, default=False, help_text="Also those that it has got before")

    examples = examples.REPLAY

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "since" in attrs and "until" in attrs and attrs["since"] > attrs["until"]:
            raise ParameterInvalid("The time ends before it begins.", param="until")
        return attrs


class Replayed(serializers.Serializer):
    """What is on its way now."""

    events = serializers.IntegerField(help_text="How many")

    examples = examples.REPLAY


class RawTextField(serializers.CharField):
    """A text letter for letter, line ends and all."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class DiagnoseRequest(StrictSerializer):
    """A message as your server has got it."""

    body = RawTextField(
        max_length=MAX_BODY, allow_blank=True, help_text="The bytes that arrived, before any parser, as UTF-8"
    )
    headers = serializers.DictField(
        child=RawTextField(max_length=MAX_HEADERS, allow_blank=True),
        help_text="By name, in any case; others do no harm",
    )

    examples = examples.DIAGNOSIS


class StepDetails(serializers.Serializer):
    """One check of a receiver."""

    name = serializers.ChoiceField(list(STEPS.items()), help_text="What is checked")
    fault = OptionalField(help_text="What is wrong; null when nothing is")

    examples = examples.STEP


class Diagnosis(serializers.Serializer):
    """What a receiver finds out about a message."""

    verified = serializers.BooleanField(help_text="Whether it verifies")
    steps = StepDetails(many=True, help_text="In order, ending with the first that fails")

    examples = examples.DIAGNOSIS


# --- Deliveries -------------------------------------------------------------------------------
class AttemptDetails(serializers.Serializer):
    """One try, and what came of it."""

    status = serializers.IntegerField(allow_null=True, help_text="Of HTTP; null when there was no answer")
    milliseconds = serializers.IntegerField(help_text="How long it took")
    answer = OptionalField(help_text="The first kilobyte of the answer")
    error = OptionalField(help_text="Why there was none")
    created_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.ATTEMPT


@extend_schema_serializer(component_name="WebhookDelivery")
class DeliveryDetails(serializers.Serializer):
    """One event on its way to one endpoint."""

    id = serializers.CharField(help_text="The delivery's id")
    event_id = serializers.CharField(help_text="What is told")
    event_type = serializers.CharField(source="event.type", help_text="Of what type")
    endpoint_id = serializers.CharField(help_text="To whom")
    status = serializers.ChoiceField(WebhookDelivery.Status.choices, help_text="What came of it")
    attempts = serializers.IntegerField(help_text="Since it was last started")
    next_attempt_at = TimeField(source="due_at", allow_null=True, help_text="ISO 8601, UTC; null when it is over")
    created_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.DELIVERY


@extend_schema_serializer(component_name="WebhookDeliveryWithLog")
class DeliveryWithLog(DeliveryDetails):
    """A delivery with every attempt."""

    log = AttemptDetails(many=True, help_text="The newest first")


class MessageDetails(serializers.Serializer):
    """A webhook as it would go over the wire now."""

    url = serializers.CharField(help_text="Where to")
    headers = serializers.DictField(child=serializers.CharField(), help_text="With the signature")
    body = serializers.CharField(help_text="What is signed, byte for byte")

    examples = examples.MESSAGE
