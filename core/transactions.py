"""Units of work that lose a race in the database are run again as a whole."""

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection, transaction

P = ParamSpec("P")
Answer = TypeVar("Answer")

TRIES = 3
LONGEST_PAUSE = 0.1  # seconds

# Deadlock and lock timeout: PostgreSQL by SQLSTATE, MySQL and MariaDB by number (1020: the row has changed
# since the snapshot, MariaDB 11.6+ with innodb_snapshot_isolation).
CONFLICTS = {"40001", "40P01", "55P03", 1205, 1213, 1020}


def is_conflict(error: OperationalError) -> bool:
    """Whether the database rolled back because of another transaction, so that trying again can help."""
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) in CONFLICTS or (bool(error.args) and error.args[0] in CONFLICTS)


def with_retries(unit: Callable[[], Answer]) -> Answer:
    """Runs a whole unit of work, up to TRIES times with jitter when it loses a conflict. Not inside a transaction:
    only the outermost one can be run again. `unit` starts anew each time, so it changes nothing but the database."""
    for left in reversed(range(TRIES)):
        try:
            return unit()
        except OperationalError as error:
            if connection.in_atomic_block or not left or not is_conflict(error):
                raise
            time.sleep(random.uniform(0, LONGEST_PAUSE))  # noqa: S311 jitter
    raise AssertionError("unreachable")


def unit_of_work(function: Callable[P, Answer]) -> Callable[P, Answer]:
    """All that the function does is one transaction, with retries. Called inside another it is a part of that one."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> Answer:
        def unit() -> Answer:
            with transaction.atomic():
                return function(*args, **kwargs)

        return with_retries(unit)

    return run
