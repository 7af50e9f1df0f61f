"""The OpenAPI description of the envelope."""

from typing import Any

from drf_spectacular.openapi import AutoSchema

ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["status", "message", "error"],
    "properties": {
        "status": {"type": "string", "const": "error"},
        "message": {"type": "string"},
        "error": {
            "type": "object",
            "required": ["type", "code", "message", "param", "request_id", "doc_url"],
            "properties": {
                "type": {"type": "string"},
                "code": {"type": "string"},
                "message": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "request_id": {"type": "string"},
                "doc_url": {"type": "string", "format": "uri"},
                "fields": {
                    "type": "array",
                    "items": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
        },
    },
}


class EnvelopeSchema(AutoSchema):
    """Describes the envelope: a view names its `noun` and the `errors` (statuses) it may answer with."""

    def _get_response_for_code(self, serializer: Any, status_code: str, *args: Any, **kwargs: Any) -> Any:
        response = super()._get_response_for_code(serializer, status_code, *args, **kwargs)
        for media in response.get("content", {}).values():
            media["schema"] = self._enveloped(media["schema"])
        return response

    def _enveloped(self, inner: dict[str, Any]) -> dict[str, Any]:
        noun = getattr(self.view, "noun", "data")
        return {
            "type": "object",
            "required": [noun, "status", "message"],
            "properties": {
                noun: inner,
                "status": {"type": "string", "const": "success"},
                "message": {"type": "string"},
            },
        }

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        for status in getattr(self.view, "errors", ()) if operation else ():
            operation["responses"][str(status)] = {
                "description": "Error",
                "content": {"application/json": {"schema": ERROR_SCHEMA}},
            }
        return operation
