"""What the emulated provider refuses before it does anything."""

from typing import NoReturn

from core.idempotency import KEY_PATTERN
from sandbox.models import Charge, Operation, Transfer
from sandbox.wire import SandboxRefused

MAX_AMOUNT = 10**18  # minor units; fits the column


def refuse(code: str, message: str) -> NoReturn:
    raise SandboxRefused(code, message)


def check_key(key: str) -> None:
    if not isinstance(key, str) or not KEY_PATTERN.fullmatch(key):
        refuse("key_invalid", "A key is 1 to 255 visible ASCII characters.")


def check_amount(amount: int) -> None:
    if not isinstance(amount, int) or isinstance(amount, bool) or not 0 < amount <= MAX_AMOUNT:
        refuse("amount_invalid", "The amount must be a number of minor units above zero.")


def check_same_request(row: Charge | Operation | Transfer, body: str) -> None:
    if row.fingerprint != body:
        refuse("idempotency_error", "This key was used before with other parameters.")
