"""The id of the request (or job) at hand, in every answer, log line and event."""

from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("request_id", default="")


def current_request_id() -> str:
    """`req_…`, or empty outside a request."""
    return _current.get()


def set_request_id(value: str) -> None:
    _current.set(value)
