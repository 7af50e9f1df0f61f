"""Logging in and out of the API, the tokens that follow one another, and the devices that log-ins come from."""

import ipaddress
import logging
import re
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.models import EMAIL_LENGTH, Device, Login, User, normalize_email
from accounts.tokens import TokenInvalid, expiry_of, open_login, read_token, token_pair
from core.api import client_network_of
from core.errors import ApiError
from core.mail import queue_email
from core.transactions import unit_of_work, with_retries

logger = logging.getLogger(__name__)

# A client with two tabs, or one that repeats a lost request, may use a token twice within this time and is only
# refused. Later somebody else holds a copy of the token, and the whole log-in ends (OAuth 2.0 Security, RFC 9700 4.14).
RACE = timedelta(seconds=10)
KEPT = timedelta(days=90)  # log-ins that are over, for whoever asks what happened; and devices not seen again

# A device is a program, whatever its version, in a network, however its address changes there.
DEVICE_SALT = "accounts.device"
VERSION = re.compile(r"[0-9][0-9._]*", re.ASCII)
NETWORKS = {4: 24, 6: 48}  # bits that stay
BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
SYSTEMS = {"Windows": "Windows", "Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Mac OS": "macOS"}
SYSTEMS |= {"Linux": "Linux"}  # last: Android says so, too
PROGRAM_LENGTH, SHOWN_LENGTH = 500, 40


class CredentialsWrong(ApiError):
    status, type, code = 401, "authentication", "credentials_wrong"
    message = "The email or the password is wrong."


def spelling_of_user(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """One spelling of an address, so that the count of wrong passwords cannot be split; as long as axes can keep,
    for a text may grow as its letters become small."""
    return normalize_email(str((credentials or {}).get("username") or ""))[:EMAIL_LENGTH]


def check_credentials(request: HttpRequest, *, email: str, password: str) -> User | None:
    """The user whose these are; wrong ones are counted. On MariaDB several at once can deadlock in axes' count."""
    return with_retries(lambda: authenticate(request, username=email, password=password))


def log_in(request: HttpRequest, *, email: str, password: str) -> dict[str, str | int]:
    """A new log-in's pair of tokens. Raises CredentialsWrong, with the same work done for an unknown address."""
    user = check_credentials(request, email=email, password=password)
    if user is None:
        raise CredentialsWrong
    pair = _start_login_from(request, user)
    # Sets last_login; axes forgets the wrong passwords.
    with_retries(lambda: user_logged_in.send(sender=User, request=request, user=user))
    return pair


@unit_of_work
def _start_login_from(request: HttpRequest, user: User) -> dict[str, str | int]:
    pair = start_login(user)
    note_device(user, request)
    return pair


@unit_of_work
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


@unit_of_work
def _used_twice(login: Login) -> None:
    login = Login.objects.select_for_update().get(pk=login.pk)
    now = timezone.now()
    if login.ended_at is not None or now - login.refreshed_at < RACE:
        return
    logger.warning("a refresh token of %s was used twice: the log-in is ended", login.pk)
    end_login(login)
    tell_user(login.user, "tokens_revoked", at=shown_time(now))


# --- Devices ----------------------------------------------------------------------------------
@unit_of_work
def note_device(user: User, request: HttpRequest) -> None:
    """Remembers where a log-in comes from, as a digest. Its owner gets a mail when that is new, but not at the first
    log-in of all. Call it before `last_login` is set."""
    program, network = request.headers.get("User-Agent", "")[:PROGRAM_LENGTH], _network(client_network_of(request))
    mark = f"{user.pk} {network} {VERSION.sub('', program)}"
    digest = salted_hmac(DEVICE_SALT, mark, algorithm="sha256").hexdigest()
    now = timezone.now()
    _device, is_new = Device.objects.update_or_create(user=user, digest=digest, defaults={"seen_at": now})
    if is_new and user.last_login is not None:
        tell_user(user, "new_login", at=shown_time(now), device=shown_device(program), network=network)


def _network(address: str) -> str:
    """`203.0.113.0/24`: of the address only what its neighbours share."""
    try:
        ip = ipaddress.ip_address(address.partition("/")[0])
    except ValueError:
        return "?"
    return str(ipaddress.ip_network(f"{ip}/{NETWORKS[ip.version]}", strict=False))


def shown_device(program: str) -> str:
    """`Firefox, Linux` for a User-Agent; of one that is no browser's its first word."""
    browser = next((name for mark, name in BROWSERS.items() if mark in program), "")
    system = next((name for mark, name in SYSTEMS.items() if mark in program), "")
    return ", ".join(filter(None, [browser or program.partition("/")[0][:SHOWN_LENGTH], system])) or "?"


# --- The end ----------------------------------------------------------------------------------
def end_login(login: Login) -> None:
    """Ends one log-in: none of its tokens is good any more."""
    Login.objects.filter(pk=login.pk, ended_at=None).update(ended_at=timezone.now())


@unit_of_work
def end_logins(user: User) -> None:
    """Ends every log-in of the user."""
    Login.objects.filter(user=user, ended_at=None).update(ended_at=timezone.now())


def prune_logins() -> int:
    """Forgets log-ins that ended or expired long ago, and answers how many; and devices not seen since."""
    Device.objects.filter(seen_at__lt=timezone.now() - KEPT).delete()
    return Login.objects.filter(expires_at__lt=timezone.now() - KEPT).delete()[0]


def shown_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def tell_user(user: User, template: str, **context: str) -> None:
    """Mails news of an account. Anybody can open one in anybody's name, and make news of it all day long: until its
    address is confirmed there are none, unless it is of staff, whom nobody but the operator makes."""
    if user.email_verified or user.is_staff:
        queue_email(template, to=user.email, context={"name": user.get_full_name(), **context})
