"""Statuses change along a table, never past it.

A model declares `TRANSITIONS = {"pending": {"processing", ...}, ...}`; a status absent from the keys is final.
"""

from collections.abc import Mapping, Set
from typing import Any, ClassVar, Protocol

from core.errors import ApiError


class IllegalTransition(ApiError):
    status, type, code = 409, "conflict", "illegal_transition"
    message = "The object cannot take that status now."


Transitions = Mapping[str, Set[str]]


class Stateful(Protocol):
    TRANSITIONS: ClassVar[Transitions]
    status: Any


def predicate(status: str) -> str:
    """What a sentence says of a row with this status: `is in transit`, `requires approval`."""
    words = status.replace("_", " ")
    return words if words.startswith("requires ") else f"is {words}"


def sentence(row: Stateful) -> str:
    """Where a row stands: `Payout is in transit.`"""
    return f"{type(row).__name__} {predicate(row.status)}."


def can_move(row: Stateful, status: str) -> bool:
    return status in row.TRANSITIONS.get(row.status, frozenset())


def move_to(row: Stateful, status: str) -> None:
    """Sets the status, or raises IllegalTransition. The caller holds the lock and saves."""
    if not can_move(row, status):
        raise IllegalTransition(f"A {type(row).__name__.lower()} that {predicate(row.status)} cannot become {status}.")
    row.status = status
