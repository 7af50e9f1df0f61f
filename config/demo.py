"""The embedded demo: a sandbox merchant, people to log in as, and some weeks of history."""

from datetime import datetime, timedelta
from random import Random

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from accounts.models import Membership, Merchant, User
from accounts.services import make_default, support_group
from config.demo_history import History
from config.demo_payouts import tell_payouts
from config.demo_refunds import tell_refunds
from config.demo_stories import DAYS, SEED, tell_history
from core.ids import new_id
from ledger.models import BankAccount
from ledger.services.bank_accounts import next_time, place_of

OWNER, SUPPORT, ADMIN = "owner@example.com", "support@example.com", "admin@example.com"
EMAILS = f"{OWNER} (merchant, by API), {ADMIN} (superuser), {SUPPORT} (staff)"
TEAM = [(OWNER, "Olivia Owner", "owner"), ("finance@example.com", "Fela Finance", "finance")]
TEAM += [("developer@example.com", "Dana Developer", "developer"), ("viewer@example.com", "Vera Viewer", "viewer")]
PASSWORD = "tillgate-demo"  # noqa: S105
SALT = "tillgateDemoSalt2026xx"  # the password is public, so its hash need not differ between demos

STORE = "Demo Store"
OTHER_ORIGIN = "http://localhost:3000"  # where a shop under development is usually served


def seed(now: datetime) -> History | None:
    """Makes the demo, all or nothing; None when it is there already. The history ends where `now`'s day begins."""
    if User.objects.filter(email=OWNER).exists():
        allow_returns_to_this_site()
        return None
    end = now.replace(hour=0, minute=0, second=0, microsecond=0)
    random = Random(SEED)  # noqa: S311 sample data
    with transaction.atomic():
        merchant = _make_store(end - timedelta(days=DAYS + 3), random)
        team = _make_people(merchant, random)
        account = _open_account(merchant, random, by=team["owner"])
        history = tell_history(merchant, end)
        tell_refunds(history, [team["owner"], team["finance"]])
        tell_payouts(history, account)
        history.save()
    return history


def allow_returns_to_this_site() -> None:
    """The store's customers may go back to wherever this run is served: `PORT=8123 make run` moves it."""
    for merchant in Merchant.objects.filter(memberships__user__email=OWNER):
        if settings.SITE_URL not in merchant.return_origins:
            merchant.return_origins.append(settings.SITE_URL)
            merchant.save(update_fields=["return_origins"])


def _make_store(opened: datetime, random: Random) -> Merchant:
    merchant = Merchant.objects.create(
        id=new_id("mer", at=opened, randomness=random.randbytes(10)),
        name=STORE,
        country="US",
        default_currency="USD",
        status=Merchant.Status.ACTIVE,
        return_origins=[settings.SITE_URL, OTHER_ORIGIN],
        created_at=opened,
    )
    make_default(merchant)
    return merchant


def _make_people(merchant: Merchant, random: Random) -> dict[str, User]:
    """Answers with the store's team, by role."""
    password = make_password(PASSWORD, salt=SALT)  # slow by design, so once for all
    joined = merchant.created_at

    def make(email: str, name: str, **fields: bool) -> User:
        return User.objects.create(
            id=new_id("usr", at=joined, randomness=random.randbytes(10)),
            email=email,
            name=name,
            password=password,
            created_at=joined,
            email_verified_at=joined,
            **fields,
        )

    team = {role: make(email, name) for email, name, role in TEAM}
    for role, user in team.items():
        Membership.objects.create(
            id=new_id("mem", at=joined, randomness=random.randbytes(10)),
            merchant=merchant,
            user=user,
            email=user.email,
            role=role,
            joined_at=joined,
            created_at=joined,
        )
    make(SUPPORT, "Sam Support", is_staff=True).groups.add(support_group())
    make(ADMIN, "Ada Admin", is_staff=True, is_superuser=True)
    return team


def _open_account(merchant: Merchant, random: Random, *, by: User) -> BankAccount:
    """Where the store's dollars went each Monday, and go when somebody asks; those of other currencies wait for an
    account of theirs."""
    number = "000123456789"
    account = BankAccount(
        id=new_id("ba", at=merchant.created_at, randomness=random.randbytes(10)),
        merchant=merchant,
        currency=merchant.default_currency,
        in_use_for=place_of(merchant, merchant.default_currency),
        country=merchant.country,
        holder=f"{STORE} Inc",
        bank_name="Example Bank",
        account_number=number,
        last4=number[-4:],
        schedule=BankAccount.Schedule.WEEKLY,
        created_by=by,
        created_at=merchant.created_at,
    )
    account.due_at = next_time(account, timezone.now())
    account.save()
    return account
