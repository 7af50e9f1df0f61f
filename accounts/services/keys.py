"""A merchant's API keys: made and shown once, found by their hash, rolled, revoked.

A secret is `sk_sandbox_` or `sk_live_`, 43 characters of base 62 that hold 256 random bits, and 6 that check them:
scanners recognise it, and a mistyped one is refused before any query.
"""

import hashlib
import re
import secrets
import zlib
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from accounts.models import ApiKey, Merchant, User
from accounts.policy import permissions_of, roles_with
from accounts.services.members import mail_owners
from core.errors import ApiError, NotPermitted
from core.idempotency import create_once, fingerprint
from core.transactions import unit_of_work

PREFIX = "sk_"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_LENGTH, CHECK_LENGTH = 43, 6
SECRET_PATTERN = re.compile(r"(sk_(?:sandbox|live)_[0-9A-Za-z]{43})([0-9A-Za-z]{6})", re.ASCII)
USED_RESOLUTION = timedelta(minutes=1)  # how exact last_used_at is: a write a minute, not one a request
MAX_KEYS = 100  # good ones of a merchant


class KeyInvalid(ApiError):
    status, type, code = 401, "authentication", "api_key_invalid"
    message = "The API key is not valid: unknown, expired or revoked."


class KeyInactive(ApiError):
    status, type, code = 409, "conflict", "api_key_inactive"
    message = "The API key is expired or revoked. Make a new one."


class TooManyKeys(ApiError):
    status, type, code = 409, "conflict", "too_many_api_keys"
    message = f"A merchant has at most {MAX_KEYS} keys. Revoke those that are not needed."


def new_secret(mode: str) -> str:
    body = f"sk_{mode}_" + "".join(secrets.choice(ALPHABET) for _n in range(RANDOM_LENGTH))
    return body + _check(body)


def is_secret(text: str) -> bool:
    match = SECRET_PATTERN.fullmatch(text)
    return match is not None and _check(match[1]) == match[2]


def _check(body: str) -> str:
    """CRC-32 in base 62, padded: it finds typing errors, and proves nothing."""
    rest, digits = zlib.crc32(body.encode()), ""
    for _n in range(CHECK_LENGTH):
        rest, digit = divmod(rest, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@unit_of_work
def create_key(
    merchant: Merchant,
    *,
    by: User,
    by_role: str,
    key: str | None,
    name: str,
    scopes: list[str],
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str | None]:
    """A new key and its secret, which is never shown again: a replay of the idempotency `key` gets None.

    Raises NotPermitted when the maker's own role lacks one of the scopes, TooManyKeys, IdempotencyKeyReused.
    """
    _refuse_more_than_own(by_role, scopes)
    body = fingerprint({"name": name, "scopes": scopes, "expires_at": expires_at})
    secret = new_secret(merchant.mode)

    def create() -> ApiKey:
        _refuse_too_many(merchant)
        return _save(merchant, secret, by, name=name, scopes=scopes, expires_at=expires_at, key=key, body=body)

    row, replayed = create_once(ApiKey.objects.filter(merchant=merchant), key, body, create)
    return row, None if replayed else secret


@unit_of_work
def roll_key(old: ApiKey, *, by: User, by_role: str, key: str | None, overlap: timedelta) -> tuple[ApiKey, str | None]:
    """A new key like the old one, which is good for the overlap still.

    Raises KeyInactive, NotPermitted, TooManyKeys, IdempotencyKeyReused.
    """
    _refuse_more_than_own(by_role, old.scopes)
    body = fingerprint({"roll": old.pk, "overlap": overlap.total_seconds()})
    secret = new_secret(old.merchant.mode)

    def create() -> ApiKey:
        locked = ApiKey.objects.select_for_update().get(pk=old.pk)
        if locked.status != "active":
            raise KeyInactive
        end = timezone.now() + overlap
        expires_at = locked.expires_at
        locked.expires_at = min(end, expires_at) if expires_at else end
        locked.save(update_fields=["expires_at"])
        _refuse_too_many(old.merchant)
        return _save(
            old.merchant, secret, by, name=old.name, scopes=old.scopes, expires_at=expires_at, key=key, body=body
        )

    row, replayed = create_once(ApiKey.objects.filter(merchant=old.merchant), key, body, create)
    return row, None if replayed else secret


def revoke_key(key: ApiKey) -> ApiKey:
    """The next request with it is refused. Nothing changes when it was revoked before."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    key.refresh_from_db()
    return key


def find_key(secret: str) -> ApiKey:
    """The good key with this secret, with its merchant. Raises KeyInvalid."""
    keys = ApiKey.objects.select_related("merchant")
    key = keys.filter(secret_hash=_hash(secret)).first() if is_secret(secret) else None
    if key is None or key.status != "active":
        raise KeyInvalid
    _mark_used(key)
    return key


def _mark_used(key: ApiKey) -> None:
    now = timezone.now()
    stale = now - USED_RESOLUTION
    if key.last_used_at is None or key.last_used_at < stale:
        unused = Q(last_used_at=None) | Q(last_used_at__lt=stale)
        ApiKey.objects.filter(unused, pk=key.pk).update(last_used_at=now)


def _save(merchant: Merchant, secret: str, by: User, *, key: str | None, body: str, **fields: Any) -> ApiKey:
    row = ApiKey.objects.create(
        merchant=merchant,
        secret_hash=_hash(secret),
        last4=secret[-4:],
        created_by=by,
        idempotency_key=key,
        fingerprint=body,
        **fields,
    )
    context = {"merchant": merchant.name, "key": row.name, "last4": row.last4, "by": by.get_full_name()}
    mail_owners(merchant, "new_api_key", context)
    return row


def _refuse_more_than_own(role: str, scopes: list[str]) -> None:
    """Nobody makes a key that may do more than they may themselves."""
    beyond = sorted(set(scopes) - permissions_of(role))
    if beyond:
        able = ", ".join(roles_with(beyond[0]))
        raise NotPermitted(f"Your role has not {beyond[0]} itself, so it cannot give it to a key; {able} can.")


def _refuse_too_many(merchant: Merchant) -> None:
    good = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    if ApiKey.objects.filter(good, merchant=merchant, revoked_at=None).count() >= MAX_KEYS:
        raise TooManyKeys
