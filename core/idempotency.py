"""Idempotent rows: the key is a unique column of the row that a request creates, kept for ever.

No response is stored: a replay answers with the row as it is now, so a stored 500 cannot become the last word.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from django.db import IntegrityError, models, transaction

from core.errors import ApiError

KEY_PATTERN = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)


class IdempotencyKeyReused(ApiError):
    status, type, code = 422, "idempotency", "idempotency_key_reused"
    message = "This idempotency key was used before with another body. Use a new key for a new request."


class IdempotencyKeyInvalid(ApiError):
    status, code = 400, "idempotency_key_invalid"
    message = "An idempotency key is 1 to 255 visible ASCII characters."


class IdempotencyKeyConflict(ApiError):
    status, code = 400, "idempotency_key_conflict"
    message = "The Idempotency-Key header and idempotency_key in the body differ."


class IdempotentRow(models.Model):
    """Both are SHA-256 in hex: MariaDB compares text without trailing space, a hash has none."""

    idempotency_key = models.CharField(max_length=64, null=True, editable=False)  # noqa: DJ001 NULL: no key
    fingerprint = models.CharField(max_length=64, default="", editable=False)

    class Meta:
        abstract = True


Row = TypeVar("Row", bound=IdempotentRow)


def read_key(header: str | None, body: str | None) -> str | None:
    """The request's key from its header or body, as SHA-256; None when it has none."""
    if header is not None and body is not None and header != body:
        raise IdempotencyKeyConflict(param="idempotency_key")
    key = header if header is not None else body
    if key is None:
        return None
    if not KEY_PATTERN.fullmatch(key):
        raise IdempotencyKeyInvalid(param="idempotency_key")
    return hashlib.sha256(key.encode()).hexdigest()


def take_key(request: Any, fields: dict[str, Any]) -> str | None:
    """The request's key as SHA-256, from its header or out of the `fields` of its body; None when it has none."""
    return read_key(request.headers.get("Idempotency-Key"), fields.pop("idempotency_key", None))


def fingerprint(validated: dict) -> str:
    """SHA-256 over the validated data, so 50, 50.0 and "50.00" are the same body."""
    canonical = orjson.dumps(validated, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(canonical).hexdigest()


def create_once(
    rows: "models.QuerySet[Row]", key: str | None, body: str, create: Callable[[], Row]
) -> tuple[Row, bool]:
    """The row of this key, made by `create` unless it exists, and whether it was there already.

    `rows` is the scope in which the key is unique. Concurrent duplicates: the unique insert in a savepoint
    decides, the losers read the winner's row. Raises IdempotencyKeyReused when the body is another one.
    """
    existing = rows.filter(idempotency_key=key).first() if key else None
    if existing is None:
        try:
            with transaction.atomic():
                return create(), False
        except (IntegrityError, ApiError):  # refused, perhaps for what the winner has made
            existing = rows.filter(idempotency_key=key).first() if key else None
            if existing is None:
                raise
    if existing.fingerprint != body:
        raise IdempotencyKeyReused(param="idempotency_key")
    return existing, True
