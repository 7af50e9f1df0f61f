"""Past one machine: the tasks of `manage.py work`, run by Celery on a broker."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction

from core.queue import registry
from notifications.models import WebhookDelivery
from notifications.services import create_endpoint, publish
from payments.models import Payment
from sandbox.models import Charge
from tests.conftest import database_url
from tests.sinks import HOST, listening

pytest.importorskip("celery", reason="Celery is in requirements/production.txt")
BROKER_URL = os.environ.get("BROKER_URL")
PATIENCE_SECONDS = 60


@pytest.fixture
def celery(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """A worker with its beat, on the tests' database."""
    environment = {**os.environ, "DATABASE_URL": database_url(), "OUTBOUND_ALLOWED": HOST}
    command = [str(Path(sys.executable).with_name("celery")), "-A", "config.celery", "worker", "--beat"]
    options = ["--concurrency", "2", "--schedule", str(tmp_path / "beat"), "--loglevel", "warning"]
    process = subprocess.Popen([*command, *options], env=environment)
    yield
    process.terminate()
    process.wait(PATIENCE_SECONDS)


@pytest.mark.skipif(not BROKER_URL, reason="BROKER_URL names no broker (redis://… or amqp://…)")
class TestCelery:
    def test_runs_every_task_that_work_runs(self):
        names = "from config.celery import app; print(*sorted(app.conf.beat_schedule))"
        output = subprocess.run([sys.executable, "-c", names], capture_output=True, text=True, check=True).stdout
        assert output.split() == sorted(registry)

    def test_keeps_what_waits_for_other_servers_in_a_queue_apart(self):
        queues = "from config.celery import app; print(*(n for n, task in app.conf.beat_schedule.items()"
        queues += " if task['options']['queue'] == 'slow'))"
        output = subprocess.run([sys.executable, "-c", queues], capture_output=True, text=True, check=True).stdout
        assert output.split() == ["notifications.send"]

    def test_sends_webhooks_once_each(self, celery, shop, settings):
        settings.OUTBOUND_ALLOWED = [HOST]
        with listening() as sink:
            create_endpoint(shop, url=sink.url("200"), event_types=["*"])
            for n in range(5):
                with transaction.atomic():
                    publish("payment.created", merchant_id=shop.pk, object_id=f"pay_{n}", data={})
            end = time.monotonic() + PATIENCE_SECONDS
            while WebhookDelivery.objects.exclude(status="delivered").exists() and time.monotonic() < end:
                time.sleep(0.2)

        assert set(WebhookDelivery.objects.values_list("status", "attempts")) == {("delivered", 1)}
        assert len(sink.received) == 5

    def test_completes_payments_once_each(self, celery, pay):
        for _n in range(5):
            pay(card_number="4242424242424242", card_expiry_month=12, card_expiry_year=2040)
        end = time.monotonic() + PATIENCE_SECONDS
        while Payment.objects.exclude(status="completed").exists() and time.monotonic() < end:
            time.sleep(0.2)

        assert set(Payment.objects.values_list("status", flat=True)) == {"completed"}
        assert Charge.objects.count() == 5
