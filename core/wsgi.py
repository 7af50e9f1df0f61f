"""Django's WSGI handler, and what may come in a request before any middleware sees it."""

import io
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http.response import HttpResponseBase


class Utf8Request(WSGIRequest):
    """Django decodes the query by the client's charset before any middleware could answer: one that is no text
    (`charset=bz2`) or a thousand parameters would be an exception that nobody catches. We take UTF-8 only."""

    @property
    def encoding(self) -> None:
        return None

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        pass


class Handler(WSGIHandler):
    """Also reads a body that comes in chunks, which Django would take for an empty one."""

    request_class = Utf8Request

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> HttpResponseBase:
        if not environ.get("CONTENT_LENGTH") and environ.get("HTTP_TRANSFER_ENCODING"):
            body = environ["wsgi.input"].read(settings.API_MAX_BODY_BYTES + 1)
            environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return super().__call__(environ, start_response)
