"""The API's tokens: JSON Web Tokens by simplejwt, each tied to the Login that it belongs to by `sid`.

What a token says is never trusted for more than which log-in it is: user, role and merchant are read from the
database with every request, so that a change of any of them counts at once.
"""

import re
from datetime import UTC, datetime

from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from accounts.models import Login
from core.errors import ApiError
from core.ids import is_id

JTI_PATTERN = re.compile(r"[0-9a-f]{32}", re.ASCII)  # a UUID, as simplejwt writes it


class TokenInvalid(ApiError):
    status, type, code = 401, "authentication", "token_invalid"
    message = "The token is not valid: expired, ended, or not one of ours. Log in again."


def expiry_of(token: Token) -> datetime:
    return datetime.fromtimestamp(token["exp"], UTC)


def token_pair(login: Login, refresh: RefreshToken) -> dict[str, str | int]:
    """The answer to a log-in: both tokens, and the seconds that the access token lives (OAuth 2.0, RFC 6749)."""
    refresh["sub"], refresh["sid"] = login.user_id, login.pk
    access = refresh.access_token
    return {
        "access": str(access),
        "refresh": str(refresh),
        "token_type": "Bearer",
        "expires_in": int(AccessToken.lifetime.total_seconds()),
    }


def read_token(kind: type[Token], text: str) -> Token:
    """A token of this kind that we signed and that has not expired. Raises TokenInvalid."""
    try:
        token = kind(text)  # type: ignore[arg-type]
    except (TokenError, ValueError, TypeError, OverflowError, RecursionError, OSError) as error:  # claims hold anything
        raise TokenInvalid from error
    jti = token["jti"]
    ours = isinstance(jti, str) and JTI_PATTERN.fullmatch(jti)
    if not (ours and is_id(token.get("sid"), "login") and is_id(token.get("sub"), "usr")):
        raise TokenInvalid
    return token


def open_login(token: Token) -> Login:
    """The log-in that the token belongs to, with its user, as long as it is open. Raises TokenInvalid."""
    login = Login.objects.select_related("user").filter(pk=token["sid"], user_id=token["sub"]).first()
    if login is None or not login.is_open:
        raise TokenInvalid
    return login


def login_of_access(text: str) -> Login:
    return open_login(read_token(AccessToken, text))
