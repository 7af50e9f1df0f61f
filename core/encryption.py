"""Secrets at rest: a text column encrypted with the first of ENCRYPTION_KEYS, readable with any of them."""

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class DecryptionError(Exception):
    """The value was not encrypted with our keys, or not for this column."""


@lru_cache
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def cipher() -> MultiFernet:
    return _cipher(tuple(settings.ENCRYPTION_KEYS))


class EncryptedTextField(models.TextField):
    """Plain text in Python, a Fernet token in the database.

    The token holds the column's name beside the value, so a ciphertext copied to another column is refused.
    It cannot be searched: no lookups.
    """

    @property
    def _bound_to(self) -> str:
        return f"{self.model._meta.db_table}.{self.column}"

    def get_prep_value(self, value: str | None) -> str | None:
        if value is None:
            return None
        return cipher().encrypt(json.dumps([self._bound_to, value]).encode()).decode()

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        if value is None:
            return None
        try:
            bound_to, plain = json.loads(cipher().decrypt(value.encode()))
        except InvalidToken as error:
            raise DecryptionError(f"{self._bound_to} cannot be read with ENCRYPTION_KEYS.") from error
        if bound_to != self._bound_to:
            raise DecryptionError(f"{self._bound_to} holds a value that was encrypted for {bound_to}.")
        return plain

    def get_lookup(self, lookup_name: str) -> Any:
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None
