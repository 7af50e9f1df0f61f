"""Who: users, the merchants they belong to, and the merchants' customers."""

import re
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.ids import IdField
from core.money import CURRENCY_LENGTH, EXPONENTS
from core.state import Transitions

NAME_LENGTH = 200
EMAIL_LENGTH = 254  # RFC 5321
PHONE_LENGTH = 32
LOCATION_LENGTH = 200
ORIGIN_PATTERN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.ASCII)


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

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.get_full_name()


class Merchant(models.Model):
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
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.default_currency not in EXPONENTS:
            raise ValidationError({"default_currency": _("An ISO 4217 code in capitals, such as USD.")})
        origins = self.return_origins if isinstance(self.return_origins, list) else [None]
        if not all(isinstance(origin, str) and ORIGIN_PATTERN.fullmatch(origin) for origin in origins):
            raise ValidationError({"return_origins": _("A list of origins: scheme, host in lower case, port.")})

    @property
    def is_sandbox(self) -> bool:
        return self.mode == self.Mode.SANDBOX

    @property
    def can_take_payments(self) -> bool:
        return self.status == self.Status.ACTIVE


class Membership(models.Model):
    """A user's role at a merchant."""

    class Role(models.TextChoices):
        OWNER = "owner", _("Owner")
        ADMIN = "admin", _("Administrator")
        FINANCE = "finance", _("Finance")
        SUPPORT = "support", _("Support")
        DEVELOPER = "developer", _("Developer")
        VIEWER = "viewer", _("Viewer")

    id = IdField("mem")
    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="memberships")
    user = models.ForeignKey(User, models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} · {self.role}"


class Customer(models.Model):
    """A merchant's customer, known by email; first made from a payment, changed by the merchant only."""

    id = IdField("cus")
    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="customers")
    email = models.EmailField(max_length=EMAIL_LENGTH)
    name = models.CharField(max_length=NAME_LENGTH)
    phone = models.CharField(max_length=PHONE_LENGTH, blank=True, default="")
    location = models.CharField(max_length=LOCATION_LENGTH, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        constraints = [models.UniqueConstraint(fields=["merchant", "email"], name="customer_once_per_merchant")]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        self.email = normalize_email(self.email)
