"""The API of payments: the public part, which anybody may use, and what a merchant follows and steers."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from accounts.access import PUBLIC, AccessView, AnonymousThrottle, access_of, may
from accounts.models import Merchant
from accounts.schema import LIST_ERRORS, PAGING, described
from accounts.services import EmailUnverified, MerchantInactive, MerchantMissing, MerchantUnknown
from core.api import answer, answer_page, created, paginate, read_body, refuse_parameters_but
from core.errors import NotFound
from core.filters import Listing
from core.idempotency import take_key
from core.money import AMOUNT_ERRORS, AmountInvalid, AmountTooPrecise, CurrencyInvalid
from core.state import IllegalTransition, sentence
from payments import examples, services
from payments.cards import CardExpiryPast, LiveCardRefused
from payments.filters import PaymentFilters, TransactionFilters, list_payments, list_transactions
from payments.models import Payment, Status, Transaction
from payments.return_urls import UrlForbidden
from payments.serializers import (
    Cancellation,
    CaptureRequest,
    MerchantPayment,
    MerchantTransaction,
    PayerTransaction,
    PaymentChange,
    PaymentRequest,
    PublicPayment,
)

TAG = "Payments"
OWN_PAYMENTS = 1000  # newest ones of a customer whose transactions are listed
MERCHANT_ID = OpenApiParameter("merchant_id", str, description="A merchant that you belong to")
PAYMENT_ERRORS = (
    *AMOUNT_ERRORS,
    CurrencyInvalid,
    MerchantMissing,
    MerchantUnknown,
    MerchantInactive,
    services.ProviderNotConnected,
    services.OrderAlreadyPaid,
    services.MethodUnavailable,
    LiveCardRefused,
    CardExpiryPast,
    UrlForbidden,
)
CHANGE_ERRORS = (IllegalTransition, services.PaymentInFlight)
CAPTURE_ERRORS = (
    *AMOUNT_ERRORS,
    services.CaptureTooLarge,
    services.PaymentNotAuthorized,
    services.PaymentInFlight,
)
CAPTURE_DESCRIPTION = """For a payment with `capture_method` manual, once: what is not captured is released. The payment
in the answer is `completed`. It is still `authorized` while the provider has not answered (a further capture or cancel
is a 409 until then), and when the provider refused: the payment's transactions say why, and you may try again. Where
the provider has released the money meanwhile, the payment is `cancelled`."""
CANCEL_DESCRIPTION = """One that is unpaid, or authorized and not captured. The money of an authorized one is released:
it is `cancelled` once the provider has done that, at once or, should the provider be slow, a little later."""
CREATE_DESCRIPTION = """The answer has a `checkout_url`: send the customer there to pay. No key is needed; with one,
the payment is for the key's merchant.

In the sandbox a published test card may be sent along instead. It is charged at once, a single attempt; read the
payment again, or its `status`, a moment later."""
LIST_DESCRIPTION = """A merchant's payments; a customer, who belongs to no merchant, sees what was paid with their
confirmed address, as the public view shows it.

`status` (one), `order_id`, `customer_email`, created and a whole id reach back for ever. Other filters look at 90 days,
or at a window of up to 366 days that `created_after` and `created_before` name; `message` says so."""
REQUEST_EXAMPLES = [
    OpenApiExample("The least", examples.LEAST, request_only=True),
    OpenApiExample("A test card in the sandbox", examples.CARD_PAYMENT, request_only=True),
]


class CreateThrottle(AnonymousThrottle):
    scope = "payment_create"


class ReadThrottle(AnonymousThrottle):
    scope = "payment_read"


class PaymentsView(AccessView):
    """Start a payment; list those of a merchant, or what a customer paid."""

    noun, plural = "payment", "payments"
    needs = {"GET": "payments:read", "POST": PUBLIC}
    for_customers = True
    throttles = {"POST": [CreateThrottle]}
    links = {"getPayment": {"payment_id": "payment/id"}}

    def merchant_id(self, request: Request) -> str | None:
        return request.query_params.get("merchant_id")

    @described(
        "listPayments",
        "List payments",
        MerchantPayment(many=True),
        tag=TAG,
        errors=(*LIST_ERRORS, EmailUnverified, AmountInvalid, AmountTooPrecise, CurrencyInvalid),
        parameters=[MERCHANT_ID, PaymentFilters.described()],
        description=LIST_DESCRIPTION,
    )
    def get(self, request: Request) -> Response:
        listing = list_payments(request.query_params, payments_of(self))
        return listed(self, request, listing, MerchantPayment if self.access.merchant else PublicPayment)

    @described(
        "createPayment",
        "Start a payment",
        PublicPayment,
        status=201,
        tag=TAG,
        body=PaymentRequest,
        keyed=True,
        public=True,
        errors=PAYMENT_ERRORS,
        examples=REQUEST_EXAMPLES,
        description=CREATE_DESCRIPTION,
    )
    def post(self, request: Request) -> Response:
        serializer = PaymentRequest(data=request.data, context={"merchant": self._own(request)})
        serializer.is_valid(raise_exception=True)
        fields = serializer.validated_data
        key = take_key(request, fields)
        payment, replayed = services.create_payment(key=key, **fields)
        return created(self.noun, PublicPayment(payment).data, "Payment started.", replayed=replayed)

    def _own(self, request: Request) -> Merchant | None:
        """The merchant of the credential, if the request has one and names no other merchant."""
        if request.auth is None or "merchant_id" in request.data:
            return None
        return access_of(request).merchant


class PaymentView(AccessView):
    """One payment."""

    noun = "payment"
    needs = {"GET": PUBLIC, "PATCH": "payments:write"}
    throttles = {"GET": [ReadThrottle]}

    @described(
        "getPayment",
        "Read a payment",
        PublicPayment,
        tag=TAG,
        public=True,
        errors=(NotFound,),
        description="Anybody with the id may read it: the id cannot be guessed. Its merchant sees all fields, others "
        "those of the public view.",
    )
    def get(self, request: Request, payment_id: str) -> Response:
        payment = get_object_or_404(Payment, pk=payment_id)
        view = MerchantPayment if may(request, "payments:read", payment.merchant_id) else PublicPayment
        return answer(self.noun, view(payment).data, sentence(payment))

    @described(
        "changePayment",
        "Change a payment",
        MerchantPayment,
        tag=TAG,
        body=PaymentChange,
        errors=(*CHANGE_ERRORS, services.OrderAlreadyPaid, LiveCardRefused),
        description="Description, metadata, and a status that is yours to give: `cancelled` for one that is unpaid or "
        "authorized. In the sandbox you instruct the emulated provider: `completed` (`authorized` with manual "
        "capture), `failed`, `requires_action`. Every other status is a 409.",
    )
    def patch(self, request: Request, payment_id: str) -> Response:
        payment = get_object_or_404(Payment, merchant=self.merchant, pk=payment_id)
        payment = services.change_payment(payment, **read_body(PaymentChange, request, partial=True))
        return answer(self.noun, MerchantPayment(payment).data, sentence(payment))


class CaptureView(AccessView):
    """Take the money that is reserved."""

    noun = "payment"
    needs = {"POST": "payments:write"}

    @described(
        "capturePayment",
        "Capture an authorized payment",
        MerchantPayment,
        status=201,
        tag=TAG,
        body=CaptureRequest,
        keyed=True,
        errors=CAPTURE_ERRORS,
        description=CAPTURE_DESCRIPTION,
    )
    def post(self, request: Request, payment_id: str) -> Response:
        payment = get_object_or_404(Payment, merchant=self.merchant, pk=payment_id)
        fields = read_body(CaptureRequest, request)
        key = take_key(request, fields)
        payment, replayed = services.capture_payment(payment, key=key, **fields)
        return created(self.noun, MerchantPayment(payment).data, sentence(payment), replayed=replayed)


class CancelView(AccessView):
    """Give up a payment that is not paid."""

    noun = "payment"
    needs = {"POST": "payments:write"}

    @described(
        "cancelPayment",
        "Cancel a payment",
        MerchantPayment,
        tag=TAG,
        body=Cancellation,
        errors=CHANGE_ERRORS,
        description=CANCEL_DESCRIPTION,
    )
    def post(self, request: Request, payment_id: str) -> Response:
        payment = get_object_or_404(Payment, merchant=self.merchant, pk=payment_id)
        reason = read_body(Cancellation, request).get("reason")
        payment = services.change_payment(payment, status=Status.CANCELLED, cancellation_reason=reason)
        return answer(self.noun, MerchantPayment(payment).data, sentence(payment))


class OrderPaymentsView(AccessView):
    """The payments of an order."""

    plural = "payments"
    needs = {"GET": "payments:read"}

    @described(
        "listPaymentsOfOrder",
        "The payments of an order",
        MerchantPayment(many=True),
        tag=TAG,
        errors=LIST_ERRORS,
        parameters=PAGING,
        description="However many an order has, one of them succeeds at most.",
    )
    def get(self, request: Request, order_id: str) -> Response:
        refuse_parameters_but(request, "cursor", "page_size")
        page = paginate(request, Payment.objects.filter(merchant=self.merchant, order_id=order_id))
        return answer_page(self.plural, page, MerchantPayment(page.rows, many=True).data, f"Order {order_id}.")


class PaymentTransactionsView(AccessView):
    """What was done at providers for a payment."""

    plural = "transactions"
    needs = {"GET": "payments:read"}
    for_customers = True

    @described(
        "listTransactionsOfPayment",
        "The transactions of a payment",
        MerchantTransaction(many=True),
        tag=TAG,
        errors=(*LIST_ERRORS, EmailUnverified),
        parameters=PAGING,
    )
    def get(self, request: Request, payment_id: str) -> Response:
        refuse_parameters_but(request, "cursor", "page_size")
        payment = get_object_or_404(payments_of(self), pk=payment_id)
        page = paginate(request, Transaction.objects.filter(payment=payment))
        return answer_page(self.plural, page, shown(self)(page.rows, many=True).data, f"Payment {payment.reference}.")


class TransactionsView(AccessView):
    """What was done at providers."""

    plural = "transactions"
    needs = {"GET": "payments:read"}
    for_customers = True

    def merchant_id(self, request: Request) -> str | None:
        return request.query_params.get("merchant_id")

    @described(
        "listTransactions",
        "List transactions",
        MerchantTransaction(many=True),
        tag=TAG,
        errors=(*LIST_ERRORS, EmailUnverified),
        parameters=[MERCHANT_ID, TransactionFilters.described()],
    )
    def get(self, request: Request) -> Response:
        listing = list_transactions(request.query_params, transactions_of(self))
        return listed(self, request, listing, shown(self))


class TransactionView(AccessView):
    """One operation at a provider."""

    noun = "transaction"
    needs = {"GET": "payments:read"}
    for_customers = True

    @described("getTransaction", "One transaction", MerchantTransaction, tag=TAG, errors=(EmailUnverified,))
    def get(self, request: Request, transaction_id: str) -> Response:
        txn = get_object_or_404(transactions_of(self), pk=transaction_id)
        return answer(self.noun, shown(self)(txn).data, sentence(txn))


def payments_of(view: AccessView) -> QuerySet[Payment]:
    """The merchant's payments; of a customer, what they paid, whoever was paid."""
    if view.access.merchant is not None:
        return Payment.objects.filter(merchant=view.access.merchant)
    return Payment.objects.filter(customer_email=view.user.email)


def transactions_of(view: AccessView) -> QuerySet[Transaction]:
    if view.access.merchant is not None:
        return Transaction.objects.filter(merchant=view.access.merchant)
    payments = payments_of(view).order_by("-id").values_list("id", flat=True)
    return Transaction.objects.filter(payment__in=list(payments[:OWN_PAYMENTS]))


def listed(view: AccessView, request: Request, listing: Listing[Any], shape: type[Serializer]) -> Response:
    page = paginate(request, listing.rows, ascending=listing.ascending)
    message = listing.note or f"{view.plural.capitalize()}, {'oldest' if listing.ascending else 'newest'} first."
    return answer_page(view.plural, page, shape(page.rows, many=True).data, message)


def shown(view: AccessView) -> type[PayerTransaction]:
    """What a merchant sees of a transaction, or what a payer does."""
    return MerchantTransaction if view.access.merchant is not None else PayerTransaction
