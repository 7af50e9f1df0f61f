"""Our dispatcher: `python -m bench.our_deliveries PORT COUNT` prepares deliveries of one merchant to several endpoints
of the sink at that port, runs one turn, and prints the seconds."""

import sys
import time

import django

django.setup()

from django.utils import timezone  # noqa: E402

from accounts.models import Merchant  # noqa: E402 after the set-up
from bench.floor_deliveries import PAYLOAD  # noqa: E402
from bench.load import HOST, Broken  # noqa: E402
from core.ids import new_id  # noqa: E402
from notifications.models import Event, WebhookDelivery, WebhookEndpoint  # noqa: E402
from notifications.services import create_endpoint, send_due  # noqa: E402

ENDPOINTS = 16


def fill(port: int, count: int) -> None:
    merchant = Merchant.objects.earliest("pk")
    endpoints = list(WebhookEndpoint.objects.all())
    while len(endpoints) < ENDPOINTS:
        endpoints.append(create_endpoint(merchant, url=f"http://{HOST}:{port}/hook", event_types=["*"])[0])
    events = [
        Event(merchant=merchant, type="payment.completed", object_id=new_id("pay"), sequence=1, payload=PAYLOAD)
        for _n in range(count)
    ]
    Event.objects.bulk_create(events)
    now = timezone.now()
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(merchant=merchant, event=event, endpoint=endpoints[number % ENDPOINTS], due_at=now)
        for number, event in enumerate(events)
    )


def main(port: int, count: int) -> float:
    fill(port, count)
    begun = time.perf_counter()
    send_due()
    seconds = time.perf_counter() - begun
    if WebhookDelivery.objects.exclude(status="delivered").exists():
        raise Broken("Not every delivery arrived.")
    return seconds


if __name__ == "__main__":
    print(main(*map(int, sys.argv[1:])))
