"""Accounts of people: made, confirmed, and what happens to their passwords."""

from typing import Any

from axes.utils import reset as forget_wrong_passwords
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey, Membership, Merchant, User, normalize_email
from accounts.services.logins import end_logins, shown_time, tell_user
from accounts.services.merchants import add_member, create_merchant
from core.errors import ApiError
from core.ids import is_id
from core.mail import queue_email
from core.transactions import unit_of_work

VERIFY_SALT = "accounts.verify_email"
VERIFY_SECONDS = 3 * 24 * 3600


class RegistrationClosed(ApiError):
    status, type, code = 403, "permission", "registration_closed"
    message = "This installation does not take registrations. Ask its operator for an account."


class PasswordWeak(ApiError):
    status, code = 400, "password_weak"
    message = "The password is too easy to guess."


class CurrentPasswordWrong(ApiError):
    status, code = 400, "current_password_wrong"
    message = "The current password is wrong."


class LinkInvalid(ApiError):
    status, code = 400, "link_invalid"
    message = "The link is not valid any more: it was used, is too old, or is not complete. Ask for a new one."


def register(*, email: str, password: str, name: str, merchant: dict[str, Any] | None) -> None:
    """Makes an account, and for a merchant a sandbox merchant that it owns; mails a link to confirm the address.

    An address that has an account gets a mail that says so, and nothing else changes: nobody learns who has one.
    Raises RegistrationClosed, PasswordWeak.
    """
    if not settings.OPEN_REGISTRATION:
        raise RegistrationClosed
    check_password_strength(password, User(email=email, name=name))
    hashed = make_password(password)  # the slow part, done in either case
    try:
        _open_account(merchant, email=email, name=name, password=hashed)
    except IntegrityError:
        known = User.objects.get(email=email)
        queue_email("account_exists", to=email, context={"name": known.get_full_name(), "url": settings.SITE_URL})


@unit_of_work
def _open_account(first: dict[str, Any] | None, **fields: Any) -> None:
    user = User.objects.create(**fields)
    if first is not None:
        merchant = create_merchant(mode=Merchant.Mode.SANDBOX, status=Merchant.Status.ACTIVE, created_by=user, **first)
        add_member(merchant, user, Membership.Role.OWNER)
    send_verification(user)


def check_password_strength(password: str, user: User) -> None:
    """Raises PasswordWeak with what the validators in the settings say."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise PasswordWeak(" ".join(error.messages), param="password") from error


def send_verification(user: User) -> None:
    """Mails the link that shows that the user reads this mailbox; nothing when that is known."""
    if user.email_verified:
        return
    token = signing.dumps([user.pk, user.email], salt=VERIFY_SALT)
    url = settings.SITE_URL + reverse("verify_email", args=[token])
    queue_email("verify_email", to=user.email, context={"name": user.get_full_name(), "url": url})


def user_to_verify(token: str) -> User:
    """Whose address the link confirms. Raises LinkInvalid."""
    try:
        user_id, email = signing.loads(token, salt=VERIFY_SALT, max_age=VERIFY_SECONDS)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise LinkInvalid(param="token") from error
    user = User.objects.filter(pk=user_id, email=email, is_active=True).first()
    if user is None:
        raise LinkInvalid(param="token")
    return user


def verify_email(user: User, token: str) -> User:
    """Confirms the address of the user who is logged in. The link alone is not enough: somebody else may have
    registered the address of whoever reads the mail. Raises LinkInvalid."""
    if user_to_verify(token).pk != user.pk:
        raise LinkInvalid(param="token")
    mark_verified(user)
    return user


def take_over(user: User, password: str) -> None:
    """Gives the account to whoever reads its mailbox. If nobody had shown that before, somebody else may have made
    it: their password and log-ins end, and so do the API keys that they made. Raises PasswordWeak."""
    if not user.email_verified:
        ApiKey.objects.filter(created_by=user, revoked_at=None).update(revoked_at=timezone.now())
    mark_verified(user)
    set_password(user, password)


def mark_verified(user: User) -> None:
    if not user.email_verified:
        user.email_verified_at = timezone.now()
        user.save(update_fields=["email_verified_at"])


def ask_for_reset(email: str) -> None:
    """Mails a link to set a new password, if the address has an account; who asks never learns."""
    user = User.objects.filter(email=normalize_email(email), is_active=True).first()
    if user is None:
        return
    token = f"{user.pk}.{default_token_generator.make_token(user)}"
    url = settings.SITE_URL + reverse("reset_password", args=[token])
    queue_email("password_reset", to=user.email, context={"name": user.get_full_name(), "url": url})


def user_to_reset(token: str) -> User:
    """Whose password the link sets. A link works once: the old password is part of its signature.
    Raises LinkInvalid."""
    user_id, _dot, secret = token.partition(".")
    user = User.objects.filter(pk=user_id, is_active=True).first() if is_id(user_id, "usr") else None
    if user is None or not default_token_generator.check_token(user, secret):
        raise LinkInvalid(param="token")
    return user


@unit_of_work
def reset_password(token: str, password: str) -> User:
    """Sets the password by a mailed link, which proves the address too. Raises LinkInvalid, PasswordWeak."""
    user = User.objects.select_for_update().get(pk=user_to_reset(token).pk)
    user_to_reset(token)  # again, now that the row is locked: of two at once one wins
    take_over(user, password)
    forget_wrong_passwords(username=user.email)  # as LockedOut promises
    return user


@unit_of_work
def change_password(user: User, *, current: str, new: str) -> None:
    """Raises CurrentPasswordWrong, PasswordWeak."""
    locked = User.objects.select_for_update().get(pk=user.pk)
    confirm_password(locked, current, param="current_password")
    set_password(locked, new)


def confirm_password(user: User, password: str, *, param: str) -> None:
    """That it is the user who asks, and not somebody at their open browser. Raises CurrentPasswordWrong."""
    if not user.check_password(password):
        raise CurrentPasswordWrong(param=param)


def change_user(user: User, **changes: str) -> User:
    for name, value in changes.items():
        setattr(user, name, value)
    user.save(update_fields=list(changes))
    return user


def set_password(user: User, password: str) -> None:
    """Sets it, ends every log-in (sessions hang on the old hash) and tells the owner."""
    check_password_strength(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    end_logins(user)
    tell_user(user, "password_changed", at=shown_time(timezone.now()))
