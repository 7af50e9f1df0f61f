"""The description of operations that ask who sends them (core/schema.py has what every operation shares)."""

from collections.abc import Callable, Sequence
from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.serializers import Serializer

from accounts.access import MERCHANT_HEADER, MerchantRequired, ScopeMissing
from accounts.services import KeyInvalid
from accounts.tokens import TokenInvalid
from core.api import MAX_PAGE_SIZE, PAGE_SIZE, takes_nothing
from core.errors import ApiError, NotAuthenticated, NotFound, NotPermitted, ParameterInvalid, ParameterUnknown
from core.fields import KeyField
from core.schema import BODY_ERRORS, KEY_ERRORS, READ_ERRORS, refusals

CREDENTIAL_ERRORS = (NotAuthenticated, TokenInvalid, KeyInvalid)
PERMISSION_ERRORS = (NotPermitted, ScopeMissing, MerchantRequired, NotFound, ParameterInvalid)
LIST_ERRORS = (ParameterUnknown, ParameterInvalid)

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", **KeyField.rules},
    OpenApiParameter.HEADER,
    description="1 to 255 visible ASCII characters of your choice. A repeated request with the same key and body "
    "answers with the same object; nothing happens twice.",
)
MERCHANT = OpenApiParameter(
    MERCHANT_HEADER,
    {"type": "string", "pattern": "^mer_[0-7][0-9a-hjkmnp-tv-z]{25}$"},
    OpenApiParameter.HEADER,
    description="Which merchant, for a user who belongs to several",
)
CURSOR = OpenApiParameter("cursor", str, description="From `next` or `previous` of a page")
PAGE = OpenApiParameter(
    "page_size",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE},
    description="Rows of a page",
)
PAGING = [CURSOR, PAGE]


def described(
    operation_id: str,
    summary: str,
    answer: Any,
    *,
    tag: str,
    status: int = 200,
    description: str = "",
    body: Any = None,
    keyed: bool = False,
    scoped: bool = True,
    public: bool = False,
    errors: tuple[type[ApiError], ...] = (),
    parameters: Sequence[OpenApiParameter | Serializer] | None = None,
    examples: list[Any] | None = None,
) -> Callable[[Any], Any]:
    """`extend_schema` for one operation. `scoped`: it is about one merchant. `keyed`: it takes an Idempotency-Key.
    A POST without a `body` refuses one that says something."""
    known = [*errors, *CREDENTIAL_ERRORS, *(KEY_ERRORS if keyed else ())]
    known += PERMISSION_ERRORS if scoped and not public else ()
    headers = [*([IDEMPOTENCY_KEY] if keyed else []), *([MERCHANT] if scoped and not public else [])]

    def describe(handler: Any) -> Any:
        is_post = handler.__name__ == "post"
        common = BODY_ERRORS if is_post or body else READ_ERRORS
        schema = extend_schema(
            operation_id=operation_id,
            summary=summary,
            description=description,
            tags=[tag],
            request=body,
            auth=[{}, {"bearer": []}] if public else None,  # type: ignore[list-item]
            responses={status: OpenApiResponse(answer, description="Done."), **refusals(*known, *common)},
            parameters=[*headers, *(parameters or [])],
            examples=examples,
        )
        return schema(takes_nothing(handler) if is_post and body is None else handler)

    return describe
