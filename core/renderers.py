"""JSON as the API and the events write it."""

from collections.abc import Mapping
from typing import Any

import orjson
from rest_framework.renderers import BaseRenderer

from core.money import Money

OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS | orjson.OPT_PASSTHROUGH_DATACLASS


def to_json(data: Any) -> bytes:
    """JSON as the API writes it: Money as a number with exactly its currency's decimals, times in UTC with Z."""
    return orjson.dumps(data, default=_encode, option=OPTIONS)


def _encode(value: Any) -> Any:
    if isinstance(value, Money):
        return orjson.Fragment(str(value))
    return str(value)


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else to_json(data)
