"""Who a request comes from, which merchant it is for, and whether it may: the base of every view that asks.

A view says for each method what it `needs`: a permission of accounts.policy, SELF (any user who is logged in) or
PUBLIC. A method without an entry is a mistake that stops the start.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions as drf
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.models import ApiKey, Login, Membership, Merchant, User
from accounts.policy import SCOPES, permissions_of, roles_with
from accounts.services import EmailUnverified, find_key
from accounts.services.keys import PREFIX
from accounts.tokens import TokenInvalid, login_of_access
from core.actor import set_actor
from core.api import ApiView, CounterThrottle
from core.errors import ApiError, NotAuthenticated, NotFound, NotPermitted, ParameterInvalid
from core.ids import is_id

PUBLIC, SELF = "public", "self"
MERCHANT_HEADER = "Tillgate-Merchant"
MAX_CREDENTIAL_LENGTH = 4096


class ScopeMissing(ApiError):
    status, type, code = 403, "permission", "scope_missing"
    message = "This API key lacks the scope for that."


class MerchantRequired(ApiError):
    code = "merchant_required"
    message = f"You belong to several merchants. Name one in the header {MERCHANT_HEADER}."


# --- Who --------------------------------------------------------------------------------------
class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer` with a secret API key or an access token. One that is not good is refused even where
    none is needed: whoever sends it wants it to count. Other schemes are somebody else's, such as a proxy's."""

    def authenticate(self, request: Request) -> tuple[User | ApiKey, Login | ApiKey] | None:
        scheme, _space, credential = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        credential = credential.strip()
        if not credential.isascii() or len(credential) > MAX_CREDENTIAL_LENGTH:
            raise TokenInvalid
        if credential.startswith(PREFIX):
            key = find_key(credential)
            set_actor(key.pk)
            return key, key
        login = login_of_access(credential)
        set_actor(login.user_id)
        return login.user, login

    def authenticate_header(self, request: Request) -> str:
        """`WWW-Authenticate` of a 401 (RFC 6750 §3)."""
        scheme = request.headers.get("Authorization", "").partition(" ")[0]
        return 'Bearer realm="Tillgate"' + (', error="invalid_token"' if scheme.lower() == "bearer" else "")


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A secret API key (`sk_…`), or an access token from `POST /auth/token`.",
        }


# --- For which merchant, and what -------------------------------------------------------------
@dataclass(frozen=True)
class Access:
    """What a credential opens: a merchant with permissions, or, without one, what a customer has paid."""

    merchant: Merchant | None
    permissions: frozenset[str]
    role: str = ""  # of a member; a key has none


def access_of(request: Request, merchant_id: str | None = None) -> Access:
    """The access of the request's credential, at the merchant that is named by `merchant_id`, by the header, or by
    being the only one. Raises NotFound for another's, the same as for one that does not exist."""
    wanted = _wanted(request, merchant_id)
    if isinstance(request.auth, ApiKey):
        if wanted not in (None, request.auth.merchant_id):
            raise NotFound
        return Access(request.auth.merchant, frozenset(request.auth.scopes))
    memberships = Membership.objects.select_related("merchant").filter(user_id=request.user.pk)
    found = [member for member in memberships if wanted in (None, member.merchant_id)]
    if not found and wanted is not None:
        raise NotFound
    if not found:
        return Access(None, frozenset())
    if len(found) > 1:
        raise MerchantRequired
    return Access(found[0].merchant, permissions_of(found[0].role), found[0].role)


def _wanted(request: Request, merchant_id: str | None) -> str | None:
    named = request.headers.get(MERCHANT_HEADER)
    for value, param in ((named, MERCHANT_HEADER), (merchant_id, "merchant_id")):
        if value is not None and not is_id(value, "mer"):
            raise ParameterInvalid("This is no merchant's id.", param=param)
    if named is not None and merchant_id is not None and named != merchant_id:
        raise ParameterInvalid(f"The header {MERCHANT_HEADER} names another merchant.", param="merchant_id")
    return merchant_id if merchant_id is not None else named


def may(request: Request, permission: str, merchant_id: str) -> bool:
    """Whether the request's credential, if it has one, gives this permission at this merchant."""
    if isinstance(request.auth, ApiKey):
        return request.auth.merchant_id == merchant_id and permission in request.auth.scopes
    if request.auth is None:
        return False
    member = Membership.objects.filter(user_id=request.user.pk, merchant_id=merchant_id).first()
    return member is not None and permission in permissions_of(member.role)


class NeedsPermission(BasePermission):
    """Reads the view's `needs`, and leaves the Access on the view."""

    def has_permission(self, request: Request, view: Any) -> bool:
        needed = view.needs.get(_method(request))
        if needed is None:
            raise drf.MethodNotAllowed(request.method or "")
        if needed == PUBLIC:
            return True
        if request.auth is None:
            raise NotAuthenticated
        if needed == SELF:
            return _is_person(request)
        view.access = access_of(request, view.merchant_id(request))
        _require(request, view, needed)
        return True


def _method(request: Request) -> str:
    """HEAD asks for what GET does."""
    return "GET" if request.method == "HEAD" else request.method or ""


def _is_person(request: Request) -> bool:
    if isinstance(request.auth, ApiKey):
        raise NotPermitted("This is for people: send an access token, not an API key.")
    return True


def _require(request: Request, view: Any, needed: str) -> None:
    access = view.access
    if needed in access.permissions:
        return
    if isinstance(request.auth, ApiKey):
        raise ScopeMissing(f"This API key lacks the scope {needed}.")
    if access.merchant is None and view.for_customers and isinstance(request.user, User):
        if not request.user.email_verified:
            raise EmailUnverified
        return
    raise NotPermitted(f"{needed} takes one of the roles {', '.join(roles_with(needed))}.")


# --- How often --------------------------------------------------------------------------------
class CredentialThrottle(CounterThrottle):
    """Counts a merchant's requests with all its keys together, and each person's."""

    scope = "authenticated"

    def client(self, request: Request) -> str:
        return request.auth.merchant_id if isinstance(request.auth, ApiKey) else str(request.user.pk)


class AnonymousThrottle(CounterThrottle):
    """Counts the requests of everybody but a merchant's own programs, which may send more. Anybody can have an
    account, or a merchant in the sandbox: neither lifts the limit on paying others."""

    def allow_request(self, request: Request, view: Any) -> bool:
        return _is_own_program(request) or super().allow_request(request, view)


def _is_own_program(request: Request) -> bool:
    if not isinstance(request.auth, ApiKey) or not isinstance(request.data, dict):
        return False
    own = request.auth.merchant_id
    return request.data.get("merchant_id", own) == own


class AccessView(ApiView):
    """A view that says what it needs. `access.merchant` is whose rows it may touch."""

    authentication_classes = [BearerAuthentication]
    permission_classes = [NeedsPermission]
    needs: ClassVar[dict[str, str]] = {}
    for_customers: ClassVar[bool] = False  # whether people without a merchant may read what they paid
    throttles: ClassVar[dict[str, list[type[BaseThrottle]]]] = {}  # by method, besides the one for credentials
    access: Access

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        methods = {name.upper() for name in ("get", "post", "put", "patch", "delete") if hasattr(cls, name)}
        if methods != set(cls.needs):
            raise TypeError(f"{cls.__name__} handles {sorted(methods)} and needs {sorted(cls.needs)}.")

    @classmethod
    def who_may(cls, method: str) -> str:
        """A sentence for the API's description; none where anybody may."""
        needed = cls.needs[method]
        if needed == PUBLIC:
            return ""
        if needed == SELF:
            return "Needs an access token; API keys are refused."
        others = ["an API key"] * (needed in SCOPES) + ["a customer for what they paid"] * cls.for_customers
        return f"Needs `{needed}`: {', '.join([*roles_with(needed), *others])}."

    def get_throttles(self) -> list[BaseThrottle]:
        own = [throttle() for throttle in self.throttles.get(_method(self.request), [])]
        return [*own, CredentialThrottle()] if self.request.auth is not None else own

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if response.status_code == NotAuthenticated.status:
            response["WWW-Authenticate"] = self.get_authenticate_header(request)
        return response

    def merchant_id(self, request: Request) -> str | None:
        """The merchant that the request names besides the header; a list takes it from `?merchant_id=`."""
        return None

    @property
    def merchant(self) -> Merchant:
        """The merchant whose rows the view may touch; only where customers are not served."""
        if self.access.merchant is None:
            raise NotFound
        return self.access.merchant

    @property
    def person(self) -> User | None:
        """The person who is logged in; None for a key."""
        return self.request.user if isinstance(self.request.user, User) else None

    @property
    def responsible(self) -> User | None:
        """The person who answers for the request: who is logged in, or who made its key; None when they are gone."""
        auth = self.request.auth
        return auth.created_by if isinstance(auth, ApiKey) else self.person

    @property
    def user(self) -> User:
        """The person who is logged in; only where keys are not served."""
        if self.person is None:
            raise NotPermitted
        return self.person
