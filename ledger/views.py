"""The books by API."""

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import AccessView
from accounts.schema import LIST_ERRORS, described
from core.api import answer, answer_page, paginate
from ledger.balances import balances
from ledger.filters import EntryFilters
from ledger.models import Entry
from ledger.serializers import EntryDetails, MerchantBalance

TAG = "Balance"


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
