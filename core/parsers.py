"""The strict JSON parser: what passes it can be stored and answered by every database and client."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser

from core.errors import BodyTooLarge, DuplicateKey, JsonInvalid, shown_name

MAX_DEPTH = 32
MAX_NUMBER_LENGTH = 64
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class StrictJSONParser(BaseParser):
    """UTF-8, one object, no duplicate keys, no NaN, no NUL or lone surrogate, bounded in every direction."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return parse_object(stream.read(settings.API_MAX_BODY_BYTES + 1))


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`, with Decimal for fractions and float for what has an exponent, which no field
    takes. Raises JsonInvalid, DuplicateKey, BodyTooLarge."""
    if len(raw) > settings.API_MAX_BODY_BYTES:
        raise BodyTooLarge
    try:
        text = raw.decode("utf-8")
        _check_depth(text)
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_float=_bounded(_fraction),
            parse_int=_bounded(int),
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        raise JsonInvalid from error
    if not isinstance(value, dict):
        raise JsonInvalid
    _check_strings(value)
    return value


def _check_depth(text: str) -> None:
    """Counted before parsing: where recursion ends differs between versions of Python."""
    depth, in_string, escaped = 0, False, False
    for char in text:
        if in_string:
            in_string, escaped = escaped or char != '"', not escaped and char == "\\"
        elif char == '"':
            in_string = True
        elif char in "{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise JsonInvalid(f"The body is nested deeper than {MAX_DEPTH}.")
        elif char in "}]":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        name = Counter(name for name, _value in pairs).most_common(1)[0][0]
        raise DuplicateKey(param=shown_name(UNSTORABLE.sub("?", name)))
    return result


def _fraction(token: str) -> Decimal | float:
    return float(token) if "e" in token or "E" in token else Decimal(token)


def _bounded(number: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(token: str) -> Any:
        if len(token) > MAX_NUMBER_LENGTH:
            raise JsonInvalid(f"A number is longer than {MAX_NUMBER_LENGTH} characters.")
        return number(token)

    return read


def _refuse_constant(name: str) -> None:
    raise JsonInvalid(f"{name} is not JSON.")


def _check_strings(value: Any) -> None:
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            raise JsonInvalid("A text holds a NUL or half of a surrogate pair.")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_strings(key)
            _check_strings(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_strings(inner)
