"""Losing to somebody else in the database, on demand."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection


@contextmanager
def deadlock_at(*words: str) -> Iterator[None]:
    """The first statement with all these words loses a deadlock. For tests that commit: a test's own transaction is
    never run again."""
    lost: list[str] = []

    def execute(run: Any, sql: str, *rest: Any) -> Any:
        if not lost and all(word in sql for word in words):
            lost.append(sql)
            raise OperationalError(1213, "Deadlock found")
        return run(sql, *rest)

    with connection.execute_wrapper(execute):
        yield
    assert lost, words
