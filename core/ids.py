"""Ids: a prefix and a lower-case ULID (`pay_01m7xt2s0arrqj7g231der0e2g`): 48 bits of time, 80 random.

They sort by creation, so an id is also the cursor of a list; there is no other key.
"""

import re
from functools import partial
from typing import Any

from django.db import models
from ulid import ULID

PREFIX_PATTERN = r"[a-z]{2,5}"
ULID_PATTERN = r"[0-7][0-9a-hjkmnp-tv-z]{25}"
ID_PATTERN = f"{PREFIX_PATTERN}_{ULID_PATTERN}"
MAX_LENGTH = 32


def new_id(prefix: str) -> str:
    return f"{prefix}_{str(ULID()).lower()}"


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
