"""Where payouts go, and when they leave by themselves. Other details, or none, take the password again: whoever finds
an open browser cannot send the money elsewhere, or keep it from leaving."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.models import Merchant, User
from accounts.services import confirm_password, mail_owners
from core.errors import ApiError, ParameterInvalid, Unavailable
from core.idempotency import create_once, fingerprint
from core.money import Money
from core.transactions import unit_of_work
from ledger.iban import is_mistyped
from ledger.models import LAST_ANCHOR, BankAccount

DAYS_OF_A_WEEK = 7
FIRST_ANCHOR = 1
MOST_REPLACEMENTS = 100  # of an account while somebody waits for it; each is a commit of milliseconds
SCHEDULE_FIELDS = ("schedule", "anchor", "minimum")

Schedule = BankAccount.Schedule


class BankAccountMissing(ApiError):
    status, type, code = 409, "conflict", "bank_account_missing"
    message = "There is no bank account for this currency. Add one first."


class AccountNumberInvalid(ApiError):
    code = "account_number_invalid"
    message = "This IBAN is mistyped: its length or its check digits do not fit."


def lock_account_in_use(merchant: Merchant, currency: str) -> BankAccount:
    """Where payouts in this currency go, its row locked until the commit. Raises BankAccountMissing."""
    account = _lock_in_use(merchant, currency)
    if account is None:
        raise BankAccountMissing(f"There is no bank account for {currency}. Add one first.")
    return account


def _lock_in_use(merchant: Merchant, currency: str) -> BankAccount | None:
    """The account in use, locked; None when there is none. Raises Unavailable."""
    place = place_of(merchant, currency)
    for _turn in range(MOST_REPLACEMENTS):
        in_use = BankAccount.objects.filter(in_use_for=place).values_list("pk", flat=True).first()
        if in_use is None:
            return None
        account = BankAccount.objects.sealed().select_for_update().get(pk=in_use)
        if account.in_use_for == place:  # the one that was waited for may have lost its place meanwhile
            return account
    raise Unavailable


def place_of(merchant: Merchant, currency: str) -> str:
    """What the account in use is known by."""
    return f"{merchant.pk} {currency}"


def add_bank_account(
    merchant: Merchant, *, by: User, password: str, key: str | None, **fields: Any
) -> tuple[BankAccount, bool]:
    """Has payouts of `fields["currency"]` go to this account from now on; and whether the idempotency `key` had added
    it before. It takes the place of the one in use, with that one's schedule unless another is given; a payout on its
    way still goes where it was sent. The owners are told by mail.

    Raises CurrentPasswordWrong, AccountNumberInvalid, ParameterInvalid, AmountInvalid and the like,
    IdempotencyKeyReused.
    """
    confirm_password(by, password, param="password")
    if is_mistyped(fields["account_number"], fields["country"]):
        raise AccountNumberInvalid(param="account_number")
    hidden = salted_hmac("ledger.bank_account", fields["account_number"], algorithm="sha256").hexdigest()
    body = fingerprint({**fields, "account_number": hidden})
    terms = {name: fields.pop(name) for name in SCHEDULE_FIELDS if name in fields}
    fields |= {"idempotency_key": key, "fingerprint": body}
    return _add(merchant, by, fields, terms)


@unit_of_work
def _add(merchant: Merchant, by: User, fields: dict[str, Any], terms: dict[str, Any]) -> tuple[BankAccount, bool]:
    accounts = BankAccount.objects.sealed().filter(merchant=merchant)
    key, body = fields["idempotency_key"], fields["fingerprint"]
    return create_once(accounts, key, body, lambda: _replace(merchant, by, fields, terms))


def _replace(merchant: Merchant, by: User, fields: dict[str, Any], terms: dict[str, Any]) -> BankAccount:
    before = _lock_to_replace(merchant, fields["currency"])
    account = BankAccount(
        merchant=merchant,
        in_use_for=place_of(merchant, fields["currency"]),
        last4=fields["account_number"][-4:],
        created_by=by,
        **fields,
    )
    if before is not None:
        account.schedule, account.anchor, account.minimum = before.schedule, before.anchor, before.minimum
        _retire(before)
    _set_schedule(account, **terms)
    account.save(force_insert=True)
    _tell_owners("new_bank_account", account, by)
    return account


def _lock_to_replace(merchant: Merchant, currency: str) -> BankAccount | None:
    """The account in use, locked as a payout does, before anything else of the merchant's. Where there is none, the
    merchant is: of two first accounts at once one comes after the other."""
    before = _lock_in_use(merchant, currency)
    if before is None:
        # As a foreign key locks it, where the database can tell: no payment waits for that.
        no_key = connection.features.has_select_for_no_key_update
        Merchant.objects.select_for_update(no_key=no_key).get(pk=merchant.pk)
        before = _lock_in_use(merchant, currency)
    return before


@unit_of_work
def change_schedule(account: BankAccount, **terms: Any) -> BankAccount:
    """Changes when payouts leave by themselves: `schedule`, its `anchor`, and the `minimum`, major units as digits or
    None. Raises BankAccountMissing when it is not in use, ParameterInvalid, AmountTooPrecise and the like."""
    locked = _locked(account)
    _set_schedule(locked, **terms)
    locked.save(update_fields=[*SCHEDULE_FIELDS, "due_at"])
    return locked


def remove_bank_account(account: BankAccount, *, by: User, password: str) -> BankAccount:
    """No further payouts go there; the owners are told by mail. Raises CurrentPasswordWrong, BankAccountMissing when it
    is not in use."""
    confirm_password(by, password, param="password")
    return _remove(account, by)


@unit_of_work
def _remove(account: BankAccount, by: User) -> BankAccount:
    locked = _locked(account)
    _retire(locked)
    _tell_owners("bank_account_removed", locked, by)
    return locked


def _locked(account: BankAccount) -> BankAccount:
    locked = BankAccount.objects.sealed().select_for_update().get(pk=account.pk)
    if not locked.is_in_use:
        raise BankAccountMissing("This bank account is not in use any more.")
    return locked


def _retire(account: BankAccount) -> None:
    account.in_use_for = account.due_at = None
    account.save(update_fields=["in_use_for", "due_at"])


def _set_schedule(account: BankAccount, **terms: Any) -> None:
    before, account.schedule = account.schedule, terms.get("schedule", account.schedule)
    # A day of the month is none of the week: with another schedule the anchor begins anew, unless it is sent.
    account.anchor = terms.get("anchor", account.anchor if account.schedule == before else FIRST_ANCHOR)
    most = DAYS_OF_A_WEEK if account.schedule == Schedule.WEEKLY else LAST_ANCHOR
    if account.anchor > most:
        raise ParameterInvalid(f"The anchor of a {account.schedule} schedule is from 1 to {most}.", param="anchor")
    if "minimum" in terms:
        minimum = terms["minimum"]
        account.minimum = 0 if minimum is None else Money.parse(minimum, account.currency, param="minimum").amount
    account.due_at = next_time(account, timezone.now())


def next_time(account: BankAccount, after: datetime) -> datetime | None:
    """The next midnight (UTC) at which the account's schedule pays out; None when none does."""
    fits = {
        Schedule.DAILY: lambda day: True,
        Schedule.WEEKLY: lambda day: day.isoweekday() == account.anchor,
        Schedule.MONTHLY: lambda day: day.day == account.anchor,
    }.get(Schedule(account.schedule))
    if fits is None:
        return None
    day = after.astimezone(UTC).date() + timedelta(days=1)
    while not fits(day):
        day += timedelta(days=1)
    return datetime.combine(day, time(), UTC)


def _tell_owners(template: str, account: BankAccount, by: User) -> None:
    context = {
        "merchant": account.merchant.name,
        "currency": account.currency,
        "last4": account.last4,
        "by": by.get_full_name(),
    }
    mail_owners(account.merchant, template, context)
