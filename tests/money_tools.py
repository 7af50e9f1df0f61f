"""What the machine works with: a database that may kill whoever uses it, and the crashes of jobs."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import time_machine
from django.db import connection

from core.errors import ApiError
from ledger.verification import Check, Fault
from payments.providers import ProviderUnavailable

TICK = timedelta(milliseconds=1)
WRITES = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM) ["`](\w+)')


class Killed(BaseException):
    """The process is gone. What it had committed stays, its open transaction does not."""


class Statements:
    """Stands between Django and the database: counts, moves the clock, notes what was written, and kills."""

    def __init__(self, clock: time_machine.Traveller) -> None:
        self.clock = clock
        self.written: set[str] = set()
        self.left: int | None = None

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self.clock.shift(TICK)
        if match := WRITES.match(sql):
            self.written.add(match[1])
        # Within a test a transaction is a savepoint. To die before its end is to die before its last statement.
        if self.left is not None and not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            self.left -= 1
            if not self.left:
                self.left = None
                raise Killed
        return execute(sql, params, many, context)

    @contextmanager
    def killing(self, statement: int | None) -> Iterator[None]:
        """Whoever works in here is killed before that statement, unless it is done by then."""
        self.left = statement
        try:
            yield
        except Killed:
            pass
        finally:
            self.left = None


class Books:
    """The ledger's checks as the SQL that each runs: making it takes most of their time. Where it finds a row, the
    check itself is asked; `learn()` belongs where there is nothing yet."""

    def __init__(self, checks: list[Check]) -> None:
        self.checks = checks
        self.queries: dict[Check, list[tuple[str, Any]]] = {}

    def learn(self) -> None:
        for check in self.checks:
            if check not in self.queries:
                self.queries[check] = []
                with connection.execute_wrapper(partial(self._note, check)):
                    list(check())

    def _note(self, check: Check, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self.queries[check].append((sql, params))
        return execute(sql, params, many, context)

    def faults(self) -> list[Fault]:
        return [fault for check in self.checks if self._may_fail(check) for fault in check()]

    def _may_fail(self, check: Check) -> bool:
        with connection.cursor() as cursor:
            for sql, params in self.queries[check]:
                cursor.execute(sql, params)
                if cursor.fetchone():
                    return True
        return False


class Crashes(logging.Handler):
    """Jobs that raised; that a provider did not answer is none."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, ProviderUnavailable):
            self.found.append(error)


def pick(rows: dict[str, Any], number: int, statuses: tuple[str, ...]) -> Any:
    """One in which the verb makes sense, as a rule; now and then any."""
    fitting = [row for row in rows.values() if row.status in statuses]
    chosen = fitting if fitting and number < 6 else list(rows.values())
    return chosen[-1 - number % len(chosen)]


def code_of(call: Callable[[], Any]) -> str:
    try:
        call()
    except ApiError as error:
        return error.code
    return ""
