"""What every request passes: an id of its own, nobody who acts in it yet, and one path for both slash forms."""

import logging
import re
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

from core.actor import set_actor
from core.ids import new_id
from core.request_id import current_request_id, set_request_id

Handler = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Gives the request an id, which the answer carries as `Request-Id`. The next request of the thread learns nothing
    of this one: neither the id nor who acted."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = new_id("req")
        request.request_id = request_id  # type: ignore[attr-defined]
        set_request_id(request_id)
        try:
            response = self.get_response(request)
        finally:
            set_request_id("")
            set_actor("")
        response["Request-Id"] = request_id
        return response


class ApiSlashMiddleware:
    """Serves `/api/…/` as `/api/…`: a redirect would lose the body of a POST."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/api/") and request.path_info.endswith("/"):
            request.path_info = request.path_info[:-1]
            request.path = request.path[:-1]
        return self.get_response(request)


class LanguageMiddleware(LocaleMiddleware):
    """Pages speak the reader's language; the API, whose sentences are for developers, speaks English."""

    def process_request(self, request: HttpRequest) -> None:
        if request.path_info.startswith("/api/"):
            translation.activate("en")
            request.LANGUAGE_CODE = "en"
        else:
            super().process_request(request)


class RequestIdFilter(logging.Filter):
    """Puts the request's id on every log line; Django logs a refusal when the request is over, but names it."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        record.request_id = current_request_id() or getattr(request, "request_id", "-")
        return True


class SecretPathFormatter(logging.Formatter):
    """Leaves out what follows `paths`, a regular expression, on a log line: whoever reads a mailed link may use it."""

    def __init__(self, *, paths: str, **options: Any) -> None:
        super().__init__(**options)
        self.secret = re.compile(rf"({paths})[^\s\"']+")

    def format(self, record: logging.LogRecord) -> str:
        return self.secret.sub(r"\1…", super().format(record))
