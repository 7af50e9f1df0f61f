"""The API's description and its two readers, Swagger UI and Redoc, served from their package and nowhere else.

No script stands in the pages themselves, so their policy is nearly that of every other page. What the libraries
need besides: Swagger UI draws with style attributes, Redoc writes style elements (it takes a nonce for them) and
searches in a worker.
"""

from functools import lru_cache
from http import HTTPStatus
from itertools import groupby
from pathlib import Path
from typing import Any

from csp.constants import SELF
from csp.decorators import csp_update
from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe
from django.views.generic import TemplateView
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import error_classes
from payments.failures import MESSAGES

REDOC_BUNDLE = "drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js"
REDOC_LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"  # in the bundle; no setting turns it off
NO_IMAGE = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="
# The two style elements that Redoc makes: an empty one that it fills by script, and its scroll bars.
REDOC_STYLES = [
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='",
]
DAY = 24 * 3600

ERROR_TYPES = {
    "invalid_request": "The request is at fault. Mend it: sent again as it is, it gets the same answer.",
    "authentication": "Say who you are: log in, or send a secret API key.",
    "permission": "We know you, and your role does not allow this. Ask somebody whose role does.",
    "not_found": "There is nothing under this address, or it is not yours to see.",
    "conflict": "The object is not in a state that allows this. Read it again, then decide.",
    "idempotency": "The key belongs to another request. A new request takes a new key.",
    "rate_limit": "Wait for the seconds in Retry-After, then go slower.",
    "unavailable": "Nothing is wrong with the request. Wait for the seconds in Retry-After and send it again with "
    "the same Idempotency-Key: nothing happens twice.",
    "api_error": "Our fault. Send it again later with the same Idempotency-Key, and tell us the request id.",
}


class SchemaView(SpectacularAPIView):
    """The description as JSON; as YAML with `Accept: application/yaml` or `?format=yaml`."""

    permission_classes = []
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer2, OpenApiYamlRenderer]

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(description())


@lru_cache
def description() -> dict[str, Any]:
    """The same for everybody, so it is made once. In English whatever the browser speaks: it is the contract."""
    with translation.override("en"):
        return SchemaGenerator().get_schema(public=True)


@method_decorator(require_safe, name="dispatch")
class SwaggerView(TemplateView):
    template_name = "docs/swagger.html"


@method_decorator(require_safe, name="dispatch")
@method_decorator(csp_update({"style-src": REDOC_STYLES, "worker-src": [SELF, "blob:"]}), name="dispatch")
class RedocView(TemplateView):
    template_name = "docs/redoc.html"


@require_safe
def errors(request: HttpRequest) -> HttpResponse:
    """Every error code, each with an anchor of its own: where `doc_url` points to."""
    statuses = [
        (status, HTTPStatus(status).phrase, [kind() for kind in kinds])
        for status, kinds in groupby(error_classes(), key=lambda kind: kind.status)
    ]
    with translation.override("en"):
        context = {
            "site_url": settings.SITE_URL,
            "types": ERROR_TYPES.items(),
            "statuses": statuses,
            "failures": MESSAGES.items(),
        }
        return render(request, "errors.html", context)


@require_safe
@gzip_page
@cache_control(public=True, max_age=DAY)
def redoc_script(request: HttpRequest) -> HttpResponse:
    """Redoc's bundle without the picture that it would fetch from a CDN."""
    return HttpResponse(_redoc_bundle(), content_type="text/javascript; charset=utf-8")


@lru_cache
def _redoc_bundle() -> str:
    path = finders.find(REDOC_BUNDLE)
    if path is None:
        raise FileNotFoundError(REDOC_BUNDLE)
    return Path(path).read_text(encoding="utf-8").replace(REDOC_LOGO, NO_IMAGE)
