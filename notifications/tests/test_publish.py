import json
from contextlib import suppress

import pytest
from django.db import IntegrityError, transaction

from core.ids import new_id
from core.money import Money
from notifications.models import EVENT_TYPES, PAYMENT_STATUSES, Event
from notifications.services import publish


@pytest.fixture
def tell(shop):
    def publish_one(event_type="payment.created", object_id="pay_1", **data):
        return publish(event_type, merchant_id=shop.pk, object_id=object_id, data=data)

    return publish_one


class TestPublish:
    def test_writes_what_happened_as_the_api_shows_it(self, tell, shop):
        event = tell(amount=Money(5000, "USD"), name="é😀", card=None)
        event.refresh_from_db()
        assert event.payload == '{"amount":50.00,"name":"é😀","card":null}'
        assert (event.type, event.object_id, event.merchant) == ("payment.created", "pay_1", shop)
        assert event.request_id == ""

    def test_counts_the_events_of_each_object_from_one(self, tell):
        assert [tell(object_id=name).sequence for name in ("pay_1", "pay_2", "pay_1", "pay_1", "pay_2")] == [
            1,
            1,
            2,
            3,
            2,
        ]

    def test_a_number_is_given_only_once(self, tell):
        event = tell()
        with pytest.raises(IntegrityError), transaction.atomic():
            Event.objects.create(merchant=event.merchant, type=event.type, object_id=event.object_id, sequence=1)

    def test_knows_the_types_that_there_are(self, tell):
        assert [f"payment.{status}" for status in PAYMENT_STATUSES if f"payment.{status}" not in EVENT_TYPES] == []
        for event_type in EVENT_TYPES:
            assert tell(event_type, new_id("pay")).type == event_type

    @pytest.mark.parametrize("event_type", ["", "payment", "payment.paid", "Payment.created", "refund.made"])
    def test_refuses_a_type_that_there_is_not(self, tell, event_type):
        with pytest.raises(ValueError, match="EVENT_TYPES"):
            tell(event_type)
        assert not Event.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_belongs_in_the_transaction_of_the_change(self, tell):
        with pytest.raises(RuntimeError):
            tell()
        with suppress(KeyError), transaction.atomic():
            tell()
            raise KeyError
        assert not Event.objects.exists()


class TestEventsOfAPayment:
    def test_follow_it_from_creation_to_completion(self, pay, work):
        card = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}
        payment = pay(**card).json()["payment"]
        work()
        events = Event.objects.filter(object_id=payment["id"]).order_by("sequence")
        assert [(event.sequence, event.type) for event in events] == [
            (1, "payment.created"),
            (2, "payment.processing"),
            (3, "payment.completed"),
        ]
        snapshots = [json.loads(event.payload) for event in events]
        assert [snapshot["status"] for snapshot in snapshots] == ["pending", "processing", "completed"]
        assert [snapshot["amount_captured"] for snapshot in snapshots] == [0, 0, 50]
        assert all('"amount":50.00' in event.payload for event in events)
