"""Accounts and members, in and out."""

from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from accounts import examples
from accounts.fields import AddressField, PasswordField, TokenField, country
from accounts.models import (
    NAME_LENGTH,
    Membership,
    User,
)
from core.api import StrictSerializer
from core.fields import (
    CurrencyField,
    FlagField,
    KeyedSerializer,
    OneOfField,
    OptionalField,
    TextField,
    TimeField,
)


# --- Accounts, in -----------------------------------------------------------------------------
class Registration(StrictSerializer):
    """A new account: a merchant's when `merchant_name` is there, otherwise a customer's."""

    email = AddressField(help_text="What you log in with")
    password = PasswordField(help_text="At least ten characters, and not easy to guess")
    name = TextField(max_length=NAME_LENGTH, help_text="Your own name")
    merchant_name = TextField(
        max_length=NAME_LENGTH, required=False, help_text="Your business; you get a sandbox merchant of this name"
    )
    country = country(required=False)
    default_currency = CurrencyField(required=False, help_text="ISO 4217; USD when absent")

    examples = examples.ACCOUNT
    rules = {"dependentRequired": {"country": ["merchant_name"], "default_currency": ["merchant_name"]}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """`merchant`, the fields of the first merchant or None, besides those of the user."""
        about = {name: attrs.pop(name) for name in ("country", "default_currency") if name in attrs}
        name = attrs.pop("merchant_name", None)
        if about and name is None:
            raise serializers.ValidationError({"merchant_name": "Name your business too."})
        return {**attrs, "merchant": None if name is None else {"name": name, **about}}


class Credentials(StrictSerializer):
    email = AddressField(help_text="Your address")
    password = PasswordField(help_text="Your password")

    examples = examples.ACCOUNT


class RefreshRequest(StrictSerializer):
    refresh = TokenField(help_text="The refresh token that you got last; it is used up by this")

    examples = examples.ACCOUNT


class VerifyRequest(StrictSerializer):
    token = TokenField(help_text="An access token")

    examples = examples.ACCOUNT


class LogoutRequest(StrictSerializer):
    everywhere = FlagField(required=False, default=False, help_text="End all your log-ins, not only this")

    examples = examples.ACCOUNT


class EmailToken(StrictSerializer):
    token = TokenField(help_text="From the link that was mailed")

    examples = examples.ACCOUNT


class ResetRequest(StrictSerializer):
    email = AddressField(help_text="The address of the account")

    examples = examples.ACCOUNT


class NewPassword(StrictSerializer):
    token = TokenField(help_text="From the link that was mailed")
    new_password = PasswordField(help_text="At least ten characters, and not easy to guess")

    examples = examples.ACCOUNT


class PasswordChange(StrictSerializer):
    current_password = PasswordField(help_text="The one that is good now")
    new_password = PasswordField(help_text="At least ten characters, and not easy to guess")

    examples = examples.ACCOUNT


class UserChange(StrictSerializer):
    name = TextField(max_length=NAME_LENGTH, required=False, help_text="Your name")

    examples = examples.ACCOUNT


# --- Accounts, out ----------------------------------------------------------------------------
class TokenPair(serializers.Serializer):
    """Two JSON Web Tokens."""

    access = serializers.CharField(help_text="Send it as `Authorization: Bearer …`")
    refresh = serializers.CharField(help_text="Good once, for the next pair")
    token_type = serializers.CharField(help_text="Bearer")
    expires_in = serializers.IntegerField(help_text="Seconds that the access token is good for")

    examples = examples.ACCOUNT


class Registered(serializers.Serializer):
    """What was asked for; the rest is in the mail."""

    email = serializers.EmailField(help_text="Where the link went")
    name = serializers.CharField(help_text="Your name")

    examples = examples.ACCOUNT


class Reset(serializers.Serializer):
    """What was asked for."""

    email = serializers.EmailField(help_text="Where the link goes, if it has an account")

    examples = examples.ACCOUNT


class TokenState(serializers.Serializer):
    """What a good token says."""

    user_id = serializers.CharField(help_text="Whose it is")
    expires_at = serializers.DateTimeField(help_text="ISO 8601, UTC")

    examples = examples.ACCOUNT


class OwnMembership(serializers.Serializer):
    """A merchant you belong to."""

    merchant_id = serializers.CharField(help_text="For the header Tillgate-Merchant")
    merchant_name = serializers.CharField(source="merchant.name", help_text="Its name")
    mode = serializers.CharField(source="merchant.mode", help_text="sandbox or live")
    status = serializers.CharField(source="merchant.status", help_text="onboarding, active, suspended or closed")
    role = serializers.ChoiceField(Membership.Role.choices, help_text="Your role there")

    examples = examples.ACCOUNT


class Me(serializers.Serializer):
    """You."""

    id = serializers.CharField(help_text="Your id")
    email = serializers.EmailField(help_text="What you log in with")
    email_verified = serializers.BooleanField(help_text="Whether you have followed the link in our mail")
    name = OptionalField(help_text="Your name")
    memberships = serializers.SerializerMethodField(help_text="The merchants you belong to")
    created_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.ACCOUNT

    @extend_schema_field(OwnMembership(many=True))
    def get_memberships(self, user: User) -> Any:
        return OwnMembership(user.memberships.select_related("merchant").order_by("id"), many=True).data


# --- Members ----------------------------------------------------------------------------------
class Invitation(KeyedSerializer):
    email = AddressField(help_text="Where the invitation goes")
    role = OneOfField(Membership.Role.choices, help_text="What the member may do")

    examples = examples.MEMBER


class RoleChange(StrictSerializer):
    role = OneOfField(Membership.Role.choices, help_text="The new role")

    examples = examples.MEMBER


class Acceptance(StrictSerializer):
    """Joins by the link of an invitation."""

    token = TokenField(help_text="From the link that was mailed")
    name = TextField(max_length=NAME_LENGTH, required=False, help_text="Your name, for a new account")
    password = PasswordField(required=False, help_text="For a new account: its password")

    examples = examples.MEMBER


@extend_schema_serializer(component_name="Member")
class MemberDetails(serializers.Serializer):
    """Somebody on the team, or invited to it."""

    id = serializers.CharField(help_text="The membership's id")
    user_id = serializers.CharField(allow_null=True, help_text="null until the invitation is accepted")
    email = serializers.SerializerMethodField(help_text="Their address")
    name = serializers.SerializerMethodField(help_text="Their name; null until the invitation is accepted")
    role = serializers.ChoiceField(Membership.Role.choices, help_text="What they may do")
    status = serializers.SerializerMethodField(help_text="invited or active")
    joined_at = TimeField(allow_null=True, help_text="ISO 8601, UTC; null until the invitation is accepted")
    created_at = TimeField(help_text="ISO 8601, UTC")

    examples = examples.MEMBER

    def get_email(self, member: Membership) -> str:
        return member.user.email if member.user else member.email

    def get_name(self, member: Membership) -> str | None:
        return member.user.name or None if member.user else None

    @extend_schema_field(serializers.ChoiceField([("invited", "invited"), ("active", "active")]))
    def get_status(self, member: Membership) -> str:
        return "active" if member.user else "invited"
