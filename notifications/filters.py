"""The parameters of the lists of events, mails and deliveries."""

from accounts.fields import AddressField
from core.fields import OneOfField, TextField
from core.filters import ListFilters, OneOrSeveral, Parameter, RowIdField, SeveralField
from core.mail import Status
from notifications.mails import TEMPLATES
from notifications.models import EVENT_TYPES, WebhookDelivery

TYPES = [(name, name) for name in EVENT_TYPES]


class EventFilters(ListFilters):
    """What a merchant may ask of its events."""

    type = OneOrSeveral(SeveralField, TYPES, help_text="One, or several separated by commas")
    object_id = Parameter(TextField, max_length=32, help_text="What it happened to")

    elsewhere = frozenset({"merchant_id"})
    narrow = frozenset({"object_id"})


class EmailFilters(ListFilters):
    """What a merchant may ask of its mails."""

    to = Parameter(AddressField, help_text="To whom")
    template = Parameter(OneOfField, TEMPLATES, help_text="What it says")
    status = Parameter(OneOfField, Status.choices, help_text="What came of it")

    elsewhere = frozenset({"merchant_id"})
    narrow = frozenset({"to"})


class DeliveryFilters(ListFilters):
    """What a merchant may ask of its deliveries."""

    status = Parameter(OneOfField, WebhookDelivery.Status.choices, help_text="What came of it")
    endpoint_id = Parameter(RowIdField, "we", column="endpoint", help_text="To whom")
    event_id = Parameter(RowIdField, "evt", column="event", help_text="What is told")

    elsewhere = frozenset({"merchant_id"})
    narrow = frozenset({"event"})
