"""Celery, for more than one machine: beat starts the tasks that `manage.py work` runs on one, workers run them.

The rows are the jobs (core/queue.py), a message only says that it is time to look. A lost message is made good by
the next one, a doubled one finds the rows claimed, and one that comes too late expires unread.

    celery -A config.celery worker -Q celery
    celery -A config.celery worker -Q slow --concurrency 2
    celery -A config.celery beat

Tasks whose turns may last, because they wait for the servers of others, have a queue of their own: they take no place
from those that charge cards. A worker without -Q serves both.
"""

import os
from collections.abc import Callable

import django
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402 after the set-up

from core.queue import LEASE, Task, registry, run_task  # noqa: E402

SHORTEST_EXPIRY_SECONDS = 1.0
QUICK, SLOW = "celery", "slow"  # queues

app = Celery("tillgate", broker=settings.BROKER_URL)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": LEASE.total_seconds() * 60},
    timezone="UTC",
    task_queues={QUICK: {}, SLOW: {}},
    beat_schedule={
        task.name: {
            "task": task.name,
            "schedule": task.every,
            "options": {
                "expires": max(task.every, SHORTEST_EXPIRY_SECONDS),
                "queue": SLOW if task.turns > 1 else QUICK,
            },
        }
        for task in registry.values()
    },
)


def _runner(task: Task) -> Callable[[], int]:
    def run() -> int:
        return run_task(task)

    return run


for _task in registry.values():
    app.task(name=_task.name)(_runner(_task))
