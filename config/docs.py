"""The API's documentation pages. Their libraries need a wider CSP than ours, on these two paths only."""

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.utils.decorators import method_decorator
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView

DOCS_CSP = {
    "script-src": [SELF, UNSAFE_INLINE],
    "style-src": [SELF, UNSAFE_INLINE],
    "worker-src": [SELF, "blob:"],
}


@method_decorator(csp_replace(DOCS_CSP), name="dispatch")
class SwaggerView(SpectacularSwaggerView):
    permission_classes = []
    url_name = "schema"


@method_decorator(csp_replace(DOCS_CSP), name="dispatch")
class RedocView(SpectacularRedocView):
    permission_classes = []
    url_name = "schema"
