"""A merchant's team: invited by email, given roles, removed; there is always an owner."""

from typing import Any

from django.conf import settings
from django.core import signing
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership, Merchant, User
from accounts.services.merchants import EmailUnverified
from accounts.services.registration import LinkInvalid, take_over
from core.errors import ApiError, NotFound, NotPermitted, ParameterMissing
from core.idempotency import create_once, fingerprint
from core.mail import queue_email
from core.transactions import unit_of_work

INVITATION_SALT = "accounts.invitation"
INVITATION_SECONDS = 7 * 24 * 3600
OWNER = Membership.Role.OWNER


class AlreadyMember(ApiError):
    status, type, code = 409, "conflict", "already_member"
    message = "This address is on the team, or invited to it, already."


class LastOwner(ApiError):
    status, type, code = 409, "conflict", "last_owner"
    message = "A merchant has at least one owner. Make somebody else an owner first."


class AlreadyJoined(ApiError):
    status, type, code = 409, "conflict", "already_joined"
    message = "This member has joined: there is no invitation to send."


@unit_of_work
def invite_member(
    merchant: Merchant, *, by: User, by_role: str, email: str, role: str, key: str | None
) -> tuple[Membership, bool]:
    """A member to be, who gets a link by mail, and whether the idempotency `key` had made it before.

    Raises AlreadyMember, EmailUnverified, IdempotencyKeyReused, NotPermitted when somebody else than an owner makes an
    owner.
    """
    _only_owners_make_owners(by_role, role)
    body = fingerprint({"email": email, "role": role})

    def create() -> Membership:
        if Membership.objects.filter(merchant=merchant, email=email).exists():
            raise AlreadyMember(param="email")
        member = Membership.objects.create(
            merchant=merchant, email=email, role=role, idempotency_key=key, fingerprint=body
        )
        send_invitation(member, by=by)
        return member

    try:
        return create_once(Membership.objects.filter(merchant=merchant), key, body, create)
    except IntegrityError as error:  # two at once for one address
        raise AlreadyMember(param="email") from error


def send_invitation(member: Membership, *, by: User) -> None:
    """Mails the link. Raises AlreadyJoined; EmailUnverified, for nobody writes to others by an address that may not be
    theirs."""
    if not by.email_verified:
        raise EmailUnverified
    if member.user_id is not None:
        raise AlreadyJoined
    token = signing.dumps([member.pk, member.email], salt=INVITATION_SALT)
    context = {
        "merchant": member.merchant.name,
        "role": member.get_role_display(),
        "inviter": by.get_full_name(),
        "url": settings.SITE_URL + reverse("accept_invitation", args=[token]),
    }
    queue_email("invitation", to=member.email, context=context, merchant_id=member.merchant_id)


def mail_owners(merchant: Merchant, template: str, context: dict[str, str]) -> None:
    """What the owners must know at once, in case it was not one of them."""
    for owner in User.objects.filter(memberships__merchant=merchant, memberships__role=OWNER, is_active=True):
        if owner.email_verified or not writes_to_confirmed_only(merchant):
            queue_email(template, to=owner.email, context=context, merchant_id=merchant.pk)


def writes_to_confirmed_only(merchant: Merchant) -> bool:
    """Anybody can have a sandbox merchant in anybody's name, and pay there in anybody's: that must not be a way to have
    us write to whomever they like. The demo sends nothing anywhere."""
    return merchant.is_sandbox and not settings.DEMO


def invited_member(token: str) -> Membership:
    """The membership that the link is for. Raises LinkInvalid when it is too old, withdrawn or accepted."""
    try:
        member_id, email = signing.loads(token, salt=INVITATION_SALT, max_age=INVITATION_SECONDS)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise LinkInvalid(param="token") from error
    members = Membership.objects.select_related("merchant")
    member = members.filter(pk=member_id, email=email, user=None).first()
    if member is None:
        raise LinkInvalid(param="token")
    return member


def account_of(email: str) -> User | None:
    """The account that an invitation to this address joins. One whose address was never confirmed may be
    somebody else's who registered it first, so it does not count."""
    return User.objects.filter(email=email, is_active=True).exclude(email_verified_at=None).first()


@unit_of_work
def accept_invitation(token: str, *, name: str = "", password: str = "") -> Membership:
    """Joins the merchant. The link proves the address, so an account is made, or taken over from whoever
    registered the address without confirming it; both need `password`.

    Raises LinkInvalid, ParameterMissing, PasswordWeak.
    """
    list(Membership.objects.select_for_update().filter(pk=invited_member(token).pk))
    member = invited_member(token)  # again, now that the row is locked
    user = account_of(member.email) or _claim_account(member.email, name, password)
    member.user = user
    member.joined_at = timezone.now()
    try:
        with transaction.atomic():
            member.save(update_fields=["user", "joined_at"])
    except IntegrityError as error:  # on the team under another address
        raise AlreadyMember from error
    return member


def _claim_account(email: str, name: str, password: str) -> User:
    if not password:
        raise ParameterMissing("Choose a password for your new account.", param="password")
    user, _created = User.objects.get_or_create(email=email)
    if not user.is_active:
        raise LinkInvalid(param="token")
    user.name = name or user.name
    user.save(update_fields=["name"])
    take_over(user, password)
    return user


def change_role(member: Membership, *, by_role: str, role: str) -> Membership:
    """Raises LastOwner, NotPermitted when somebody else than an owner makes or unmakes one."""

    def change(locked: Membership) -> None:
        _only_owners_make_owners(by_role, role)
        if role != OWNER:
            _refuse_last_owner(locked)
        locked.role = role
        locked.save(update_fields=["role"])

    return _changed(member, by_role, change)


def remove_member(member: Membership, *, by_role: str) -> Membership:
    """Takes a member off the team, or an invitation back. Raises LastOwner, NotPermitted."""

    def remove(locked: Membership) -> None:
        _refuse_last_owner(locked)
        Membership.objects.filter(pk=locked.pk).delete()

    return _changed(member, by_role, remove)


@unit_of_work
def _changed(member: Membership, by_role: str, change: Any) -> Membership:
    """The merchant's row is locked, so that two owners cannot remove each other at the same time. The member's row
    comes first, as in `accept_invitation`, where MariaDB locks the merchant's to check the foreign key."""
    locked = Membership.objects.select_for_update().filter(pk=member.pk).first()
    if locked is None:  # removed by somebody else while we waited
        raise NotFound
    Merchant.objects.select_for_update().get(pk=member.merchant_id)
    _only_owners_make_owners(by_role, locked.role)
    change(locked)
    return locked


def _only_owners_make_owners(by_role: str, role: str) -> None:
    if role == OWNER and by_role != OWNER:
        raise NotPermitted("Only an owner makes, changes or removes an owner.")


def _refuse_last_owner(member: Membership) -> None:
    if member.role != OWNER or member.user_id is None:
        return
    others = Membership.objects.filter(merchant_id=member.merchant_id, role=OWNER, user__is_active=True)
    if not others.exclude(pk=member.pk).exists():
        raise LastOwner
