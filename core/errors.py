"""Errors are part of the interface: a class with a status, a code and a sentence, and the one handler."""

import logging
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from rest_framework import exceptions as drf
from rest_framework.response import Response

from core.request_id import current_request_id

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 2  # what a busy database asks of its clients
MAX_FAULTS = 20  # that one answer names
MAX_NAME_LENGTH = 64
LONG_NUMBER = re.compile(r"\d(?:\W?\d){11,}")


class ApiError(Exception):
    """A refusal that the caller can act on. `param` names the field at fault."""

    status: int = 400
    type: str = "invalid_request"
    code: str = "invalid_request"
    message: str = "The request is not valid."
    retry_after: int | None = None

    def __init__(self, message: str | None = None, *, param: str | None = None) -> None:
        self.message = message or self.message
        self.param = param
        super().__init__(self.message)


class Invalid(ApiError):
    """Every field of a request that failed; the first is the error, all of them are in `fields`."""

    def __init__(self, fields: list[dict[str, str]]) -> None:
        first = fields[0]
        super().__init__(first["message"], param=first["param"])
        self.code = first["code"]
        self.fields = fields


class ParameterMissing(ApiError):
    code, message = "parameter_missing", "A required field is missing or empty."


class ParameterUnknown(ApiError):
    code, message = "parameter_unknown", "The field is not known here."


class ParameterInvalid(ApiError):
    code, message = "parameter_invalid", "The value is not valid for its field."


class JsonInvalid(ApiError):
    code, message = "json_invalid", "The body must be a JSON object in UTF-8."


class DuplicateKey(ApiError):
    code, message = "duplicate_key", "A key stands twice in the same JSON object."


class UrlForbidden(ApiError):
    code, message = "url_forbidden", "This URL is not allowed here."


class NotAuthenticated(ApiError):
    status, type, code = 401, "authentication", "not_authenticated"
    message = "Log in, or send a secret API key."


class NotPermitted(ApiError):
    status, type, code = 403, "permission", "permission_denied"
    message = "Your role does not allow this."


class NotFound(ApiError):
    status, type, code, message = 404, "not_found", "not_found", "There is nothing here."


class MethodNotAllowed(ApiError):
    status, code, message = 405, "method_not_allowed", "This path does not take that method."


class NotAcceptable(ApiError):
    status, code, message = 406, "not_acceptable", "Answers are application/json only."


class BodyTooLarge(ApiError):
    status, code, message = 413, "body_too_large", "The body must not be larger than 64 KiB."


class MediaTypeUnsupported(ApiError):
    status, code, message = 415, "media_type_unsupported", "Send the body as application/json."


class RateLimited(ApiError):
    status, type, code = 429, "rate_limit", "rate_limited"
    message = "Too many requests. Wait for the seconds in Retry-After."


class LockedOut(ApiError):
    status, type, code = 429, "rate_limit", "locked_out"
    message = "Too many wrong passwords. Wait for the seconds in Retry-After, or reset the password."


class Unavailable(ApiError):
    status, type, code = 503, "unavailable", "unavailable"
    message = "The service is busy. Try again; with an Idempotency-Key nothing happens twice."
    retry_after = RETRY_AFTER_SECONDS


class ServerError(ApiError):
    status, type, code = 500, "api_error", "api_error"
    message = "Something went wrong on our side. The request id helps us to find it."


# What Django REST framework calls a fault of a field, in our words; our own codes pass through.
FIELD_CODES = {"required": "parameter_missing", "blank": "parameter_missing", "null": "parameter_missing"}
DRF_ERRORS: dict[type[drf.APIException], type[ApiError]] = {
    drf.ParseError: JsonInvalid,
    drf.AuthenticationFailed: NotAuthenticated,
    drf.NotAuthenticated: NotAuthenticated,
    drf.PermissionDenied: NotPermitted,
    drf.NotFound: NotFound,
    drf.MethodNotAllowed: MethodNotAllowed,
    drf.NotAcceptable: NotAcceptable,
    drf.UnsupportedMediaType: MediaTypeUnsupported,
    drf.Throttled: RateLimited,
}


def error_classes() -> list[type[ApiError]]:
    """Every kind of error, for the page of codes."""

    def walk(cls: type[ApiError]) -> Iterator[type[ApiError]]:
        for child in cls.__subclasses__():
            yield child
            yield from walk(child)

    return sorted(set(walk(ApiError)) - {Invalid}, key=lambda cls: (cls.status, cls.code))


def shown_name(name: str) -> str:
    """A field's name out of a request, as an error repeats it: short, and without what might be a card number."""
    return LONG_NUMBER.sub("…", name)[:MAX_NAME_LENGTH]


def body_of(error: ApiError) -> dict[str, Any]:
    """The envelope of an error."""
    content: dict[str, Any] = {
        "type": error.type,
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "request_id": current_request_id(),
        "doc_url": f"{settings.SITE_URL}/api/errors#{error.code}",
    }
    if isinstance(error, Invalid):
        content["fields"] = error.fields
    elif error.param is not None:
        content["fields"] = [{"param": error.param, "code": error.code, "message": error.message}]
    return {"status": "error", "message": error.message, "error": content}


def handle(exc: Exception, context: dict[str, Any]) -> Response:
    """REST framework's exception handler: whatever was raised in a view becomes one envelope."""
    error = as_api_error(exc)
    if isinstance(error, ServerError):
        logger.error("unhandled error in %s", context["request"].path, exc_info=exc)
    response = Response(body_of(error), status=error.status)
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    if isinstance(exc, drf.MethodNotAllowed):
        response["Allow"] = ", ".join(context["view"].allowed_methods)
    return response


def as_api_error(exc: Exception) -> ApiError:
    """The ApiError that says what `exc` means to a client; ServerError when nothing else fits."""
    if isinstance(exc, ApiError):
        return exc
    if isinstance(exc, drf.ValidationError):
        return Invalid(list(islice(_faults(exc.detail), MAX_FAULTS)))
    if isinstance(exc, Http404):
        return NotFound()
    if isinstance(exc, PermissionDenied):
        return NotPermitted()
    if isinstance(exc, SuspiciousOperation):  # a thousand query parameters and the like
        return ApiError()
    if isinstance(exc, (OperationalError, InterfaceError)):
        logger.warning("database busy", exc_info=exc)
        return Unavailable()
    for kind, ours in DRF_ERRORS.items():
        if isinstance(exc, kind):
            error = ours()
            error.retry_after = int(getattr(exc, "wait", None) or 1) if isinstance(exc, drf.Throttled) else None
            return error
    return ServerError()


def _faults(detail: Any, param: str = "") -> Iterator[dict[str, str]]:
    """Flattens REST framework's nested details into `{"param", "code", "message"}` rows."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            child = "" if name == "non_field_errors" else shown_name(str(name))  # of a dictionary: out of the request
            yield from _faults(inner, ".".join(part for part in (param, child) if part))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _faults(inner, param)
    else:
        known = {cls.code for cls in error_classes()}
        code = FIELD_CODES.get(detail.code, detail.code if detail.code in known else "parameter_invalid")
        yield {"param": param, "code": code, "message": str(detail)}


def is_api(request: HttpRequest) -> bool:
    return f"{request.path}/".startswith("/api/")


def _page_or_json(request: HttpRequest, error: ApiError) -> HttpResponse:
    if is_api(request):
        return JsonResponse(body_of(error), status=error.status)
    return render(request, f"{error.status}.html", {"request_id": current_request_id()}, status=error.status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page_or_json(request, ApiError())


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page_or_json(request, NotPermitted())


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _page_or_json(request, NotPermitted())


def locked_out(request: HttpRequest, response: HttpResponse, credentials: Any = None) -> HttpResponse:
    """What axes answers when an address was tried too often from one network."""
    response = _page_or_json(request, LockedOut())
    response["Retry-After"] = str(int(settings.AXES_COOLOFF_TIME.total_seconds()))
    return response


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page_or_json(request, NotFound())


def server_error(request: HttpRequest) -> HttpResponse:
    return _page_or_json(request, ServerError())
