"""Ids: a prefix and a lower-case ULID (`pay_01m7xt2s0arrqj7g231der0e2g`): 48 bits of time, 80 random.

They sort by creation, so an id is also the cursor of a list; there is no other key.
"""

import os
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.db import models
from django.utils import timezone
from ulid import ULID

PREFIX_PATTERN = r"[a-z]{2,5}"
ULID_PATTERN = r"[0-7][0-9a-hjkmnp-tv-z]{25}"
ID_PATTERN = f"{PREFIX_PATTERN}_{ULID_PATTERN}"
MAX_LENGTH = 32
TIME_BYTES, RANDOM_BYTES = 6, 10
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_id(prefix: str, *, at: datetime | None = None, randomness: bytes | None = None) -> str:
    """An id of now, or for sample data an id of another time, and with ten bytes that are given.

    The random part is drawn anew each time: ULID's own generator counts up within a millisecond, so that whoever
    knows one id would know its neighbours.
    """
    milliseconds = ((at or timezone.now()) - EPOCH) // timedelta(milliseconds=1)
    ulid = ULID(milliseconds.to_bytes(TIME_BYTES, "big") + (randomness or os.urandom(RANDOM_BYTES)))
    return f"{prefix}_{str(ulid).lower()}"


def first_id(prefix: str, at: datetime) -> str:
    """The least id of that moment: ids begin with their time, so age needs no index of its own."""
    return new_id(prefix, at=max(at, EPOCH), randomness=bytes(RANDOM_BYTES))


def made_at(row_id: str) -> datetime:
    """When an id was made, to the millisecond. Raises ValueError for what is no id."""
    return EPOCH + timedelta(milliseconds=ULID.from_str(row_id.partition("_")[2].upper()).milliseconds)


def is_id(value: object, prefix: str = PREFIX_PATTERN) -> bool:
    """Whether the value is an id in canonical form; checked before any query."""
    return isinstance(value, str) and bool(re.fullmatch(f"{prefix}_{ULID_PATTERN}", value, re.ASCII))


class IdField(models.CharField):
    """The primary key of every row: `id = IdField("pay")`."""

    def __init__(self, prefix: str, **options: Any) -> None:
        self.prefix = prefix
        fixed = {"max_length": MAX_LENGTH, "primary_key": True, "editable": False}
        super().__init__(default=partial(new_id, prefix), **{**options, **fixed})

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, _args, options = super().deconstruct()
        for fixed in ("default", "max_length", "primary_key", "editable"):
            options.pop(fixed, None)
        return name, path, [self.prefix], options


class IdConverter:
    """`path("payments/<id:payment_id>")`: anything not in canonical form is a 404 before any query."""

    regex = ID_PATTERN

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value
