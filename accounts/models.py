"""Who: users, the merchants they belong to, and the merchants' customers."""

import re
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.idempotency import IdempotentRow
from core.ids import IdField
from core.money import CURRENCY_LENGTH, EXPONENTS
from core.state import Transitions

NAME_LENGTH = 200
EMAIL_LENGTH = 254  # RFC 5321
PHONE_LENGTH = 32
LOCATION_LENGTH = 200
KEY_NAME_LENGTH = 100
MAX_SETTLEMENT_DELAY_DAYS = 90
ORIGIN_PATTERN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.ASCII)
COLOR_PATTERN = re.compile(r"#[0-9a-f]{6}", re.ASCII)


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=normalize_email(username or ""))

    def create_user(self, email: str | None, password: str | None = None, **fields: Any) -> "User":
        if not email or not email.strip():
            raise ValueError("A user needs an email.")
        user = self.model(email=normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


def normalize_email(email: str) -> str:
    """One spelling for one mailbox: lower case, no space around. The databases differ on case, this does not."""
    return email.strip().lower()


class User(AbstractBaseUser, PermissionsMixin):
    """A person who logs in by email: merchant's team, customer or support staff."""

    id = IdField("usr")
    email = models.EmailField(_("email address"), max_length=EMAIL_LENGTH, unique=True)
    email_verified_at = models.DateTimeField(_("email verified"), null=True, blank=True, editable=False)
    name = models.CharField(_("name"), max_length=NAME_LENGTH, blank=True, default="")
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("staff"), default=False, help_text=_("May log in to the back office."))
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        super().clean()
        self.email = normalize_email(self.email)

    @property
    def email_verified(self) -> bool:
        """Whether the user has shown that they read this mailbox."""
        return self.email_verified_at is not None

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.get_full_name()


class Login(models.Model):
    """One log-in on one device: every token of it carries its id (`sid`, OpenID Connect), so ending the row ends them.

    `refresh_id` is the `jti` of the only refresh token that is still good; the one before it is kept to tell a client
    that raced itself from a thief.
    """

    id = IdField("login")
    user = models.ForeignKey(User, models.CASCADE, related_name="logins")
    refresh_id = models.CharField(max_length=32, editable=False)
    refreshed_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(help_text=_("Of the refresh token"))
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.pk

    @property
    def is_open(self) -> bool:
        return self.ended_at is None and self.user.is_active


class Device(models.Model):
    """A network and a program that somebody has logged in with, as a digest: neither can be read out of it."""

    id = IdField("dev")
    user = models.ForeignKey(User, models.CASCADE, related_name="devices", db_index=False)
    digest = models.CharField(max_length=64, editable=False)
    seen_at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)

    class Meta:
        ordering = ("-id",)
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="device_once")]

    def __str__(self) -> str:
        return self.pk


class Method(models.TextChoices):
    """How customers pay; a merchant offers all of them or some."""

    CREDIT_CARD = "credit_card", _("Credit card")
    DEBIT_CARD = "debit_card", _("Debit card")
    PAYPAL = "paypal", _("PayPal")
    BANK_TRANSFER = "bank_transfer", _("Bank transfer")
    MOBILE_MONEY = "mobile_money", _("Mobile money")


def all_payment_methods() -> list[str]:
    return list(Method.values)


class Merchant(IdempotentRow):
    """A business that takes payments. A sandbox merchant never touches live money, a live one never the sandbox."""

    class Mode(models.TextChoices):
        SANDBOX = "sandbox", _("Sandbox")
        LIVE = "live", _("Live")

    class Status(models.TextChoices):
        ONBOARDING = "onboarding", _("Onboarding")
        ACTIVE = "active", _("Active")
        SUSPENDED = "suspended", _("Suspended")
        CLOSED = "closed", _("Closed")

    TRANSITIONS: ClassVar[Transitions] = {
        Status.ONBOARDING: {Status.ACTIVE, Status.CLOSED},
        Status.ACTIVE: {Status.SUSPENDED, Status.CLOSED},
        Status.SUSPENDED: {Status.ACTIVE, Status.CLOSED},
    }

    id = IdField("mer")
    name = models.CharField(max_length=NAME_LENGTH)
    country = models.CharField(
        max_length=2,
        default="US",
        validators=[RegexValidator(r"\A[A-Z]{2}\Z")],
        help_text=_("ISO 3166-1 alpha-2"),
    )
    default_currency = models.CharField(max_length=CURRENCY_LENGTH, default="USD", help_text=_("ISO 4217"))
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.SANDBOX)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.ONBOARDING)
    # True on one merchant, NULL on all others: a plain unique index that every database has.
    is_default = models.BooleanField(
        null=True,
        blank=True,
        unique=True,
        choices=[(True, _("Yes"))],
        help_text=_("Takes the payments that name no merchant."),
    )
    return_origins = models.JSONField(
        default=list,
        blank=True,
        help_text=_('Where the checkout may send customers back to, such as ["https://shop.example.com"].'),
    )
    payment_methods = models.JSONField(
        default=all_payment_methods, help_text=_("What the checkout offers, in this order.")
    )
    brand_name = models.CharField(
        max_length=NAME_LENGTH, blank=True, default="", help_text=_("What customers read; the name when empty.")
    )
    brand_color = models.CharField(max_length=7, blank=True, default="", help_text=_("Such as #0d6b52."))
    support_email = models.EmailField(
        max_length=EMAIL_LENGTH, blank=True, default="", help_text=_("Where customers ask for help.")
    )
    settlement_delay_days = models.PositiveSmallIntegerField(
        default=2, help_text=_("Days until captured money is available.")
    )
    refund_approval_limit = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text=_("Minor units of the default currency; a larger refund needs a second person. Empty: none does."),
    )
    # Mails that are switched, by their template; notifications/mails.py has what holds for all others.
    email_choices = models.JSONField(default=dict, blank=True, editable=False)
    created_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, editable=False, related_name="merchants_created"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["created_by", "idempotency_key"], name="merchant_idempotency_key"),
            models.CheckConstraint(
                condition=Q(settlement_delay_days__lte=MAX_SETTLEMENT_DELAY_DAYS), name="merchant_settles_in_time"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.default_currency not in EXPONENTS:
            raise ValidationError({"default_currency": _("An ISO 4217 code in capitals, such as USD.")})
        origins = self.return_origins if isinstance(self.return_origins, list) else [None]
        if not all(isinstance(origin, str) and ORIGIN_PATTERN.fullmatch(origin) for origin in origins):
            raise ValidationError({"return_origins": _("A list of origins: scheme, host in lower case, port.")})
        methods = self.payment_methods if isinstance(self.payment_methods, list) else []
        if not methods or len(set(methods)) < len(methods) or set(methods) - set(Method.values):
            raise ValidationError({"payment_methods": _("A list of at least one payment method, each once.")})
        if self.brand_color and not COLOR_PATTERN.fullmatch(self.brand_color):
            raise ValidationError({"brand_color": _("A colour such as #0d6b52, in lower case.")})

    @property
    def is_sandbox(self) -> bool:
        return self.mode == self.Mode.SANDBOX

    @property
    def shown_name(self) -> str:
        """What customers read."""
        return self.brand_name or self.name

    @property
    def can_take_payments(self) -> bool:
        return self.status == self.Status.ACTIVE


class Membership(IdempotentRow):
    """A user's role at a merchant; until the invitation to `email` is accepted, nobody's."""

    class Role(models.TextChoices):
        OWNER = "owner", _("Owner")
        ADMIN = "admin", _("Administrator")
        FINANCE = "finance", _("Finance")
        SUPPORT = "support", _("Support")
        DEVELOPER = "developer", _("Developer")
        VIEWER = "viewer", _("Viewer")

    id = IdField("mem")
    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="memberships")
    user = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="memberships")
    email = models.EmailField(max_length=EMAIL_LENGTH, help_text=_("Where the invitation went."))
    role = models.CharField(max_length=10, choices=Role.choices)
    joined_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["merchant", "user"], name="membership_once"),
            models.UniqueConstraint(fields=["merchant", "email"], name="membership_once_per_email"),
            models.UniqueConstraint(fields=["merchant", "idempotency_key"], name="membership_idempotency_key"),
        ]

    def __str__(self) -> str:
        return f"{self.email} · {self.role}"

    def save(self, *args: Any, **options: Any) -> None:
        """Whoever is made a member without an invitation is one under their own address."""
        if self.user is not None and not self.email:
            self.email = self.user.email
        super().save(*args, **options)


class ApiKey(IdempotentRow):
    """A secret key of a merchant's programs. Only its SHA-256 is kept: it holds 256 random bits, so a slow hash
    would add nothing. Revoked and expired ones stay, for the record."""

    id = IdField("key")
    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=KEY_NAME_LENGTH)
    secret_hash = models.CharField(max_length=64, unique=True, editable=False)
    last4 = models.CharField(max_length=4, editable=False)
    scopes = models.JSONField(default=list)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, editable=False, related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    is_authenticated = True  # it may stand where Django expects a user

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["merchant", "idempotency_key"], name="api_key_idempotency_key"),
        ]

    def __str__(self) -> str:
        return f"{self.name} …{self.last4}"

    @property
    def status(self) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        expired = self.expires_at is not None and self.expires_at <= timezone.now()
        return "expired" if expired else "active"


class Customer(IdempotentRow):
    """A merchant's customer, known by email; first made from a payment, changed by the merchant only."""

    id = IdField("cus")
    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="customers")
    email = models.EmailField(max_length=EMAIL_LENGTH, db_index=True)
    name = models.CharField(max_length=NAME_LENGTH)
    phone = models.CharField(max_length=PHONE_LENGTH, blank=True, default="")
    location = models.CharField(max_length=LOCATION_LENGTH, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["merchant", "email"], name="customer_once_per_merchant"),
            models.UniqueConstraint(fields=["merchant", "idempotency_key"], name="customer_idempotency_key"),
        ]
        indexes = [models.Index(fields=["merchant", "id"], name="customer_by_merchant")]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        self.email = normalize_email(self.email)
