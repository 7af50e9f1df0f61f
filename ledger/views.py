"""The books by API, and the payouts by which money leaves them."""

from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import AccessView
from accounts.schema import LIST_ERRORS, PAGING, described
from accounts.services import CurrentPasswordWrong
from accounts.throttles import LogInThrottle, OwnAccountThrottle
from core.api import answer, answer_page, created, paginate, read_body, refuse_parameters_but
from core.errors import ParameterInvalid
from core.idempotency import take_key
from core.money import AMOUNT_ERRORS, CurrencyInvalid
from core.state import IllegalTransition, sentence
from ledger import services
from ledger.balances import balances
from ledger.filters import EntryFilters, PayoutFilters
from ledger.models import BankAccount, Entry, Payout, PayoutLine
from ledger.serializers import (
    BankAccountDetails,
    BankAccountRequest,
    EntryDetails,
    MerchantBalance,
    PasswordAgain,
    PayoutDetails,
    PayoutEntry,
    PayoutRequest,
    ScheduleChange,
)

TAG, PAYOUTS = "Balance", "Payouts"


class BalanceView(AccessView):
    """What the merchant has."""

    noun = "balance"
    needs = {"GET": "balance:read"}

    @described(
        "getBalance",
        "What the merchant has, by currency",
        MerchantBalance,
        tag=TAG,
        description="Each number is the sum of the entries that `/balance/entries?currency=…&balance=…` lists.",
    )
    def get(self, request: Request) -> Response:
        shown = MerchantBalance({"currencies": balances(self.merchant).values()}).data
        return answer(self.noun, shown, "Pending, available and reserved.")


class EntriesView(AccessView):
    """The lines of the books."""

    plural = "entries"
    needs = {"GET": "balance:read"}

    @described(
        "listEntries",
        "The entries behind the balance",
        EntryDetails(many=True),
        tag=TAG,
        errors=LIST_ERRORS,
        parameters=[EntryFilters.described()],
    )
    def get(self, request: Request) -> Response:
        rows = Entry.objects.filter(merchant=self.merchant).select_related("journal")
        listing = EntryFilters(request.query_params, rows).listing()
        page = paginate(request, listing.rows, ascending=listing.ascending)
        return answer_page(self.plural, page, EntryDetails(page.rows, many=True).data, listing.note or "Entries.")


# --- Bank accounts ----------------------------------------------------------------------------
class BankAccountView(AccessView):
    """What the views of bank accounts share."""

    noun, plural = "bank_account", "bank_accounts"

    def find(self, account_id: str) -> BankAccount:
        return get_object_or_404(BankAccount.objects.sealed(), merchant=self.merchant, pk=account_id)

    def show(self, account: BankAccount, message: str) -> Response:
        return answer(self.noun, BankAccountDetails(account).data, message)


class BankAccountsView(BankAccountView):
    """Where payouts go."""

    needs = {"GET": "payouts:read", "POST": "bank_accounts:write"}
    throttles = {"POST": [LogInThrottle, OwnAccountThrottle]}

    @described(
        "listBankAccounts",
        "List bank accounts",
        BankAccountDetails(many=True),
        tag=PAYOUTS,
        errors=LIST_ERRORS,
        parameters=PAGING,
        description="Those that are not used any more, too: payouts went there.",
    )
    def get(self, request: Request) -> Response:
        refuse_parameters_but(request, "cursor", "page_size")
        page = paginate(request, BankAccount.objects.sealed().filter(merchant=self.merchant))
        return answer_page(self.plural, page, BankAccountDetails(page.rows, many=True).data, "Bank accounts.")

    @described(
        "addBankAccount",
        "Have payouts in a currency go to a bank account",
        BankAccountDetails,
        status=201,
        tag=PAYOUTS,
        body=BankAccountRequest,
        keyed=True,
        errors=(CurrentPasswordWrong, services.AccountNumberInvalid, CurrencyInvalid, ParameterInvalid, *AMOUNT_ERRORS),
        description="It takes the place of the one in use for that currency, with its schedule unless another is sent. "
        "The owners are told by mail.",
    )
    def post(self, request: Request) -> Response:
        fields = read_body(BankAccountRequest, request)
        key = take_key(request, fields)
        account, replayed = services.add_bank_account(self.merchant, by=self.user, key=key, **fields)
        return created(self.noun, BankAccountDetails(account).data, "Payouts go there from now on.", replayed=replayed)


class OneBankAccountView(BankAccountView):
    """One bank account."""

    needs = {"GET": "payouts:read", "PATCH": "payouts:write"}

    @described("getBankAccount", "One bank account", BankAccountDetails, tag=PAYOUTS)
    def get(self, request: Request, account_id: str) -> Response:
        account = self.find(account_id)
        return self.show(account, "In use." if account.is_in_use else "Not in use any more.")

    @described(
        "changePayoutSchedule",
        "Change when payouts leave by themselves",
        BankAccountDetails,
        tag=PAYOUTS,
        body=ScheduleChange,
        errors=(services.BankAccountMissing, ParameterInvalid, *AMOUNT_ERRORS),
        description="The details of an account never change: add the new one instead.",
    )
    def patch(self, request: Request, account_id: str) -> Response:
        terms = read_body(ScheduleChange, request, partial=True)
        return self.show(services.change_schedule(self.find(account_id), **terms), "Schedule changed.")


class RemoveBankAccountView(BankAccountView):
    """No further payouts go to a bank account."""

    needs = {"POST": "bank_accounts:write"}
    throttles = {"POST": [LogInThrottle, OwnAccountThrottle]}

    @described(
        "removeBankAccount",
        "Have no further payouts go to a bank account",
        BankAccountDetails,
        tag=PAYOUTS,
        body=PasswordAgain,
        errors=(CurrentPasswordWrong, services.BankAccountMissing),
        description="The owners are told by mail. Those on their way still arrive.",
    )
    def post(self, request: Request, account_id: str) -> Response:
        account = self.find(account_id)
        removed = services.remove_bank_account(account, by=self.user, **read_body(PasswordAgain, request))
        return self.show(removed, "No further payouts go there.")


# --- Payouts ----------------------------------------------------------------------------------
class PayoutView(AccessView):
    """What the views of payouts share."""

    noun, plural = "payout", "payouts"

    def find(self, payout_id: str) -> Payout:
        return get_object_or_404(Payout.objects.with_account(), merchant=self.merchant, pk=payout_id)

    def show(self, payout: Payout) -> Response:
        return answer(self.noun, PayoutDetails(payout).data, sentence(payout))


class PayoutsView(PayoutView):
    """The payouts."""

    needs = {"GET": "payouts:read", "POST": "payouts:write"}

    @described(
        "listPayouts",
        "List payouts",
        PayoutDetails(many=True),
        tag=PAYOUTS,
        errors=LIST_ERRORS,
        parameters=[PayoutFilters.described()],
    )
    def get(self, request: Request) -> Response:
        payouts = Payout.objects.with_account().filter(merchant=self.merchant)
        listing = PayoutFilters(request.query_params, payouts).listing()
        page = paginate(request, listing.rows, ascending=listing.ascending)
        return answer_page(self.plural, page, PayoutDetails(page.rows, many=True).data, listing.note or "Payouts.")

    @described(
        "createPayout",
        "Pay out what is available",
        PayoutDetails,
        status=201,
        tag=PAYOUTS,
        body=PayoutRequest,
        keyed=True,
        errors=(
            services.PayoutTooLarge,
            services.BankAccountMissing,
            services.PayoutsSuspended,
            services.PayoutsHalted,
            CurrencyInvalid,
            *AMOUNT_ERRORS,
        ),
        description="The amount is set aside at once, and leaves a minute later: until then it can be cancelled.",
    )
    def post(self, request: Request) -> Response:
        fields = {"currency": self.merchant.default_currency} | read_body(PayoutRequest, request)
        key = take_key(request, fields)
        payout, replayed = services.create_payout(self.merchant, key=key, by=self.person, **fields)
        return created(self.noun, PayoutDetails(payout).data, sentence(payout), replayed=replayed)


class OnePayoutView(PayoutView):
    """One payout."""

    needs = {"GET": "payouts:read"}

    @described("getPayout", "One payout", PayoutDetails, tag=PAYOUTS)
    def get(self, request: Request, payout_id: str) -> Response:
        return self.show(self.find(payout_id))


class CancelPayoutView(PayoutView):
    """Call a payout off."""

    needs = {"POST": "payouts:write"}

    @described(
        "cancelPayout",
        "Call off a payout that has not left",
        PayoutDetails,
        tag=PAYOUTS,
        errors=(services.PayoutUnderWay, services.PayoutHeld, IllegalTransition),
    )
    def post(self, request: Request, payout_id: str) -> Response:
        return self.show(services.cancel_payout(self.find(payout_id)))


class PayoutEntriesView(PayoutView):
    """What a payout is made of."""

    plural = "entries"
    needs = {"GET": "payouts:read"}

    @described(
        "listPayoutEntries",
        "The entries that a payout settles",
        PayoutEntry(many=True),
        tag=PAYOUTS,
        errors=LIST_ERRORS,
        parameters=PAGING,
        description="`settled` sums to the payout's amount.",
    )
    def get(self, request: Request, payout_id: str) -> Response:
        refuse_parameters_but(request, "cursor", "page_size")
        lines = PayoutLine.objects.filter(payout=self.find(payout_id)).select_related("entry__journal")
        page = paginate(request, lines)
        return answer_page(self.plural, page, PayoutEntry(page.rows, many=True).data, "What the payout settles.")
