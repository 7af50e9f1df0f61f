"""What every API view shares: the envelope, strict input, lists, throttles."""

import ipaddress
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.core.cache import cache
from django.db.models import QuerySet
from django.utils.cache import patch_vary_headers
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle, SimpleRateThrottle
from rest_framework.views import APIView

from core.errors import ParameterInvalid, ParameterUnknown, as_api_error, shown_name
from core.ids import IdField, is_id
from core.indexes import along_index

logger = logging.getLogger(__name__)

PAGE_SIZE = 20
MAX_PAGE_SIZE = 100


# --- Answers ----------------------------------------------------------------------------------
def answer(
    noun: str, data: Any, message: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The envelope of a success: `{"<noun>": data, "status": "success", "message": …}`."""
    return Response({noun: data, "status": "success", "message": message}, status=status, headers=headers)


def created(noun: str, data: Any, message: str, *, replayed: bool) -> Response:
    """201 with the new object, or with the one that the same Idempotency-Key had made."""
    return answer(noun, data, message, status=201, headers={"Idempotent-Replayed": "true"} if replayed else {})


def answer_page(plural: str, page: "Page", data: Any, message: str) -> Response:
    """The envelope of a list: besides the rows, the URLs of the pages before and after, or null."""
    return Response(
        {plural: data, "next": page.next, "previous": page.previous, "status": "success", "message": message}
    )


def takes_nothing(handler: Any) -> Any:
    """Marks a method of a view whose request has no body: `{}` is read as none, and anything else refused."""
    handler.takes_nothing = True
    return handler


class ApiView(APIView):
    """A view of the API. Its answers are nobody else's, and tell how much of the rate limit is left."""

    noun: ClassVar[str] = ""
    plural: ClassVar[str] = ""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        handler = getattr(self, (request.method or "").lower(), None)
        if getattr(handler, "takes_nothing", False):
            read_body(StrictSerializer, request)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        patch_vary_headers(response, ["Authorization"])
        response.setdefault("Cache-Control", "no-store")
        state: RateLimitState | None = getattr(request, "rate_limit", None)
        if state is not None:
            response["RateLimit-Limit"] = str(state.limit)
            response["RateLimit-Remaining"] = str(state.remaining)
            response["RateLimit-Reset"] = str(state.reset)
        return response


# --- Requests ---------------------------------------------------------------------------------
class StrictSerializer(serializers.Serializer):
    """An input serializer that refuses fields it does not know."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        faults: dict[str, Any] = {
            shown_name(name): [serializers.ErrorDetail(ParameterUnknown.message, ParameterUnknown.code)]
            for name in unknown
        }
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            faults = {**error.detail, **faults}  # type: ignore[dict-item]
        if faults:
            raise serializers.ValidationError(faults)
        return value


def read_body(kind: type[serializers.Serializer], request: Request, *, partial: bool = False) -> dict[str, Any]:
    """What the body says, by a serializer; with `partial` only what is there. Raises ValidationError."""
    serializer = kind(data=request.data, partial=partial)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


def refuse_parameters_but(request: Request, *known: str) -> None:
    """Raises ParameterUnknown for a query parameter that the path does not know: a misspelt filter would otherwise
    answer with everything."""
    for name in request.query_params:
        if name not in known:
            raise ParameterUnknown(param=shown_name(name))


class ApiField(serializers.Field):
    """A field whose `read` raises ApiError; the error keeps its own code and sentence."""

    def read(self, data: Any) -> Any:
        raise NotImplementedError

    def to_internal_value(self, data: Any) -> Any:
        try:
            return self.read(data)
        except Exception as exc:
            error = as_api_error(exc)
            if error.status >= 500:
                raise
            raise serializers.ValidationError(error.message, error.code) from exc


# --- Lists ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Page:
    """One page of rows and the URLs of its neighbours, None at an end."""

    rows: Sequence[Any]
    next: str | None
    previous: str | None


def paginate(request: Request, rows: QuerySet[Any], *, ascending: bool = False) -> Page:
    """The page that `?cursor=` and `?page_size=` name, newest first. Raises ParameterInvalid for a forged one.

    The id is the cursor: ids sort by creation, so a page never moves.
    """
    size = read_page_size(request.query_params.get("page_size"))
    direction, cursor = read_cursor(request.query_params.get("cursor"), rows.model._meta.pk)
    backwards = direction == "before"
    forward = ascending != backwards
    rows = along_index(rows)
    if cursor:
        rows = rows.filter(**{"id__gt" if forward else "id__lt": cursor})
    found = list(rows.order_by("id" if forward else "-id")[: size + 1])
    more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    has_next, has_previous = (bool(cursor), more) if backwards else (more, bool(cursor))
    return Page(
        found,
        _page_url(request, "after", found[-1].pk) if found and has_next else None,
        _page_url(request, "before", found[0].pk) if found and has_previous else None,
    )


def read_page_size(text: str | None) -> int:
    """The rows of a page. Raises ParameterInvalid."""
    if text is None:
        return PAGE_SIZE
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MAX_PAGE_SIZE):
        raise ParameterInvalid(f"page_size must be from 1 to {MAX_PAGE_SIZE}.", param="page_size")
    return int(text)


def read_cursor(text: str | None, key: IdField) -> tuple[str, str]:
    """`after` or `before`, and the id of a row of the model with this key. Raises ParameterInvalid."""
    if text is None:
        return "after", ""
    direction, _, cursor = text.partition(".")
    if direction not in ("after", "before") or not is_id(cursor, key.prefix):
        raise ParameterInvalid("Take the cursor from next or previous of a list.", param="cursor")
    return direction, cursor


def _page_url(request: Request, direction: str, cursor: str) -> str:
    query = {**request.query_params.dict(), "cursor": f"{direction}.{cursor}"}
    return request.build_absolute_uri(f"{request.path}?{urlencode(query)}")


# --- Throttles --------------------------------------------------------------------------------
@dataclass(frozen=True)
class RateLimitState:
    """What the headers say: requests in a window, those that are left, seconds to the next window."""

    limit: int
    remaining: int
    reset: int


class CounterThrottle(SimpleRateThrottle):
    """A counter per window and client in the shared cache; `scope` names the rate in the settings."""

    duration: int  # seconds of a window
    num_requests: int

    def get_cache_key(self, request: Request, view: Any) -> str:
        return f"throttle:{self.scope}:{self.client(request)}"

    def client(self, request: Request) -> str:
        """Whom the counter belongs to; the network of the request unless a throttle says otherwise."""
        return client_network_of(request)

    def allow_request(self, request: Request, view: Any) -> bool:
        window = int(time.time()) // self.duration
        key = f"{self.get_cache_key(request, view)}:{window}"
        try:
            cache.add(key, 0, timeout=self.duration)
            count = cache.incr(key)
        except Exception as error:  # evicted in between, or there is no cache: people pay all the same
            logger.warning("not throttled: %s", type(error).__name__)
            return True
        self._remember(request, max(self.num_requests - count, 0))
        return count <= self.num_requests

    def _remember(self, request: Request, remaining: int) -> None:
        """For the headers; of several limits the one that is closest to its end."""
        known: RateLimitState | None = getattr(request, "rate_limit", None)
        if known is None or remaining < known.remaining:
            request.rate_limit = RateLimitState(self.num_requests, remaining, self.wait())  # type: ignore[attr-defined]

    def wait(self) -> int:
        """Seconds to the next window."""
        return int(self.duration - time.time() % self.duration) + 1


def client_network_of(request: Any) -> str:
    """The client's address behind the proxies that are trusted, or its network (see client_network)."""
    return client_network(BaseThrottle().get_ident(request))


def address_to_lock_out(request: Any) -> str | None:
    """Axes keeps an address: the first of the network, or none when there is none to tell."""
    network = client_network_of(request)
    return None if network == "unknown" else network.partition("/")[0]


def client_network(address: str | None) -> str:
    """The address, or its /64 for IPv6: one subscriber has that many. An IPv4 one in IPv6 clothes is IPv4."""
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is None:
        return str(ipaddress.ip_network(f"{ip}/64", strict=False))
    return str(getattr(ip, "ipv4_mapped", None) or ip)
