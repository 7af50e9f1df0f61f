"""Why a webhook does not verify: the receiver's steps, one after the other, to the first that differs."""

import hmac
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from notifications.signatures import PREFIX, VERSION, sign

TOLERANCE_SECONDS = 300  # either way (Standard Webhooks 1.0)
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
SECRET_LENGTHS = range(24, 65)  # bytes
SHOWN = 20  # bytes of a body, on either side of where it differs


@dataclass(frozen=True)
class Step:
    """One check: what is checked, and what is wrong; empty when nothing is."""

    name: str
    fault: str = ""


def diagnose(
    body: bytes, headers: Mapping[str, str], secret: str, *, now: datetime, sent: bytes | None = None
) -> list[Step]:
    """The steps of a receiver, ending with the first that fails. `sent` is the body that we sent, when the caller has
    found it by the id: then a body that was changed on its way is told from a wrong secret."""
    given = {name.lower(): value.strip() for name, value in headers.items()}
    checks = {
        "headers": lambda: _headers(given),
        "secret": lambda: _secret(secret),
        "timestamp": lambda: _timestamp(given["webhook-timestamp"], now),
        "signature header": lambda: _form(given["webhook-signature"]),
        "body": lambda: _body(body, sent),
        "signature": lambda: _signature(body, given, secret),
    }
    steps: list[Step] = []
    for name, check in checks.items():
        steps.append(Step(name, check()))
        if steps[-1].fault:
            break
    return steps


def _headers(given: Mapping[str, str]) -> str:
    missing = [name for name in HEADERS if not given.get(name)]
    return f"Missing: {', '.join(missing)}." if missing else ""


def _secret(secret: str) -> str:
    if not secret.startswith(PREFIX):
        return f"The secret begins with {PREFIX}."
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        return f"What follows {PREFIX} is not base64: part of it is missing, or something was added."
    return "" if len(key) in SECRET_LENGTHS else f"The secret holds {len(key)} bytes: part of it is missing."


def _timestamp(text: str, now: datetime) -> str:
    if not (text.isascii() and text.isdigit()):
        return "webhook-timestamp is not a number of seconds since 1970."
    age = int(now.timestamp()) - int(text[:12])
    if abs(age) <= TOLERANCE_SECONDS:
        return ""
    when = f"{age} seconds ago" if age > 0 else f"{-age} seconds ahead"
    return f"The message was signed {when}: a receiver refuses more than {TOLERANCE_SECONDS}. Is its clock right?"


def _form(header: str) -> str:
    versions = [signature.partition(",")[0] for signature in header.split()]
    return "" if VERSION in versions else f"webhook-signature holds no {VERSION},… signature."


def _body(body: bytes, sent: bytes | None) -> str:
    if sent is None or body == sent:
        return ""
    if body.strip() == sent:
        return "There is white space around the body that was not sent: a line end at the end of a file, perhaps."
    pairs = zip(body, sent, strict=False)
    place = next((n for n, (one, other) in enumerate(pairs) if one != other), min(len(body), len(sent)))
    around = slice(max(place - SHOWN, 0), place + SHOWN)
    got, was = (text[around].decode(errors="replace") for text in (body, sent))
    hint = "Verify the bytes that arrived, before they are parsed: JSON that is written anew is another text."
    return f"The body differs from what was sent at byte {place}: {got!r} instead of {was!r}. {hint}"


def _signature(body: bytes, given: Mapping[str, str], secret: str) -> str:
    timestamp = int(given["webhook-timestamp"][:12])
    signatures = given["webhook-signature"].encode().split()

    def fits(content: bytes) -> bool:
        expected = sign(secret, message_id=given["webhook-id"], timestamp=timestamp, body=content).encode()
        return any(hmac.compare_digest(expected, signature) for signature in signatures)

    if fits(body):
        return ""
    if fits(body.strip()):
        return "It fits the body without the white space around it."
    return (
        "It fits neither this body nor this secret. Is it the secret of this endpoint, and of this installation? "
        "Are these the bytes that arrived, not JSON that was parsed and written anew?"
    )
