"""The public payments API."""

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.services import MerchantInactive, MerchantMissing, MerchantUnknown
from core.api import CounterThrottle, answer
from core.errors import NotFound
from core.idempotency import read_key
from core.money import AmountInvalid, AmountTooLarge, AmountTooPrecise, CurrencyInvalid
from core.schema import BODY_ERRORS, KEY_ERRORS, READ_ERRORS, refusals
from payments import examples, services
from payments.cards import CardExpiryPast, LiveCardRefused
from payments.models import Payment
from payments.return_urls import UrlForbidden
from payments.serializers import PaymentRequest, PublicPayment

PAYMENT_ERRORS = (
    AmountInvalid,
    AmountTooPrecise,
    AmountTooLarge,
    CurrencyInvalid,
    MerchantMissing,
    MerchantUnknown,
    MerchantInactive,
    services.ProviderNotConnected,
    services.OrderAlreadyPaid,
    LiveCardRefused,
    CardExpiryPast,
    UrlForbidden,
)
CREATE_DESCRIPTION = """The answer has a `checkout_url`: send the customer there to pay.

In the sandbox a published test card may be sent along instead. It is charged at once, a single attempt; read the
payment again, or its `status`, a moment later."""
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,255}$", "examples": ["5f9c1d0e-order-1042"]},
    OpenApiParameter.HEADER,
    description="1 to 255 visible ASCII characters of your choice. A repeated request with the same key and body "
    "answers with the same payment; nothing happens twice.",
)
REQUEST_EXAMPLES = [
    OpenApiExample("The least", examples.LEAST, request_only=True),
    OpenApiExample("A test card in the sandbox", examples.CARD_PAYMENT, request_only=True),
]


class CreateThrottle(CounterThrottle):
    scope = "payment_create"


class ReadThrottle(CounterThrottle):
    scope = "payment_read"


class PaymentsView(APIView):
    """Start a payment."""

    permission_classes = [AllowAny]
    throttle_classes = [CreateThrottle]
    noun = "payment"
    links = {"getPayment": {"payment_id": "payment/id"}}

    @extend_schema(
        operation_id="createPayment",
        summary="Start a payment",
        description=CREATE_DESCRIPTION,
        tags=["Payments"],
        auth=[],
        request=PaymentRequest,
        responses={
            201: OpenApiResponse(PublicPayment, description="The payment was started, or stands there already."),
            **refusals(*BODY_ERRORS, *KEY_ERRORS, *PAYMENT_ERRORS),
        },
        parameters=[IDEMPOTENCY_KEY],
        examples=REQUEST_EXAMPLES,
    )
    def post(self, request: Request) -> Response:
        serializer = PaymentRequest(data=request.data)
        serializer.is_valid(raise_exception=True)
        fields = serializer.validated_data
        key = read_key(request.headers.get("Idempotency-Key"), fields.pop("idempotency_key", None))
        payment, replayed = services.create_payment(key=key, **fields)
        headers = {"Idempotent-Replayed": "true"} if replayed else {}
        return answer(self.noun, PublicPayment(payment).data, "Payment started.", status=201, headers=headers)


class PaymentView(APIView):
    """Read a payment."""

    permission_classes = [AllowAny]
    throttle_classes = [ReadThrottle]
    noun = "payment"

    @extend_schema(
        operation_id="getPayment",
        summary="Read a payment",
        description="Anybody with the id may read it: the id cannot be guessed.",
        tags=["Payments"],
        auth=[],
        responses={
            200: OpenApiResponse(PublicPayment, description="The payment as it is now."),
            **refusals(NotFound, *READ_ERRORS),
        },
    )
    def get(self, request: Request, payment_id: str) -> Response:
        payment = get_object_or_404(Payment, pk=payment_id)
        return answer(self.noun, PublicPayment(payment).data, f"Payment is {payment.status}.")
