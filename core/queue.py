"""The row is the job: it is due at `due_at`, and done when that is NULL.

Whoever runs jobs (the embedded worker, or Celery) claims a row by pushing `due_at` a lease into the future and
committing; no lock is held while the job runs. A worker killed at any point loses nothing: the lease runs out
and the row is due again, so a handler reads the state first and is safe to run twice.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import close_old_connections, connection, models
from django.db.models import F
from django.utils import timezone

from core.transactions import unit_of_work

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)  # longer than any provider call may take
RETRY_DELAYS = [timedelta(seconds=s) for s in (1, 5, 15, 60, 300, 1800)]  # after a crash; the last repeats
LATE = timedelta(minutes=2)  # past due by this much, a row counts as stuck
ERROR_LENGTH = 500
HOUSEKEEPING = 60.0  # seconds between turns from which a task does no jobs but keeps house
BATCH = 100  # jobs of one kind before the others have their turn


class QueueRow(models.Model):
    """A row that is a job while `due_at` is set."""

    due_at = models.DateTimeField(null=True, blank=True, db_index=True, editable=False)
    attempts = models.PositiveIntegerField(default=0, editable=False)
    last_error = models.CharField(max_length=ERROR_LENGTH, blank=True, default="", editable=False)

    class Meta:
        abstract = True

    @classmethod
    def late(cls, limit: datetime) -> models.QuerySet[Any]:
        """Rows that were due before the limit, and still wait for a worker."""
        return cls._default_manager.filter(due_at__lt=limit)


@dataclass(frozen=True)
class Task:
    """`handler` runs every `every` seconds and answers how many jobs it did. A task whose turns may last has two of
    them side by side: while one waits for its last jobs, the next has begun."""

    name: str
    every: float
    handler: Callable[[], int]
    turns: int = 1


registry: dict[str, Task] = {}
stopping = threading.Event()  # this process is to end: a turn that may last takes no new jobs


def periodic(name: str, every: float, handler: Callable[[], int], *, turns: int = 1) -> None:
    """Registers a task for `manage.py work` and for Celery's beat. Running it twice at once must be harmless."""
    registry[name] = Task(name, every, handler, turns)


def claim(rows: models.QuerySet[Any]) -> Any | None:
    """Takes one due row for the length of the lease, or None. `rows` is joined to nothing. The claim counts as an
    attempt, for the job itself may be what kills its worker."""
    if not rows.filter(due_at__lte=timezone.now()).exists():  # an idle worker takes no write lock
        return None
    for row in claim_batch(rows, 1, attempts=F("attempts") + 1):
        row.attempts += 1
        return row
    return None


@unit_of_work
def claim_batch(rows: models.QuerySet[Any], limit: int, **changes: Any) -> list[Any]:
    """Takes as many due rows as there are, `limit` at most, for the length of the lease, which they share; `changes`
    are made to them in the same commit. Whoever has many jobs in hand counts an attempt when it was made: a worker that
    dies would cost each of them one."""
    # It can lose a deadlock: whoever ends jobs that an index finds locks them the other way round.
    now = timezone.now()
    skip = connection.features.has_select_for_update_skip_locked
    due = rows.filter(due_at__lte=now).order_by("due_at")
    claimed = list(due.select_for_update(skip_locked=skip)[:limit])
    taken = rows.model.objects.filter(pk__in=[row.pk for row in claimed])
    taken.update(due_at=now + LEASE, **changes)
    for row in claimed:
        row.due_at = now + LEASE
    return claimed


def drain(rows: models.QuerySet[Any], handle: Callable[[Any], None]) -> int:
    """Runs `handle` on each due row, one claim at a time, and answers how many. A handler ends a job by
    setting `due_at` to NULL or to a later time; one that raises is due again after RETRY_DELAYS."""
    for done in range(BATCH):
        row = claim(rows)
        if row is None:
            return done
        try:
            handle(row)
        except Exception as error:
            logger.exception("job %s %s failed", type(row).__name__, row.pk)
            _put_back(row, error)
    return BATCH


def _put_back(row: Any, error: Exception) -> None:
    delay = RETRY_DELAYS[min(row.attempts, len(RETRY_DELAYS)) - 1]
    type(row).objects.filter(pk=row.pk, due_at=row.due_at).update(
        due_at=timezone.now() + delay, last_error=error_text(error)
    )


def error_text(error: Exception) -> str:
    """What of an error goes into `last_error`: storable in every database, and short enough."""
    text = f"{type(error).__name__}: {error}".encode(errors="replace").decode().replace("\0", "?")
    return text[:ERROR_LENGTH]


def run_due(limit: int = 1000) -> int:
    """Runs the jobs of every queue until nothing is due, in this thread: for tests and for commands. Tasks that come
    round less often than HOUSEKEEPING keep house (prune, verify) and are left out."""
    jobs = [task for task in registry.values() if task.every < HOUSEKEEPING]
    total = 0
    for _round in range(limit):
        done = sum(task.handler() for task in jobs)
        if not done:
            return total
        total += done
    raise RuntimeError(f"The queues did not empty in {limit} rounds.")


def late_rows(now: datetime | None = None) -> dict[str, int]:
    """How many rows of each queue are past due by more than LATE: all zero while workers do their job."""
    limit = (now or timezone.now()) - LATE
    return {model.__name__: model.late(limit).count() for model in _queues()}


def _queues() -> list[Any]:
    return [model for model in QueueRow.__subclasses__() if not model._meta.abstract]


def run_task(task: Task) -> int:
    """One turn of a task in a long-lived process; an error is logged, the next turn comes all the same."""
    close_old_connections()
    try:
        return task.handler()
    except Exception:
        logger.exception("task %s failed", task.name)
        return 0
    finally:
        close_old_connections()
