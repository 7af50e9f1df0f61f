"""Who acts in the request at hand: set where a credential or a log-in is checked, kept in every event."""

from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("actor", default="")


def current_actor() -> str:
    """Id of a user or API key; empty for a payer who is nobody in particular, and for the worker."""
    return _current.get()


def set_actor(value: str) -> None:
    """Until the end of the request (core/middleware.py)."""
    _current.set(value)
