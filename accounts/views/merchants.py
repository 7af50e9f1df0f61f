"""The merchants that a user belongs to, and their settings."""

from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.access import SELF, AccessView
from accounts.models import Merchant
from accounts.schema import LIST_ERRORS, PAGING, described
from accounts.serializers.merchants import MerchantChange, MerchantDetails, MerchantRequest
from core.api import answer, answer_page, created, paginate, read_body, refuse_parameters_but
from core.idempotency import take_key
from core.money import AMOUNT_ERRORS, CurrencyInvalid

TAG = "Merchants"


class MerchantsView(AccessView):
    """The merchants you belong to."""

    noun, plural = "merchant", "merchants"
    needs = {"GET": SELF, "POST": SELF}

    @described(
        "listMerchants",
        "The merchants you belong to",
        MerchantDetails(many=True),
        tag=TAG,
        scoped=False,
        parameters=PAGING,
        errors=LIST_ERRORS,
    )
    def get(self, request: Request) -> Response:
        refuse_parameters_but(request, "cursor", "page_size")
        page = paginate(request, Merchant.objects.filter(memberships__user=self.user))
        return answer_page(self.plural, page, MerchantDetails(page.rows, many=True).data, "Your merchants.")

    @described(
        "createMerchant",
        "Open a further merchant",
        MerchantDetails,
        status=201,
        tag=TAG,
        body=MerchantRequest,
        keyed=True,
        scoped=False,
        errors=(services.EmailUnverified, CurrencyInvalid),
        description="You own it. A sandbox merchant takes payments at once; a live one is `onboarding` until it is "
        "approved, and takes a confirmed email address.",
    )
    def post(self, request: Request) -> Response:
        fields = read_body(MerchantRequest, request)
        key = take_key(request, fields)
        merchant, replayed = services.open_merchant(self.user, key=key, **fields)
        return created(self.noun, MerchantDetails(merchant).data, "Merchant opened.", replayed=replayed)


class MerchantView(AccessView):
    """The merchant of the request."""

    noun = "merchant"
    needs = {"GET": "merchant:read", "PATCH": "merchant:write"}

    @described("getMerchant", "The merchant and its settings", MerchantDetails, tag=TAG)
    def get(self, request: Request) -> Response:
        return answer(self.noun, MerchantDetails(self.merchant).data, f"Merchant is {self.merchant.status}.")

    @described(
        "changeMerchant",
        "Change settings",
        MerchantDetails,
        tag=TAG,
        body=MerchantChange,
        errors=(*AMOUNT_ERRORS, CurrencyInvalid),
        description="Only what is sent changes, all of it or nothing.",
    )
    def patch(self, request: Request) -> Response:
        changes = read_body(MerchantChange, request, partial=True)
        merchant = services.change_merchant(self.merchant, **changes)
        return answer(self.noun, MerchantDetails(merchant).data, "Settings changed.")
