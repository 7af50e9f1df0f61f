"""Logging in and out of the API, and the tokens that follow one another."""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.models import EMAIL_LENGTH, Login, User, normalize_email
from accounts.tokens import TokenInvalid, expiry_of, open_login, read_token, token_pair
from core.errors import ApiError
from core.mail import queue_email
from core.transactions import with_retries

logger = logging.getLogger(__name__)

# A client with two tabs, or one that repeats a lost request, may use a token twice within this time and is only
# refused. Later somebody else holds a copy of the token, and the whole log-in ends (OAuth 2.0 Security, RFC 9700 4.14).
RACE = timedelta(seconds=10)
KEPT = timedelta(days=90)  # log-ins that are over, for whoever asks what happened


class CredentialsWrong(ApiError):
    status, type, code = 401, "authentication", "credentials_wrong"
    message = "The email or the password is wrong."


def spelling_of_user(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """One spelling of an address, so that the count of wrong passwords cannot be split; as long as axes can keep,
    for a text may grow as its letters become small."""
    return normalize_email(str((credentials or {}).get("username") or ""))[:EMAIL_LENGTH]


def log_in(request: HttpRequest, *, email: str, password: str) -> dict[str, str | int]:
    """A new log-in's pair of tokens. Raises CredentialsWrong, with the same work done for an unknown address."""
    # On MariaDB several wrong passwords at once can deadlock in the count of axes.
    user = with_retries(lambda: authenticate(request, username=email, password=password))
    if user is None:
        raise CredentialsWrong
    pair = start_login(user)
    user_logged_in.send(sender=User, request=request, user=user)  # sets last_login; axes forgets the wrong passwords
    return pair


@transaction.atomic
def start_login(user: User) -> dict[str, str | int]:
    """A new log-in of somebody who has proved who they are. Raises CredentialsWrong.

    The password may have changed since it was checked: the lock makes the one wait for the other.
    """
    locked = User.objects.select_for_update().get(pk=user.pk)
    if locked.password != user.password or not locked.is_active:
        raise CredentialsWrong
    refresh = RefreshToken()
    login = Login.objects.create(user=locked, refresh_id=refresh["jti"], expires_at=expiry_of(refresh))
    return token_pair(login, refresh)


def refresh_tokens(text: str) -> dict[str, str | int]:
    """The next pair for a refresh token, which is used up by that. Raises TokenInvalid.

    Of several at once exactly one wins: a single UPDATE compares and replaces.
    """
    old = read_token(RefreshToken, text)
    login = open_login(old)
    new = RefreshToken()
    won = Login.objects.filter(pk=login.pk, refresh_id=old["jti"], ended_at=None).update(
        refresh_id=new["jti"], refreshed_at=timezone.now(), expires_at=expiry_of(new)
    )
    if not won:
        _used_twice(login)
        raise TokenInvalid
    return token_pair(login, new)


@transaction.atomic
def _used_twice(login: Login) -> None:
    login = Login.objects.select_for_update().select_related("user").get(pk=login.pk)
    now = timezone.now()
    if login.ended_at is not None or now - login.refreshed_at < RACE:
        return
    logger.warning("a refresh token of %s was used twice: the log-in is ended", login.pk)
    end_login(login)
    queue_email(
        "tokens_revoked", to=login.user.email, context={"name": login.user.get_full_name(), "at": shown_time(now)}
    )


def end_login(login: Login) -> None:
    """Ends one log-in: none of its tokens is good any more."""
    Login.objects.filter(pk=login.pk, ended_at=None).update(ended_at=timezone.now())


def end_logins(user: User) -> None:
    """Ends every log-in of the user."""
    Login.objects.filter(user=user, ended_at=None).update(ended_at=timezone.now())


def prune_logins() -> int:
    """Forgets log-ins that ended or expired long ago, and answers how many."""
    return Login.objects.filter(expires_at__lt=timezone.now() - KEPT).delete()[0]


def shown_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
