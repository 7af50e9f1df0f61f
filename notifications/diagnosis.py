"""Why a webhook does not verify: the receiver's steps, one after the other, to the first that differs."""

import hmac
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _later

from notifications.signatures import PREFIX, VERSION, sign

TOLERANCE_SECONDS = 300  # either way (Standard Webhooks 1.0)
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
SECRET_LENGTHS = range(24, 65)  # bytes
MOST_DIGITS = 12  # of a timestamp
MAX_BODY = 32 * 1024  # characters; the body of a webhook stays below 20 kB
MAX_HEADERS = 8 * 1024
SHOWN = 20  # bytes of a body, on either side of where it differs

STEPS = {
    "headers": _later("The three headers are there"),
    "secret": _later("The secret is whole"),
    "timestamp": _later("The time is a number of seconds"),
    "form": _later("There is a v1 signature"),
    "body": _later("The body is the one that was sent"),
    "signature": _later("The signature fits"),
    "clock": _later("The message is fresh"),
}


@dataclass(frozen=True)
class Step:
    """One check: its name in STEPS, and what is wrong; empty when nothing is."""

    name: str
    fault: str = ""


def diagnose(
    body: bytes, headers: Mapping[str, str], secrets: Sequence[str], *, now: datetime, sent: bytes | None = None
) -> list[Step]:
    """The steps of a receiver, ending with the first that fails; one of the `secrets` has to fit. `sent` is the body
    that we sent, when the caller has found it by the id: then a body that was changed on its way is told from a wrong
    secret. The clock comes last, because whoever looks for a fault looks at old messages."""
    given = {name.lower(): value.strip() for name, value in headers.items()}
    checks = {
        "headers": lambda: _headers(given),
        "secret": lambda: next(filter(None, map(_secret, secrets)), ""),
        "timestamp": lambda: _timestamp(given["webhook-timestamp"]),
        "form": lambda: _form(given["webhook-signature"]),
        "body": lambda: _body(body, sent),
        "signature": lambda: _signature(body, given, secrets, is_ours=sent is not None),
        "clock": lambda: _clock(int(given["webhook-timestamp"]), now),
    }
    if sent is None:
        del checks["body"]
    steps: list[Step] = []
    for name, check in checks.items():
        steps.append(Step(name, check()))
        if steps[-1].fault:
            break
    return steps


def _headers(given: Mapping[str, str]) -> str:
    missing = [name for name in HEADERS if not given.get(name)]
    return _("Missing: %(names)s.") % {"names": ", ".join(missing)} if missing else ""


def _secret(secret: str) -> str:
    if not secret.startswith(PREFIX):
        return _("The secret begins with %(prefix)s.") % {"prefix": PREFIX}
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        text = _("What follows %(prefix)s is not base64: part of it is missing, or something was added.")
        return text % {"prefix": PREFIX}
    if len(key) in SECRET_LENGTHS:
        return ""
    return _("The secret holds %(bytes)s bytes: part of it is missing, or something was added.") % {"bytes": len(key)}


def _timestamp(text: str) -> str:
    if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS:
        return ""
    return _("webhook-timestamp is not a number of seconds since 1970.")


def _form(header: str) -> str:
    versions = [signature.partition(",")[0] for signature in header.split()]
    if VERSION in versions:
        return ""
    return _("webhook-signature holds no signature that begins with %(version)s and a comma.") % {"version": VERSION}


def _body(body: bytes, sent: bytes | None) -> str:
    if sent is None or body == sent:
        return ""
    if body.strip() == sent:
        return _("There is white space around the body that was not sent: a line end at the end of a file, perhaps.")
    pairs = zip(body, sent, strict=False)
    place = next((n for n, (one, other) in enumerate(pairs) if one != other), min(len(body), len(sent)))
    around = slice(max(place - SHOWN, 0), place + SHOWN)
    got, was = (repr(text[around].decode(errors="replace")) for text in (body, sent))
    text = _(
        "The body differs from what was sent at byte %(place)s: %(got)s instead of %(was)s. Verify the bytes that "
        "arrived, before they are parsed: JSON that is written anew is another text."
    )
    return text % {"place": place, "got": got, "was": was}


def _signature(body: bytes, given: Mapping[str, str], secrets: Sequence[str], *, is_ours: bool) -> str:
    if _fits(body, given, secrets):
        return ""
    if _fits(body.strip(), given, secrets):
        return _("It fits the body without the white space around it.")
    if is_ours:
        return _(
            "The body is the one that was sent, but this endpoint's secret did not sign it with this id and this time. "
            "Do the headers belong to another endpoint, or to another attempt?"
        )
    return _(
        "It fits neither this body nor this secret. Is it the secret of this endpoint, and of this installation? "
        "Are these the bytes that arrived, not JSON that was parsed and written anew?"
    )


def _fits(body: bytes, given: Mapping[str, str], secrets: Sequence[str]) -> bool:
    message_id, timestamp = given["webhook-id"], int(given["webhook-timestamp"])
    expected = [sign(secret, message_id=message_id, timestamp=timestamp, body=body).encode() for secret in secrets]
    signatures = given["webhook-signature"].encode().split()
    return any(hmac.compare_digest(one, other) for one in expected for other in signatures)


def _clock(timestamp: int, now: datetime) -> str:
    age = int(now.timestamp()) - timestamp
    if abs(age) <= TOLERANCE_SECONDS:
        return ""
    if age > 0:
        text = _(
            "It was signed %(seconds)s seconds ago, and a receiver refuses more than %(limit)s. That is well when you "
            "look at an old message; when it has only just arrived, your clock is wrong."
        )
    else:
        text = _(
            "It was signed %(seconds)s seconds ahead of now, and a receiver refuses more than %(limit)s: "
            "a clock is wrong."
        )
    return text % {"seconds": abs(age), "limit": TOLERANCE_SECONDS}
