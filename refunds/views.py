"""The API of refunds."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import AccessView
from accounts.schema import LIST_ERRORS, described
from core.api import answer, answer_page, created, paginate, read_body
from core.errors import NotPermitted
from core.idempotency import take_key
from core.ids import is_id
from core.money import AMOUNT_ERRORS
from core.state import IllegalTransition, sentence
from payments.cards import LiveCardRefused
from payments.models import Payment
from refunds import services
from refunds.filters import RefundFilters
from refunds.models import Refund
from refunds.serializers import RefundDetails, RefundOfPaymentRequest, RefundRequest

TAG = "Refunds"
CREATE_ERRORS = (
    *AMOUNT_ERRORS,
    services.RefundTooLarge,
    services.PaymentNotRefundable,
    services.PaymentDisputed,
    LiveCardRefused,
)
CREATE_DESCRIPTION = """The amount is set aside at once and the provider is asked in the background, so read the refund
again, or listen for its events. Send an Idempotency-Key: without one a request that is sent twice is two refunds.
When the payment's refunds come to more than the merchant's limit, this one waits for a second person
(`requires_approval`)."""
MERCHANT_ID = OpenApiParameter("merchant_id", str, description="A merchant that you belong to")


class RefundView(AccessView):
    """What the views of refunds share."""

    noun, plural = "refund", "refunds"

    def start(self, request: Request, payment_id: str, fields: dict[str, Any]) -> Response:
        key = take_key(request, fields)
        payment = get_object_or_404(Payment, merchant=self.merchant, pk=payment_id)
        refund, replayed = services.create_refund(payment, key=key, by=self.responsible, **fields)
        return created(self.noun, RefundDetails(refund).data, sentence(refund), replayed=replayed)

    def find(self, refund_id: str) -> Refund:
        return get_object_or_404(Refund, merchant=self.merchant, pk=refund_id)

    def show(self, refund: Refund) -> Response:
        return answer(self.noun, RefundDetails(refund).data, sentence(refund))


class PaymentRefundView(RefundView):
    """Give a payment back."""

    needs = {"POST": "refunds:write"}

    @described(
        "refundPayment",
        "Refund a payment",
        RefundDetails,
        status=201,
        tag=TAG,
        body=RefundRequest,
        keyed=True,
        errors=CREATE_ERRORS,
        description=CREATE_DESCRIPTION,
    )
    def post(self, request: Request, payment_id: str) -> Response:
        return self.start(request, payment_id, read_body(RefundRequest, request))


class RefundsView(RefundView):
    """The refunds."""

    needs = {"GET": "refunds:read", "POST": "refunds:write"}

    def merchant_id(self, request: Request) -> str | None:
        return request.query_params.get("merchant_id")

    @described(
        "listRefunds",
        "List refunds",
        RefundDetails(many=True),
        tag=TAG,
        errors=LIST_ERRORS,
        parameters=[MERCHANT_ID, RefundFilters.described()],
    )
    def get(self, request: Request) -> Response:
        listing = RefundFilters(request.query_params, Refund.objects.filter(merchant=self.merchant)).listing()
        page = paginate(request, listing.rows, ascending=listing.ascending)
        return answer_page(self.plural, page, RefundDetails(page.rows, many=True).data, listing.note or "Refunds.")

    @described(
        "createRefund",
        "Refund a payment that the body names",
        RefundDetails,
        status=201,
        tag=TAG,
        body=RefundOfPaymentRequest,
        keyed=True,
        errors=CREATE_ERRORS,
        description=CREATE_DESCRIPTION,
    )
    def post(self, request: Request) -> Response:
        fields = read_body(RefundOfPaymentRequest, request)
        payment_id = fields.pop("payment_id")
        return self.start(request, payment_id if is_id(payment_id, "pay") else "", fields)


class OneRefundView(RefundView):
    """One refund."""

    needs = {"GET": "refunds:read"}

    @described("getRefund", "One refund", RefundDetails, tag=TAG)
    def get(self, request: Request, refund_id: str) -> Response:
        return self.show(self.find(refund_id))


class CancelRefundView(RefundView):
    """Call a refund off."""

    needs = {"POST": "refunds:write"}

    @described(
        "cancelRefund",
        "Call off a refund that the provider has not been asked for",
        RefundDetails,
        tag=TAG,
        errors=(services.RefundUnderWay, services.RefundOfSurplus, IllegalTransition),
    )
    def post(self, request: Request, refund_id: str) -> Response:
        return self.show(services.cancel_refund(self.find(refund_id)))


class ApproveRefundView(RefundView):
    """Approve a refund."""

    needs = {"POST": "refunds:write"}

    @described(
        "approveRefund",
        "Approve a refund above the limit",
        RefundDetails,
        tag=TAG,
        errors=(services.ApprovalNotYours, IllegalTransition),
        description="By another person than the one who asked, or who made the API key that did; no API key can.",
    )
    def post(self, request: Request, refund_id: str) -> Response:
        person = self.person
        if person is None:
            raise NotPermitted("A person approves refunds, not an API key.")
        return self.show(services.approve_refund(self.find(refund_id), by=person))
