"""Which requests a browser may make for a page of another origin (CORS, the Fetch standard).

The public part of the API is open to every page: it takes no credential, so there is nothing to steal. The rest is
for the origins in the settings.
"""

import re
from typing import Any

from django.http import HttpRequest

from core.ids import ULID_PATTERN

PUBLIC = [("POST", r"/api/v1/payments"), ("GET", rf"/api/v1/payments/pay_{ULID_PATTERN}"), ("GET", r"/api/v1/health")]


def is_public(sender: Any, request: HttpRequest, **_signal: Any) -> bool:
    """Whether any page may make this request, or, for a preflight, the request that it announces."""
    method = request.headers.get("Access-Control-Request-Method") if request.method == "OPTIONS" else request.method
    return any(method == public and re.fullmatch(path, request.path_info) for public, path in PUBLIC)
