"""The public payments API."""

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import CounterThrottle, answer
from core.idempotency import read_key
from payments import services
from payments.models import Payment
from payments.serializers import PaymentRequest, PublicPayment


class CreateThrottle(CounterThrottle):
    scope = "payment_create"


class ReadThrottle(CounterThrottle):
    scope = "payment_read"


class PaymentsView(APIView):
    """Start a payment."""

    permission_classes = [AllowAny]
    throttle_classes = [CreateThrottle]
    noun = "payment"
    errors = (400, 409, 413, 415, 422, 429, 503)

    @extend_schema(
        operation_id="createPayment",
        tags=["Payments"],
        auth=[],
        request=PaymentRequest,
        responses={201: OpenApiResponse(PublicPayment, description="The payment was started.")},
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="1 to 255 visible ASCII characters. A repeated request answers with the same payment.",
            )
        ],
        examples=[
            OpenApiExample(
                "The least",
                {"customer_name": "John Doe", "customer_email": "john@example.com", "amount": 50.00},
                request_only=True,
            ),
            OpenApiExample(
                "A test card in the sandbox",
                {
                    "customer_name": "John Doe",
                    "customer_email": "john@example.com",
                    "customer_phone": "+1 202 555 0143",
                    "customer_location": "Springfield, US",
                    "amount": 99.99,
                    "currency": "USD",
                    "order_id": "order-1042",
                    "payment_method": "credit_card",
                    "card_number": "4111111111111111",
                    "card_expiry_month": 12,
                    "card_expiry_year": 2030,
                    "card_cvv": "123",
                    "description": "Two concert tickets",
                    "metadata": {"seat": "14C"},
                },
                request_only=True,
            ),
        ],
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
    errors = (404, 429, 503)

    @extend_schema(operation_id="getPayment", tags=["Payments"], auth=[], responses=PublicPayment)
    def get(self, request: Request, payment_id: str) -> Response:
        payment = get_object_or_404(Payment, pk=payment_id)
        return answer(self.noun, PublicPayment(payment).data, f"Payment is {payment.status}.")
