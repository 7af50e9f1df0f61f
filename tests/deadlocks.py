"""Losing to somebody else in the database, on demand."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import OperationalError, connection, transaction

from core.transactions import with_retries


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


class Lost(Exception):
    """The database chose this transaction to be the one that goes back."""


@contextmanager
def conflicts(monkeypatch) -> Iterator[list[Callable]]:
    """Every unit loses its first try when all of it is done. Yields those that did."""
    lost: list[Callable] = []

    def lose_first(unit: Callable):
        with suppress(Lost), transaction.atomic():
            unit()
            lost.append(unit)
            raise Lost
        return unit()

    with monkeypatch.context() as patch:
        for module in list(sys.modules.values()):
            if module.__name__ != __name__ and vars(module).get("with_retries") is with_retries:
                patch.setattr(module, "with_retries", lose_first)
        yield lost
