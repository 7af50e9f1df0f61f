"""Every route of the URLconf, for the tests that walk all of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.admindocs.views import extract_views_from_urlpatterns
from django.urls import get_resolver

ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)")


@dataclass(frozen=True)
class Route:
    name: str  # with its namespace
    pattern: str

    @property
    def arguments(self) -> list[str]:
        return [plain or grouped for plain, grouped in ARGUMENT.findall(self.pattern)]

    @property
    def is_api(self) -> bool:
        return self.pattern.startswith("api/v1/")

    @property
    def template(self) -> str:
        """As the API's description writes it."""
        return "/" + ARGUMENT.sub(r"{\1}", self.pattern)

    def path(self, values: dict[str, str]) -> str:
        """Its address with these values for its arguments."""
        path = ARGUMENT.sub(lambda match: values[match[1] or match[2]], self.pattern)
        return "/" + re.sub(r"\\Z|[\\^$]", "", path)


def all_routes() -> Iterator[Route]:
    for _view, pattern, namespaces, name in extract_views_from_urlpatterns(get_resolver().url_patterns):
        yield Route(":".join([*(namespaces or []), name or ""]), pattern)


def api_routes() -> list[Route]:
    return [route for route in all_routes() if route.is_api]
