"""The OpenAPI description of what every path shares: the envelope, the errors, the headers.

A serializer may carry `examples`, a value for each field; a serializer or a field may carry `rules`, the part of
its JSON Schema that its type does not tell (a pattern, `dependentRequired` and the like).
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiExample, OpenApiResponse

from core.api import StrictSerializer
from core.errors import (
    ApiError,
    BodyTooLarge,
    DuplicateKey,
    JsonInvalid,
    MediaTypeUnsupported,
    ParameterInvalid,
    ParameterMissing,
    ParameterUnknown,
    RateLimited,
    Unavailable,
    body_of,
)
from core.idempotency import IdempotencyKeyConflict, IdempotencyKeyInvalid, IdempotencyKeyReused

JSON = "application/json"
EXAMPLE_REQUEST_ID = "req_01m7xt2s0arrqj7g231der0e2g"

# What paths of a kind have in common; `refusals(*BODY_ERRORS, …)`.
READ_ERRORS = (RateLimited, Unavailable)
BODY_ERRORS = (
    JsonInvalid,
    DuplicateKey,
    ParameterMissing,
    ParameterUnknown,
    ParameterInvalid,
    BodyTooLarge,
    MediaTypeUnsupported,
    RateLimited,
    Unavailable,
)
KEY_ERRORS = (IdempotencyKeyInvalid, IdempotencyKeyConflict, IdempotencyKeyReused)

FAULT = {
    "type": "object",
    "required": ["param", "code", "message"],
    "properties": {
        "param": {"type": "string", "description": "The field at fault", "examples": ["amount"]},
        "code": {"type": "string", "examples": ["amount_precision"]},
        "message": {"type": "string", "examples": ["USD has 2 decimals; the amount has 3."]},
    },
}
ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "What every answer outside 2xx looks like.",
    "required": ["status", "message", "error"],
    "properties": {
        "status": {"type": "string", "const": "error"},
        "message": {
            "type": "string",
            "description": "The same sentence as error.message",
            "examples": ["USD has 2 decimals; the amount has 3."],
        },
        "error": {
            "type": "object",
            "required": ["type", "code", "message", "param", "request_id", "doc_url"],
            "properties": {
                "type": {
                    "type": "string",
                    "enum": [
                        "invalid_request",
                        "authentication",
                        "permission",
                        "not_found",
                        "conflict",
                        "idempotency",
                        "rate_limit",
                        "unavailable",
                        "api_error",
                    ],
                    "description": "The family of the fault: what kind of thing to do about it",
                },
                "code": {
                    "type": "string",
                    "description": "The kind of fault, for programs; it never changes its meaning",
                    "examples": ["amount_precision"],
                },
                "message": {
                    "type": "string",
                    "description": "What went wrong, for the developer; the wording may change",
                    "examples": ["USD has 2 decimals; the amount has 3."],
                },
                "param": {
                    "type": ["string", "null"],
                    "description": "The field at fault, when there is one",
                    "examples": ["amount"],
                },
                "request_id": {
                    "type": "string",
                    "description": "The Request-Id of this answer; name it when you ask for help",
                    "examples": [EXAMPLE_REQUEST_ID],
                },
                "doc_url": {
                    "type": "string",
                    "format": "uri",
                    "description": "Where this code is explained",
                },
                "fields": {
                    "type": "array",
                    "description": "Every field at fault, when the body did not pass; the first is the error itself",
                    "items": FAULT,
                },
            },
        },
    },
}
HEADERS: dict[str, dict[str, Any]] = {
    "Request-Id": {
        "description": "The id of this request, in our logs too. Name it when you ask for help.",
        "required": True,
        "schema": {"type": "string", "examples": [EXAMPLE_REQUEST_ID]},
    },
    "Retry-After": {
        "description": "Seconds to wait before trying again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0, "examples": [2]},
    },
    "Idempotent-Replayed": {
        "description": "Present when an earlier request with this Idempotency-Key had made the object already.",
        "schema": {"type": "string", "const": "true"},
    },
}
PAGES: dict[str, dict[str, Any]] = {
    "next": {"type": ["string", "null"], "format": "uri", "description": "The page after this one"},
    "previous": {"type": ["string", "null"], "format": "uri", "description": "The page before this one"},
}
WAITS = {RateLimited.status, Unavailable.status}


def refusals(*errors: type[ApiError]) -> dict[int, OpenApiResponse]:
    """The answers with which an operation refuses, for the `responses` of `extend_schema`: one a status, with an
    example for each code."""
    ordered = sorted(dict.fromkeys(errors), key=lambda error: error.status)
    return {status: _refusal(list(group)) for status, group in groupby(ordered, key=lambda error: error.status)}


def _refusal(errors: Iterable[type[ApiError]]) -> OpenApiResponse:
    return OpenApiResponse(
        response=_component("schemas", "Error", ERROR_SCHEMA).ref,
        description=" · ".join(f"`{error.code}`" for error in errors),
        examples=[OpenApiExample(error.code, _example(error)) for error in errors],
    )


def _example(error: type[ApiError]) -> dict[str, Any]:
    body = body_of(error())
    body["error"]["request_id"] = EXAMPLE_REQUEST_ID
    return body


def _component(kind: str, name: str, schema: dict[str, Any]) -> ResolvedComponent:
    return ResolvedComponent(name=name, type=kind, schema=schema, object=name)


class EnvelopeSchema(AutoSchema):
    """Describes the envelope of a success (a view names its `noun`), the errors and the headers."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation:
            self.registry.register_on_missing(_component("schemas", "Error", ERROR_SCHEMA))
            keyed = any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))
            for status, response in operation["responses"].items():
                response["headers"] = self._headers(int(status), keyed)
            self._link(operation)
            self._say_who_may(operation)
        return operation

    def _link(self, operation: dict[str, Any]) -> None:
        """Says what can be done with what was created: `links = {"getThing": {"thing_id": "thing/id"}}` on a view."""
        created = operation["responses"].get("201")
        if created and hasattr(self.view, "links"):
            created["links"] = {
                name: {
                    "operationId": name,
                    "parameters": {to: f"$response.body#/{pointer}" for to, pointer in values.items()},
                }
                for name, values in self.view.links.items()
            }

    def _say_who_may(self, operation: dict[str, Any]) -> None:
        """The last paragraph: what a view's `who_may(method)` says."""
        if hasattr(self.view, "who_may"):
            texts = (operation.get("description"), self.view.who_may(self.method))
            operation["description"] = "\n\n".join(filter(None, texts))

    def _headers(self, status: int, keyed: bool) -> dict[str, Any]:
        names = ["Request-Id"]
        names += ["Retry-After"] if status in WAITS else []
        names += ["Idempotent-Replayed"] if keyed and status == 201 else []
        headers = {name: _component("headers", name, HEADERS[name]) for name in names}
        for component in headers.values():
            self.registry.register_on_missing(component)
        return {name: component.ref for name, component in headers.items()}

    def _get_response_for_code(self, serializer: Any, status_code: str, *args: Any, **kwargs: Any) -> Any:
        response = super()._get_response_for_code(serializer, status_code, *args, **kwargs)
        if status_code.startswith("2"):
            response["description"] = response["description"] or "Success"
            for media in response.get("content", {}).values():
                media["schema"] = self._enveloped(media["schema"])
        return response

    def _enveloped(self, inner: dict[str, Any]) -> dict[str, Any]:
        is_list = inner.get("type") == "array"
        noun = getattr(self.view, "plural", "data") if is_list else getattr(self.view, "noun", "data")
        pages = PAGES if is_list else {}
        return {
            "type": "object",
            "required": [noun, *pages, "status", "message"],
            "properties": {
                noun: inner,
                **pages,
                "status": {"type": "string", "const": "success"},
                "message": {"type": "string", "description": "A sentence for people", "examples": ["Done."]},
            },
        }

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        schema = super()._map_basic_serializer(serializer, direction)
        examples = getattr(serializer, "examples", {})
        for name, described in schema["properties"].items():
            described |= getattr(serializer.fields[name], "rules", {})
            described |= {"examples": [examples[name]]} if name in examples else {}
        if isinstance(serializer, StrictSerializer):
            schema["additionalProperties"] = False
        return {**schema, **getattr(serializer, "rules", {})}
