"""Where a customer may be sent back to: nowhere but the origins that the merchant has allowed."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from core.errors import UrlForbidden

MAX_URL_LENGTH = 2048
# Browsers drop tabs and line ends and read a backslash as a slash: no such character may pass.
FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]|[^\x00-\x7f]")
DEFAULT_PORTS = {"https": 443, "http": 80}
LOCAL_HOSTS = {"localhost", "127.0.0.1"}
NOT_ALLOWED = "return_url must start with one of the merchant's allowed return origins."


def read_return_url(url: str, allowed: Iterable[str], *, sandbox: bool) -> str:
    """The URL as given, or UrlForbidden. Plain http is for a sandbox merchant on this machine only."""
    if len(url) > MAX_URL_LENGTH or FORBIDDEN.search(url):
        raise UrlForbidden(NOT_ALLOWED, param="return_url")
    origin = origin_of(url)
    if origin is None or origin not in {origin_of(other) for other in allowed}:
        raise UrlForbidden(NOT_ALLOWED, param="return_url")
    scheme, host, _port = origin
    if scheme != "https" and not (sandbox and host in LOCAL_HOSTS):
        raise UrlForbidden("return_url must be https.", param="return_url")
    return url


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None when the URL has none of its own or carries a user name."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, DEFAULT_PORTS[parts.scheme] if port is None else port
