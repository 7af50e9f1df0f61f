"""Payouts that leave by themselves."""

from datetime import timedelta

from django.utils import timezone

from core.errors import ApiError
from core.queue import error_text
from core.transactions import unit_of_work
from ledger.balances import sums_of
from ledger.models import Account, BankAccount
from ledger.services.bank_accounts import next_time
from ledger.services.payouts import PayoutsHalted, create_payout

HALTED_RETRY = timedelta(hours=1)


@unit_of_work
def run_schedule(account: BankAccount) -> None:
    """The job of a bank account: pays out all that is available, unless it is less than the minimum, and sets the next
    time in the same commit. Until there is enough it reads a balance, and not the entries behind it. What cannot be
    paid now is left to the next time, with the reason in `last_error`."""
    now, error = timezone.now(), ""
    due_at = next_time(account, now)
    available = -sums_of(account.merchant).get((account.currency, Account.MERCHANT_AVAILABLE), 0)
    try:
        if available >= max(account.minimum, 1):
            create_payout(account.merchant, currency=account.currency, is_scheduled=True)
    except PayoutsHalted as halted:
        due_at, error = now + HALTED_RETRY, error_text(halted)
    except ApiError as refused:
        error = error_text(refused)
    still_ours = BankAccount.objects.filter(pk=account.pk, due_at=account.due_at)
    still_ours.update(due_at=due_at, last_error=error, attempts=0)
